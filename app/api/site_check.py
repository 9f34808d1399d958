"""Refuses requests for names that are not ours, and writes of other sites' pages."""

from collections.abc import Awaitable
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from app.access.hosts import Hosts
from app.access.origins import Origins
from app.api.error_responses import problem_response
from app.errors import BadRequest, Forbidden

_HEADERS: Final = frozenset({b"host", b"origin", b"sec-fetch-site"})
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_SHOWN: Final = 100


class SiteCheck:
    """What a request must say of where it goes, and of the page that it comes from."""

    def __init__(self, hosts: Hosts, origins: Origins) -> None:
        self._hosts, self._origins = hosts, origins

    def refuse(self, scope: Scope) -> None:
        """Raise Forbidden, or BadRequest, for a request that a browser was led to send."""
        pairs = [pair for pair in scope["headers"] if pair[0] in _HEADERS]
        values = dict(pairs)
        if len(values) != len(pairs):
            raise BadRequest("Send each of Host, Origin and Sec-Fetch-Site once.")
        host = values.get(b"host", b"")
        if host and not self._hosts.knows(host):
            name = host[:_SHOWN].decode("latin-1")
            raise Forbidden(
                f"This service is not called {name!r}: use its own name, or let its operator add "
                "this one to ALLOWED_HOSTS."
            )
        # The handshake of a WebSocket has no method. Whoever gets through may write.
        if scope.get("method") in _READING:
            return
        origin, site = values.get(b"origin", b""), values.get(b"sec-fetch-site", b"")
        if not self._origins.may_write(host, origin, site):
            name = origin[:_SHOWN].decode("latin-1") or "of another site"
            raise Forbidden(
                f"The page {name!r} may not write here: open the service's own page, or let its "
                "operator add this origin to CORS_ORIGINS."
            )


class SiteMiddleware:
    """Answers what ``check`` refuses, and hands all others on."""

    def __init__(self, app: ASGIApp, check: SiteCheck) -> None:
        self.app, self._check = app, check

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer, or hand the request on."""
        if scope["type"] != "lifespan":
            try:
                self._check.refuse(scope)
            except (Forbidden, BadRequest) as error:
                return problem_response(error, scope["path"])(scope, receive, send)
        return self.app(scope, receive, send)

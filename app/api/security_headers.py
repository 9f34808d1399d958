"""Adds to every answer what keeps browsers from misusing it.

docs/security.md says what each header is for.
"""

from collections.abc import Awaitable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.content_policy import ANSWERS, CONTENT_POLICY

_ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    # With "no-referrer" a browser would send "Origin: null" with the forms of our own pages.
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_POLICY: Final = (CONTENT_POLICY.encode(), ANSWERS.encode())
_STRICT_TRANSPORT: Final = (b"strict-transport-security", b"max-age=31536000")
# Put together once: they go out with every answer. By whether it has a policy of its own.
PLAIN: Final = {True: _ALWAYS, False: (*_ALWAYS, _POLICY)}
_SECURE: Final = {own: (*headers, _STRICT_TRANSPORT) for own, headers in PLAIN.items()}
_STARTS: Final = frozenset({"http.response.start", "websocket.http.response.start"})


class SecurityHeadersMiddleware:
    """Adds the headers; a page brings its own content policy."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Hand the request on."""
        if scope["type"] == "lifespan":
            return self.app(scope, receive, send)
        by_policy = _SECURE if scope["scheme"] in {"https", "wss"} else PLAIN

        async def send_guarded(message: Message) -> None:
            if message["type"] in _STARTS:
                headers = message["headers"]
                is_page = any(name == _POLICY[0] for name, _ in headers)
                message["headers"] = [*headers, *by_policy[is_page]]
            await send(message)

        return self.app(scope, receive, send_guarded)

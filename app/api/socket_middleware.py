"""Middleware that serves Socket.IO's path: checks the token and the limit of sockets.

It stands outside the request log, which would log every poll. It also stands outside the check of
the access token: a browser cannot send an Authorization header with a WebSocket, so its token comes
in the first packet.
"""

from typing import Final
from urllib.parse import parse_qs

import structlog
from pydantic import SecretStr
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.access import has_token
from app.api.error_responses import problem_response
from app.errors import BadRequest, SignalbookError
from app.live.sockets.sessions import TRUSTED, SessionServer

_log: Final = structlog.get_logger()
_PATHS: Final = frozenset({"/socket.io", "/socket.io/"})
# Where older services took a token. Proxies log what stands in an address.
_TOKEN_NAMES: Final = frozenset({"token", "access_token", "auth", "authorization"})


class SocketMiddleware:
    """Hands requests for Socket.IO to ``sockets``, and all others on."""

    def __init__(self, app: ASGIApp, sockets: SessionServer, token: SecretStr | None) -> None:
        self.app, self._sockets = app, sockets
        self._token = token.get_secret_value().encode() if token else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] not in {"http", "websocket"} or scope["path"] not in _PATHS:
            await self.app(scope, receive, send)
            return
        try:
            self._refuse(scope)
        except SignalbookError as error:
            _log.info("socket refused", code=error.code)
            await problem_response(error, scope["path"])(scope, receive, send)
            return
        scope[TRUSTED] = self._token is None or has_token(scope, self._token)
        await self._sockets.serve(scope, receive, send)

    def _refuse(self, scope: Scope) -> None:
        query = parse_qs(scope["query_string"].decode("latin-1"))
        if self._token is not None and not _TOKEN_NAMES.isdisjoint(query):
            raise BadRequest(
                "Send the token in the auth of the connection, never in the address: "
                "addresses are logged. Replace this token, as it may be known by now."
            )
        if "j" in query:
            raise BadRequest("Answers as scripts (JSONP) are not given: poll with XHR or fetch.")
        self._sockets.admit(query.get("sid", [""])[0], websocket=scope["type"] == "websocket")

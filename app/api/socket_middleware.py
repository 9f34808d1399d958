"""Stands before Socket.IO in the ASGI stack: its path, its token, its limit of sockets.

Outside of the request log, for which every poll would be a line, and of the door, because a browser
can send no Authorization header with a WebSocket: it brings its token in the first packet.
"""

from typing import Final
from urllib.parse import parse_qs

import structlog
from pydantic import SecretStr
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.errors import response
from app.api.operator_auth import holds
from app.errors import BadRequest, SignalbookError
from app.live.sockets.socket_server import TRUSTED, SocketServer

_log: Final = structlog.get_logger()
_PATHS: Final = frozenset({"/socket.io", "/socket.io/"})
# Where older services took a token; what stands in an address is logged on the way.
_SECRETS: Final = frozenset({"token", "access_token", "auth", "authorization"})


class SocketMiddleware:
    """Hands what is asked of Socket.IO to ``sockets``, and all else on."""

    def __init__(self, app: ASGIApp, sockets: SocketServer, token: SecretStr | None) -> None:
        self.app, self._sockets = app, sockets
        self._expected = token.get_secret_value().encode() if token else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] not in {"http", "websocket"} or scope["path"] not in _PATHS:
            await self.app(scope, receive, send)
            return
        try:
            self._refuse(scope)
        except SignalbookError as refusal:
            _log.info("socket refused", code=refusal.code)
            await response(refusal, scope["path"])(scope, receive, send)
            return
        scope[TRUSTED] = self._expected is None or holds(scope, self._expected)
        await self._sockets.serve(scope, receive, send)

    def _refuse(self, scope: Scope) -> None:
        query = parse_qs(scope["query_string"].decode("latin-1"))
        if self._expected is not None and not _SECRETS.isdisjoint(query):
            raise BadRequest(
                "Send the token in the auth of the connection, never in the address: "
                "addresses are logged. Replace this token, as it may be known by now."
            )
        if "j" in query:
            raise BadRequest("Answers as scripts (JSONP) are not given: poll with XHR or fetch.")
        self._sockets.admit(scope, query.get("sid", [""])[0])

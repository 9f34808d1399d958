"""The Socket.IO server of one process: whom it lets in, and which events it answers.

A socket's events are answered one after the other, so that joins and leaves keep their order.
An event that fails is answered with the error in its acknowledgement.
"""

import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import structlog
from socketio.exceptions import ConnectionRefusedError as ConnectionRejected
from starlette.types import Message, Receive, Scope, Send

from app.database.database import Database
from app.errors import NotFound, SignalbookError, Unauthorized
from app.live.feed.hub import Hub
from app.live.feed.listener import Listener
from app.live.shutdown import Shutdown
from app.live.sockets.limits import SocketLimits
from app.live.sockets.production_list import ProductionListRoom
from app.live.sockets.rooms import Rooms
from app.live.sockets.send_queue import BoundedSocketServer, SendQueue
from app.live.sockets.sessions import Sessions
from app.live.sockets.socket_requests import (
    ChangeAnnouncement,
    Join,
    Leave,
    SocketRequest,
    error_ack,
    read_request,
)
from app.settings import Settings

TRUSTED: Final = "signalbook.trusted"
_log: Final = structlog.get_logger()

Handler = Callable[[str, Any], Awaitable[dict[str, Any]]]


class SocketServer:
    """Serves Socket.IO; one per process."""

    def __init__(self, settings: Settings, limits: SocketLimits | None = None) -> None:
        self._limits = limits or SocketLimits()
        token = settings.access_token
        self._token = token.get_secret_value().encode() if token else None
        self._origins = frozenset(settings.origins)
        self._sessions = Sessions(self._limits, TRUSTED)
        self._server = self._sessions.server = self._make_server()
        self._rooms: Rooms
        self._list: ProductionListRoom
        self._events: dict[str, tuple[type[SocketRequest], Handler]] = {}

    def _make_server(self) -> BoundedSocketServer:
        limits = self._limits
        server = BoundedSocketServer(
            self._sessions,
            cors_allowed_origins=self._allows_origin,
            cors_credentials=False,
            # To compress what is small, and to parse what is large, would hold up the loop.
            http_compression=False,
            max_http_buffer_size=limits.message,
            ping_interval=limits.ping_interval,
            ping_timeout=limits.ping_timeout,
        )
        server.eio.bounds = limits.packets, limits.waiting
        server.on("connect", self._on_connect)
        server.on("disconnect", self._on_disconnect)
        server.on("*", self._on_event)
        return server

    def attach(self, database: Database, listener: Listener, hub: Hub) -> None:
        """Set what to serve from. To be called before the listener runs."""
        rooms = self._rooms = Rooms(database, listener, hub, self._send_queue, self._limits)
        self._list = ProductionListRoom(hub, self._send_queue, self._limits)
        self._events = {
            "production-list:join": (SocketRequest, self._join_list),
            "production-list:leave": (SocketRequest, self._leave_list),
            "production:join": (Join, rooms.join),
            "production:leave": (Leave, rooms.leave),
            "production:change": (ChangeAnnouncement, rooms.change),
        }

    @asynccontextmanager
    async def running(self, shutdown: Shutdown) -> AsyncIterator[None]:
        """Serve while the block runs; end every socket when the service begins to stop."""
        async with self._rooms.running(), self._list.running():
            self._sessions.start()
            try:
                with shutdown.on_begin(self._sessions.stop):
                    yield
            finally:
                self._sessions.stop()
                await self._sessions.wait_until_ended()
                await self._server.shutdown()

    def admit(self, scope: Scope, session: str) -> None:
        """Raise Unavailable, Busy or BadRequest for a request that may not come in."""
        self._sessions.admit(session, websocket=scope["type"] == "websocket")

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or serve a WebSocket until its end."""
        started = False

        async def send_and_note(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        if scope["type"] == "websocket":
            query = parse_qs(scope["query_string"].decode("latin-1"))
            self._sessions.on_websocket(query.get("sid", [""])[0], scope)
        try:
            await self._server.handle_request(scope, receive, send_and_note)
        except Exception as error:  # noqa: BLE001  # what a client sent, or that it has gone
            _log.debug("socket failed", reason=type(error).__name__)
            self._sessions.on_request_error(scope)
            if not started and scope["type"] == "http":
                await send({"type": "http.response.start", "status": 400, "headers": []})
                await send({"type": "http.response.body", "body": b""})
        finally:
            self._sessions.on_request_end(scope)

    def _allows_origin(self, origin: str, environ: dict[str, Any]) -> bool:
        """Return whether a page of this origin may connect: our own, and those set in CORS."""
        same = urlsplit(origin).netloc == environ.get("HTTP_HOST")
        return same or "*" in self._origins or origin in self._origins

    def _send_queue(self, socket: str) -> SendQueue | None:
        session = self._server.session_of(socket)
        return None if session is None else self._server.send_queue(session)

    # Events

    async def _on_connect(self, socket: str, _environ: dict[str, Any], auth: Any) -> None:
        session = self._sessions.get(self._server.session_of(socket) or "")
        if session is None or not (session.trusted or self._has_token(auth)):
            error = Unauthorized("Send the access token with the connection: auth: {token: …}.")
            raise ConnectionRejected(error.message, error_ack(error))
        self._sessions.accept(session.name)
        self._rooms.add(socket)

    def _has_token(self, auth: Any) -> bool:
        token = auth.get("token") if isinstance(auth, dict) else None
        secret = token.encode("utf-8", "replace") if isinstance(token, str) else b""
        return hmac.compare_digest(secret, self._token or b"\0")

    async def _on_disconnect(self, socket: str, _reason: str) -> None:
        self._rooms.remove(socket)
        self._list.leave(socket)

    async def _on_event(self, name: str, socket: str, *args: Any) -> dict[str, Any]:
        try:
            if name not in self._events:
                words = "No event is called so: see the API's pages for those that are."
                raise NotFound(words, error="Unknown event")  # noqa: TRY301  # answered below
            schema, handle = self._events[name]
            return await handle(socket, read_request(schema, args))
        except SignalbookError as error:
            return error_ack(error)
        except Exception:  # noqa: BLE001  # an error of ours must not end a connection
            _log.exception("unforeseen", event_name=name if name in self._events else "?")
            return error_ack(SignalbookError("Something failed here; it has been logged."))

    async def _join_list(self, socket: str, _: SocketRequest) -> dict[str, Any]:
        if socket in self._rooms:  # it may have gone meanwhile
            await self._list.enter(socket)
        return {}

    async def _leave_list(self, socket: str, _: SocketRequest) -> dict[str, Any]:
        self._list.leave(socket)
        return {}

"""The Socket.IO server of one process: who is let in, and what those who are may ask.

A socket's events are answered one after the other, so that joins and leaves keep their order.
What is wrong with one is said in its acknowledgement.
"""

import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import structlog
from socketio.exceptions import ConnectionRefusedError as Refused
from starlette.types import Message, Receive, Scope, Send

from app.database.database import Database
from app.errors import NotFound, SignalbookError, Unauthorized
from app.live.feed.hub import Hub
from app.live.feed.listener import Listener
from app.live.shutdown import Shutdown
from app.live.sockets.limits import SocketLimits
from app.live.sockets.requests import (
    ChangeAnnouncement,
    Join,
    Leave,
    SocketRequest,
    error_ack,
    read,
)
from app.live.sockets.rooms import Rooms
from app.live.sockets.send_queue import BoundedSocketServer, SendQueue
from app.live.sockets.sessions import Sessions
from app.settings import Settings

TRUSTED: Final = "signalbook.trusted"
_log: Final = structlog.get_logger()

Asked = Callable[[str, tuple[Any, ...]], Awaitable[dict[str, Any]]]


class SocketServer:
    """Serves Socket.IO; one per process."""

    def __init__(self, settings: Settings, limits: SocketLimits | None = None) -> None:
        self._limits = limits or SocketLimits()
        token = settings.access_token
        self._token = token.get_secret_value().encode() if token else None
        self._origins = frozenset(settings.origins)
        self._sessions = Sessions(self._limits, TRUSTED)
        self._wire = self._sessions.wire = self._made()
        self._rooms: Rooms
        self._asked: dict[str, Asked] = {
            "production-list:join": self._join_list,
            "production-list:leave": self._leave_list,
            "production:join": self._join,
            "production:leave": self._leave,
            "production:change": self._change,
        }

    def _made(self) -> BoundedSocketServer:
        limits = self._limits
        wire = BoundedSocketServer(
            self._sessions,
            cors_allowed_origins=self._takes,
            cors_credentials=False,
            # Both would hold up the loop for what is small, or rare.
            http_compression=False,
            max_http_buffer_size=limits.message,
            ping_interval=limits.ping_interval,
            ping_timeout=limits.ping_timeout,
        )
        wire.eio.bounds = limits.packets, limits.waiting
        wire.on("connect", self._connected)
        wire.on("disconnect", self._disconnected)
        wire.on("*", self._answered)
        return wire

    def attach(self, database: Database, listener: Listener, hub: Hub) -> None:
        """Say what to serve from. Before the listener runs."""
        self._rooms = Rooms(database, listener, hub, self._outbox, self._limits)

    @asynccontextmanager
    async def running(self, shutdown: Shutdown) -> AsyncIterator[None]:
        """Serve while what is inside runs; end every socket when the service begins to stop."""
        async with self._rooms.running():
            self._sessions.start()
            try:
                with shutdown.on_begin(self._sessions.stop):
                    yield
            finally:
                self._sessions.stop()
                await self._sessions.stopped()
                await self._wire.shutdown()

    def refuse(self, scope: Scope, session: str) -> None:
        """Raise Unavailable, Busy or BadRequest where a request has no place here."""
        self._sessions.refuse(session, websocket=scope["type"] == "websocket")

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or a WebSocket until its end."""
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        if scope["type"] == "websocket":
            query = parse_qs(scope["query_string"].decode("latin-1"))
            self._sessions.taking_over(query.get("sid", [""])[0], scope)
        try:
            await self._wire.handle_request(scope, receive, watched)
        except Exception as error:  # noqa: BLE001  # what a client sent, or that it has gone
            _log.debug("socket failed", reason=type(error).__name__)
            self._sessions.failed(scope)
            if not started and scope["type"] == "http":
                await send({"type": "http.response.start", "status": 400, "headers": []})
                await send({"type": "http.response.body", "body": b""})
        finally:
            self._sessions.left(scope)

    def _takes(self, origin: str, environ: dict[str, Any]) -> bool:
        """Tell whether a page of this origin may connect: as for requests, and our own pages."""
        ours = urlsplit(origin).netloc == environ.get("HTTP_HOST")
        return ours or "*" in self._origins or origin in self._origins

    def _outbox(self, socket: str) -> SendQueue | None:
        session = self._wire.session_of(socket)
        return None if session is None else self._wire.outbox(session)

    # Events

    async def _connected(self, socket: str, _environ: dict[str, Any], auth: Any) -> None:
        session = self._sessions.get(self._wire.session_of(socket) or "")
        if session is None or not (session.trusted or self._opens(auth)):
            why = Unauthorized("Send the access token with the connection: auth: {token: …}.")
            raise Refused(why.message, error_ack(why))
        self._sessions.welcomed(session.name)
        self._rooms.came(socket)

    def _opens(self, auth: Any) -> bool:
        token = auth.get("token") if isinstance(auth, dict) else None
        given = token.encode("utf-8", "replace") if isinstance(token, str) else b""
        return hmac.compare_digest(given, self._token or b"\0")

    async def _disconnected(self, socket: str, _reason: str) -> None:
        self._rooms.gone(socket)

    async def _answered(self, name: str, socket: str, *args: Any) -> dict[str, Any]:
        try:
            if name not in self._asked:
                words = "No event is called so: see the API's pages for those that are."
                raise NotFound(words, error="Unknown event")  # noqa: TRY301  # as every refusal
            return await self._asked[name](socket, args)
        except SignalbookError as error:
            return error_ack(error)
        except Exception:  # noqa: BLE001  # no fault of ours ends a connection
            _log.exception("unforeseen", event_name=name if name in self._asked else "?")
            return error_ack(SignalbookError("Something failed here; it has been logged."))

    async def _join_list(self, socket: str, args: tuple[Any, ...]) -> dict[str, Any]:
        read(SocketRequest, args)
        return await self._rooms.join_list(socket)

    async def _leave_list(self, socket: str, args: tuple[Any, ...]) -> dict[str, Any]:
        read(SocketRequest, args)
        return self._rooms.leave_list(socket)

    async def _join(self, socket: str, args: tuple[Any, ...]) -> dict[str, Any]:
        return await self._rooms.join(socket, read(Join, args))

    async def _leave(self, socket: str, args: tuple[Any, ...]) -> dict[str, Any]:
        return self._rooms.leave(socket, read(Leave, args))

    async def _change(self, socket: str, args: tuple[Any, ...]) -> dict[str, Any]:
        return await self._rooms.change(socket, read(ChangeAnnouncement, args))

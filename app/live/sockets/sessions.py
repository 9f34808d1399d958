"""python-socketio with bounds: on its sessions, and on what a client may send.

Whatever ends a session here also ends its connection, a moment later: when the library closes a
session it waits for the client, so the connection of a client that does not read would stay. The
library also lets a client call the handlers of ``connect`` and ``disconnect`` as if they were
events, and holds binary attachments for as long as a client announces more. Here both end it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import parse_qs

import socketio
import structlog
from engineio import packet as engine_packet
from pydantic_core import to_json
from starlette.types import Message, Receive, Scope, Send

from app.access.client_address import AddressCounts, address_of
from app.background import Tasks
from app.errors import BadRequest, Busy, SignalbookError, TooFast, TooManyFromAddress, Unavailable
from app.live.shutdown import Shutdown
from app.live.sockets.limits import SocketLimits
from app.live.sockets.send_queue import BoundedEngine, SendQueue, event

_log: Final = structlog.get_logger()
_SILENT: Final = logging.getLogger("signalbook.socketio")
_SILENT.setLevel(logging.CRITICAL + 1)
_SESSION: Final = "signalbook.session"
_REJECTED_POLL: Final = 1.0  # seconds for a poll to fetch the rejection
# The web server puts this into the scope of a WebSocket: it ends the connection without waiting.
ABORT: Final = "signalbook.abort"
_BINARY: Final = ("5", "6")
_DISCONNECT: Final = engine_packet.Packet(engine_packet.MESSAGE, "1")


class Session:
    """One Engine.IO session, and how to abort its WebSocket if it has one."""

    def __init__(self, name: str, limits: SocketLimits) -> None:
        self.name, self._limits = name, limits
        self._loop = asyncio.get_running_loop()
        self._tokens, self._counted_at = limits.at_once, self._loop.time()
        self.abort: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.ended = False
        self.address = "unknown"
        self.greeted: Callable[[], None] = lambda: None
        """To be called once it has sent CONNECT, or has ended without."""

    def allows(self, size: int) -> bool:
        """Count a message; return whether there is a token for it: they come with time."""
        now, limits = self._loop.time(), self._limits
        refill = (now - self._counted_at) * limits.per_second
        self._tokens = min(limits.at_once, self._tokens + refill) - 1 - size // 8_000
        self._counted_at = now
        return self._tokens >= 0

    def call_later(self, seconds: float, do: Callable[..., object], *args: object) -> None:
        """Call this later, in place of what was to be called."""
        self.cancel_timer()
        self._timer = self._loop.call_later(seconds, do, *args)

    def cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def abort_connection(self) -> None:
        """End the connection, whatever is still on its way."""
        if self.abort is not None:
            self.abort()


class SessionServer(socketio.AsyncServer):  # type: ignore[misc]  # the library has no types
    """A Socket.IO server that follows its sessions, and ends those that break a limit.

    A session that breaks the protocol is ended as well, without a traceback.
    """

    def __init__(
        self, limits: SocketLimits, allows_origin: Callable[[str | None, Any], bool]
    ) -> None:
        super().__init__(
            async_mode="asgi", async_handlers=False, logger=_SILENT, engineio_logger=_SILENT,
            cors_allowed_origins=allows_origin, cors_credentials=False,
            # To compress what is small, and to parse what is large, would hold up the loop.
            http_compression=False, max_http_buffer_size=limits.message,
            ping_interval=limits.ping_interval, ping_timeout=limits.ping_timeout,
        )  # fmt: skip
        self.eio.bounds = limits.packets, limits.waiting
        self._limits = limits
        self._sessions: dict[str, Session] = {}
        self._handshakes = AddressCounts(limits.handshakes_per_address)
        self._endings = Tasks()
        self._stopped = True

    def _engineio_server_class(self) -> type[BoundedEngine]:
        return BoundedEngine

    def session_of(self, socket: str) -> Session | None:
        return self._sessions.get(self.manager.eio_sid_from_sid(socket, "/"))

    def send_queue(self, socket: str) -> SendQueue | None:
        """Return the queue of a socket, None if the socket has gone."""
        connected = self.eio.sockets.get(self.manager.eio_sid_from_sid(socket, "/"))
        return None if connected is None or connected.closed else connected.queue

    @asynccontextmanager
    async def running(self, shutdown: Shutdown) -> AsyncIterator[None]:
        """Let sockets in while the block runs; end them when the service begins to stop."""
        self._stopped = False
        try:
            with shutdown.on_begin(self._stop):
                yield
        finally:
            self._stop()
            await self._endings.wait()
            await self.shutdown()

    def _stop(self) -> None:
        """Let no more sockets in, and end those that are there: they reconnect elsewhere."""
        self._stopped = True
        for name in tuple(self._sessions):
            self.end(name)

    # Requests

    def admit(self, name: str, address: str, *, websocket: bool) -> None:
        """Raise Unavailable, Busy, TooManyFromAddress or BadRequest for who may not come in."""
        if self._stopped:
            raise Unavailable("The service is starting or stopping: try again in a moment.")
        if not name and len(self._sessions) >= self._limits.sockets:
            raise Busy(f"This process holds {self._limits.sockets} sockets, and takes no more.")
        if not name and self._handshakes.is_full(address):
            raise TooManyFromAddress("Your address has begun many sockets: let them CONNECT first.")
        session = self._sessions.get(name)
        if websocket and session is not None and session.abort is not None:
            raise BadRequest("This session runs on another WebSocket already.")

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or serve a WebSocket until its end."""
        started = False

        async def send_and_note(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        if scope["type"] == "websocket":
            self._expect_upgrade(scope)
        try:
            await self.handle_request(scope, receive, send_and_note)
        except Exception as error:  # noqa: BLE001  # what a client sent, or that it has gone
            _log.debug("socket failed", reason=type(error).__name__)
            if session := scope.get(_SESSION):
                self.end(session.name)
            if not started and scope["type"] == "http":
                await send({"type": "http.response.start", "status": 400, "headers": []})
                await send({"type": "http.response.body", "body": b""})
        finally:
            if session := scope.get(_SESSION):
                self._detach(session)

    def _expect_upgrade(self, scope: Scope) -> None:
        """Expect a WebSocket to take over a session from polling soon."""
        query = parse_qs(scope["query_string"].decode("latin-1"))
        session = self._sessions.get(query.get("sid", [""])[0])
        if session is not None:
            session.abort = _abort(scope)
            scope[_SESSION] = session
            loop = asyncio.get_running_loop()
            loop.call_later(self._limits.hello, self._require_upgrade, session, session.abort)

    def _require_upgrade(self, session: Session, abort: Callable[[], None]) -> None:
        socket = self.eio.sockets.get(session.name)
        if session.abort is abort and (socket is None or not socket.upgraded):
            abort()

    def _detach(self, session: Session) -> None:
        """Forget the connection of a WebSocket whose request is over."""
        session.abort = None
        if session.ended:
            session.cancel_timer()
        if (socket := self.eio.sockets.get(session.name)) and not socket.upgraded:
            # The library would go on to answer polls as if a WebSocket were taking over.
            socket.upgrading = False

    # What the library calls

    async def _handle_eio_connect(self, eio_sid: str, environ: dict[str, Any]) -> None:
        """Begin a session; it must send CONNECT soon."""
        await super()._handle_eio_connect(eio_sid, environ)
        session = self._sessions[eio_sid] = Session(eio_sid, self._limits)
        scope: Scope = environ["asgi.scope"]
        session.address = address_of(scope)
        session.greeted = self._handshakes.hold(session.address)
        scope[_SESSION] = session
        if scope["type"] == "websocket":
            session.abort = _abort(scope)
        session.call_later(self._limits.hello, self.end, eio_sid)
        self.eio.sockets[eio_sid].queue.overflow = lambda: self._on_overflow(session)

    async def _handle_eio_message(self, eio_sid: str, data: Any) -> None:
        session = self._sessions.get(eio_sid)
        if session is None or session.ended:
            return
        if not session.allows(len(data) if isinstance(data, (str, bytes)) else 0):
            self.end(eio_sid, TooFast("Too many events at once: this connection is closed."))
            return
        try:
            if not isinstance(data, str) or data.startswith(_BINARY):
                raise ValueError("binary")  # noqa: TRY301  # handled below as any other
            await super()._handle_eio_message(eio_sid, data)
        except Exception as error:  # noqa: BLE001  # whatever it was, the client has sent it
            words = f"This is not what Socket.IO sends ({type(error).__name__})."
            self.end(eio_sid, BadRequest(words))

    async def _handle_connect(self, eio_sid: str, namespace: str | None, data: Any) -> None:
        """Let a session stay that sent a valid token; end another when it has been told so."""
        await super()._handle_connect(eio_sid, namespace, data)
        session = self._sessions.get(eio_sid)
        if session and self.manager.sid_from_eio_sid(eio_sid, "/") is None:
            session.call_later(0.0 if session.abort else _REJECTED_POLL, self.end, eio_sid)

    async def _handle_event(
        self, eio_sid: str, namespace: str, id: int | None, data: Any,  # noqa: A002  # its own name
    ) -> None:  # fmt: skip
        has_name = isinstance(data, list) and data and isinstance(data[0], str)
        if not has_name or data[0] in self.reserved_events:
            raise ValueError("event")
        await super()._handle_event(eio_sid, namespace, id, data)

    async def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None:
        """Forget a session that is over; its connection has a moment to end."""
        try:
            await super()._handle_eio_disconnect(eio_sid, reason)
        finally:
            if session := self._sessions.pop(eio_sid, None):
                session.ended = True
                session.cancel_timer()
                session.greeted()
                if session.abort is not None:
                    session.call_later(self._limits.goodbye, session.abort_connection)
            if socket := self.eio.sockets.get(eio_sid):
                # A poll or a writer that waits for something to send would wait for long.
                asyncio.get_running_loop().call_soon(socket.queue.put_nowait, None)

    # Ending

    def end(self, name: str, error: SignalbookError | None = None) -> None:
        """End a session; send the error first if it is the client's fault."""
        session = self._sessions.get(name)
        if session is None or session.ended:
            return
        session.ended = True
        if error is not None:
            _log.info(
                "socket dropped", code=error.code, reason=error.message, address=session.address
            )
        self._endings.start(self._close(name, error))

    async def _close(self, name: str, error: SignalbookError | None) -> None:
        socket = self.eio.sockets.get(name)
        if socket is None:
            return
        if error is not None:
            socket.queue.put_nowait(event("refused", to_json(error.acknowledgement()).decode()))
            socket.queue.put_nowait(_DISCONNECT)
        await socket.close(wait=False)

    def _on_overflow(self, session: Session) -> None:
        """End a session that does not read, at once: nothing more would reach it."""
        if not session.ended:
            session.ended = True
            _log.info("socket dropped", code="TOO_SLOW", reason="It does not read what it is sent.")
            self._endings.start(self._drop(session))

    async def _drop(self, session: Session) -> None:
        socket = self.eio.sockets.get(session.name)
        if socket is not None:
            await socket.close(wait=False, abort=True)
            while not socket.queue.empty():
                socket.queue.get_nowait()
        session.abort_connection()


def _abort(scope: Scope) -> Callable[[], None]:
    """Return what aborts a connection; it does nothing where the web server cannot."""
    extensions = scope.get("extensions") or {}
    abort: Callable[[], None] = extensions.get(ABORT, {}).get("now", lambda: None)
    return abort

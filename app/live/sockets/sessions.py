"""The Engine.IO sessions of one process: opened, bounded, and ended for good.

When the library closes a session it waits for the client, so the connection of a client that does
not read would stay. Whatever ends a session here also ends its connection, a moment later.
"""

import asyncio
from collections.abc import Callable, Coroutine, MutableMapping
from typing import Any, Final

import structlog
from engineio import packet as engine_packet
from pydantic_core import to_json

from app.errors import BadRequest, Busy, SignalbookError, TooFast, Unavailable
from app.live.sockets.limits import EventRate, SocketLimits
from app.live.sockets.send_queue import BoundedSocketServer, SendQueue, event
from app.live.sockets.socket_requests import error_ack

_log: Final = structlog.get_logger()
_SESSION: Final = "signalbook.session"
_REJECTED_POLL: Final = 1.0  # seconds for a poll to fetch the rejection
# The web server puts this into the scope of a WebSocket: it ends the connection without waiting.
ABORT: Final = "signalbook.abort"
_DISCONNECT: Final = engine_packet.Packet(engine_packet.MESSAGE, "1")

Scope = MutableMapping[str, Any]


class Session:
    """One Engine.IO session, and how to abort its WebSocket if it has one."""

    __slots__ = ("abort", "ended", "name", "rate", "timer", "trusted")

    def __init__(self, name: str, rate: EventRate) -> None:
        self.name, self.rate = name, rate
        self.abort: Callable[[], None] | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.trusted = self.ended = False

    def call_later(self, seconds: float, do: Callable[..., object], *args: object) -> None:
        """Call this later, in place of what was to be called."""
        self.cancel_timer()
        self.timer = asyncio.get_running_loop().call_later(seconds, do, *args)

    def cancel_timer(self) -> None:
        """Call nothing later."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def abort_connection(self) -> None:
        """End the connection, whatever is still on its way."""
        if self.abort is not None:
            self.abort()


class Sessions:
    """Follows the server's sessions, and ends those that break a limit."""

    def __init__(self, limits: SocketLimits, trusted: str) -> None:
        self.limits, self._trusted = limits, trusted
        self._sessions: dict[str, Session] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = True
        self.server: BoundedSocketServer

    def get(self, name: str) -> Session | None:
        """Return a session that is open."""
        return self._sessions.get(name)

    def start(self) -> None:
        """Let sockets in."""
        self._stopped = False

    def stop(self) -> None:
        """Let no more sockets in, and end those that are there: they reconnect elsewhere."""
        self._stopped = True
        for session in tuple(self._sessions.values()):
            self.end(session.name)

    async def wait_until_ended(self) -> None:
        """Wait until all have ended."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def admit(self, name: str, *, websocket: bool) -> None:
        """Raise Unavailable, Busy or BadRequest for a request that may not come in."""
        if self._stopped:
            raise Unavailable("The service is starting or stopping: try again in a moment.")
        if not name and len(self._sessions) >= self.limits.sockets:
            raise Busy(f"This process holds {self.limits.sockets} sockets, and takes no more.")
        session = self._sessions.get(name)
        if websocket and session is not None and session.abort is not None:
            raise BadRequest("This session runs on another WebSocket already.")

    # Called by the server

    def on_open(self, name: str, environ: dict[str, Any]) -> None:
        """Begin a session; it must send CONNECT soon."""
        now = asyncio.get_running_loop().time()
        session = self._sessions[name] = Session(name, EventRate(self.limits, now))
        scope: Scope = environ["asgi.scope"]
        session.trusted = bool(scope.get(self._trusted))
        scope[_SESSION] = session
        if scope["type"] == "websocket":
            session.abort = _abort(scope)
        session.call_later(self.limits.hello, self.end, name)
        queue = self.server.send_queue(name)
        assert queue is not None, "it has just been opened"
        queue.overflow = lambda: self._on_overflow(session)

    def accept(self, name: str) -> None:
        """Let a session stay that has sent CONNECT with a valid token."""
        if session := self._sessions.get(name):
            session.cancel_timer()

    def on_reject(self, name: str) -> None:
        """End a session that was not let in, when it has been told so."""
        if session := self._sessions.get(name):
            session.call_later(0.0 if session.abort else _REJECTED_POLL, self.end, name)

    def allows(self, name: str, size: int) -> bool:
        """Count a message; end a session that sends too much."""
        session = self._sessions.get(name)
        if session is None or session.ended:
            return False
        now = asyncio.get_running_loop().time()
        if session.rate.allows(size, now, self.limits):
            return True
        self.end(name, TooFast("Too many events at once: this connection is closed."))
        return False

    def on_protocol_error(self, name: str, what: str) -> None:
        """End a session that has sent what is no Socket.IO."""
        self.end(name, BadRequest(f"This is not what Socket.IO sends ({what})."))

    def on_close(self, name: str) -> None:
        """Forget a session that is over; its connection has a moment to end."""
        if session := self._sessions.pop(name, None):
            session.ended = True
            session.cancel_timer()
            if session.abort is not None:
                session.call_later(self.limits.goodbye, session.abort_connection)
        if socket := self.server.eio.sockets.get(name):
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
            _log.info("socket dropped", code=error.code, reason=error.message)
        self._start(self._close(name, error))

    async def _close(self, name: str, error: SignalbookError | None) -> None:
        socket = self.server.eio.sockets.get(name)
        if socket is None:
            return
        if error is not None:
            socket.queue.put_nowait(event("refused", to_json(error_ack(error)).decode()))
            socket.queue.put_nowait(_DISCONNECT)
        await socket.close(wait=False)

    def _on_overflow(self, session: Session) -> None:
        """End a session that does not read, at once: nothing more would reach it."""
        if not session.ended:
            session.ended = True
            _log.info("socket dropped", code="TOO_SLOW", reason="It does not read what it is sent.")
            self._start(self._drop(session))

    async def _drop(self, session: Session) -> None:
        socket = self.server.eio.sockets.get(session.name)
        if socket is not None:
            await socket.close(wait=False, abort=True)
            _empty(socket.queue)
        session.abort_connection()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Requests

    def on_websocket(self, name: str, scope: Scope) -> None:
        """Expect a WebSocket to take over a session from polling soon."""
        session = self._sessions.get(name)
        if session is not None:
            session.abort = _abort(scope)
            scope[_SESSION] = session
            loop = asyncio.get_running_loop()
            loop.call_later(self.limits.hello, self._require_upgrade, session, session.abort)

    def _require_upgrade(self, session: Session, abort: Callable[[], None]) -> None:
        socket = self.server.eio.sockets.get(session.name)
        if session.abort is abort and (socket is None or not socket.upgraded):
            abort()

    def on_request_end(self, scope: Scope) -> None:
        """Detach the connection of a WebSocket whose request is over."""
        session: Session | None = scope.get(_SESSION)
        if session is None:
            return
        session.abort = None
        if session.ended:
            session.cancel_timer()
        if (socket := self.server.eio.sockets.get(session.name)) and not socket.upgraded:
            # The library would go on to answer polls as if a WebSocket were taking over.
            socket.upgrading = False

    def on_request_error(self, scope: Scope) -> None:
        """End the session of a request that failed."""
        session: Session | None = scope.get(_SESSION)
        if session is not None:
            self.end(session.name)


def _abort(scope: Scope) -> Callable[[], None]:
    extensions = scope.get("extensions") or {}
    abort: Callable[[], None] = extensions.get(ABORT, {}).get("now", _wait_for_client)
    return abort


def _wait_for_client() -> None:
    """Do nothing: a web server that cannot abort waits for the client."""


def _empty(queue: SendQueue) -> None:
    while not queue.empty():
        queue.get_nowait()

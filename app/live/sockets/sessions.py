"""The Engine.IO sessions of one process: opened, bounded, and ended for good.

The library's own closing waits for the client: for as long as a client does not read, its
connection stays. So whatever ends a session also ends its connection, a moment later.
"""

import asyncio
from collections.abc import Callable, Coroutine, MutableMapping
from typing import Any, Final

import structlog
from engineio import packet as engine_packet
from pydantic_core import to_json

from app.errors import BadRequest, Busy, SignalbookError, TooFast, Unavailable
from app.live.sockets.limits import EventRate, SocketLimits
from app.live.sockets.requests import error_ack
from app.live.sockets.send_queue import BoundedSocketServer, SendQueue, event

_log: Final = structlog.get_logger()
_SOCKETS: Final = "signalbook.session"
_REFUSED: Final = 1.0  # seconds
# The server puts it into the scope of a WebSocket: ends the connection without waiting.
ABORT: Final = "signalbook.abort"
_DISCONNECT: Final = engine_packet.Packet(engine_packet.MESSAGE, "1")

Scope = MutableMapping[str, Any]


class Session:
    """One Engine.IO session, and the WebSocket that it runs on, where it does."""

    __slots__ = ("abort", "ended", "name", "pace", "timer", "trusted")

    def __init__(self, name: str, pace: EventRate) -> None:
        self.name, self.pace = name, pace
        self.abort: Callable[[], None] | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.trusted = self.ended = False

    def after(self, seconds: float, do: Callable[..., object], *args: object) -> None:
        """Do this later, instead of what was to be done."""
        self.rest()
        self.timer = asyncio.get_running_loop().call_later(seconds, do, *args)

    def rest(self) -> None:
        """Do nothing later."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def cut(self) -> None:
        """End the connection, whatever is still on its way."""
        if self.abort is not None:
            self.abort()


class Sessions:
    """Is told by the wire what happens to its sessions, and ends those that go too far."""

    def __init__(self, limits: SocketLimits, trusted: str) -> None:
        self.limits, self._trusted = limits, trusted
        self._open: dict[str, Session] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = True
        self.wire: BoundedSocketServer

    def __len__(self) -> int:
        return len(self._open)

    def get(self, name: str) -> Session | None:
        """Give a session that is open."""
        return self._open.get(name)

    def start(self) -> None:
        """Let sockets in."""
        self._stopped = False

    def stop(self) -> None:
        """Let no more sockets in, and end those that are there: they come back to another."""
        self._stopped = True
        for session in tuple(self._open.values()):
            self.end(session.name)

    async def stopped(self) -> None:
        """Wait until all have ended."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def refuse(self, name: str, *, websocket: bool) -> None:
        """Raise Unavailable, Busy or BadRequest where a request has no place here."""
        if self._stopped:
            raise Unavailable("The service is starting or stopping: try again in a moment.")
        if not name and len(self._open) >= self.limits.sockets:
            raise Busy(f"This process holds {self.limits.sockets} sockets, and takes no more.")
        known = self._open.get(name)
        if websocket and known is not None and known.abort is not None:
            raise BadRequest("This session runs on another WebSocket already.")

    # What the wire tells

    def opened(self, session: str, environ: dict[str, Any]) -> None:
        """A session has begun; it must say CONNECT soon."""
        now = asyncio.get_running_loop().time()
        made = self._open[session] = Session(session, EventRate(self.limits, now))
        scope: Scope = environ["asgi.scope"]
        made.trusted = bool(scope.get(self._trusted))
        scope[_SOCKETS] = made
        if scope["type"] == "websocket":
            made.abort = _abort(scope)
        made.after(self.limits.hello, self.end, session)
        outbox = self.wire.outbox(session)
        assert outbox is not None, "it has just been opened"
        outbox.overflow = lambda: self._overflowed(made)

    def welcomed(self, session: str) -> None:
        """A session has said CONNECT, and was let in."""
        if made := self._open.get(session):
            made.rest()

    def refused(self, session: str) -> None:
        """A session was not let in: it is ended when it has heard so."""
        if made := self._open.get(session):
            # A poll that asks for it may still be on its way.
            made.after(0.0 if made.abort else _REFUSED, self.end, session)

    def may_say(self, session: str, size: int) -> bool:
        """Count a message; end a session that says too much."""
        made = self._open.get(session)
        if made is None or made.ended:
            return False
        now = asyncio.get_running_loop().time()
        if made.pace.allows(size, now, self.limits):
            return True
        self.end(session, TooFast("Too many events at once: this connection is closed."))
        return False

    def broken(self, session: str, what: str) -> None:
        """A session has sent what is no Socket.IO."""
        self.end(session, BadRequest(f"This is not what Socket.IO sends ({what})."))

    def closed(self, session: str) -> None:
        """A session is over; its connection has a moment to end."""
        if made := self._open.pop(session, None):
            made.ended = True
            made.rest()
            if made.abort is not None:
                made.after(self.limits.goodbye, made.cut)
        if socket := self.wire.eio.sockets.get(session):
            # Whoever waits for what is to be sent, a poll or a writer, would wait for long.
            asyncio.get_running_loop().call_soon(socket.queue.put_nowait, None)

    # Ending

    def end(self, session: str, why: SignalbookError | None = None) -> None:
        """End a session, with a word where it is its own fault."""
        made = self._open.get(session)
        if made is None or made.ended:
            return
        made.ended = True
        if why is not None:
            _log.info("socket dropped", code=why.code, reason=why.message)
        self._begin(self._say_goodbye(session, why))

    async def _say_goodbye(self, session: str, why: SignalbookError | None) -> None:
        socket = self.wire.eio.sockets.get(session)
        if socket is None:
            return
        if why is not None:
            socket.queue.put_nowait(event("refused", to_json(error_ack(why)).decode()))
            socket.queue.put_nowait(_DISCONNECT)
        await socket.close(wait=False)

    def _overflowed(self, session: Session) -> None:
        """End a session that does not read, at once: nothing more would reach it."""
        if not session.ended:
            session.ended = True
            _log.info("socket dropped", code="TOO_SLOW", reason="It does not read what it is sent.")
            self._begin(self._drop(session))

    async def _drop(self, session: Session) -> None:
        socket = self.wire.eio.sockets.get(session.name)
        if socket is not None:
            await socket.close(wait=False, abort=True)
            _emptied(socket.queue)
        session.cut()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Requests

    def taking_over(self, name: str, scope: Scope) -> Session | None:
        """Note that a WebSocket wants to take over a session from polling; it must soon have."""
        session = self._open.get(name)
        if session is not None:
            session.abort = _abort(scope)
            scope[_SOCKETS] = session
            loop = asyncio.get_running_loop()
            loop.call_later(self.limits.hello, self._took_over, session, session.abort)
        return session

    def _took_over(self, session: Session, abort: Callable[[], None]) -> None:
        socket = self.wire.eio.sockets.get(session.name)
        if session.abort is abort and (socket is None or not socket.upgraded):
            abort()

    def left(self, scope: Scope) -> None:
        """Note that a WebSocket's request is over."""
        session: Session | None = scope.get(_SOCKETS)
        if session is None:
            return
        session.abort = None
        if session.ended:
            session.rest()
        if (socket := self.wire.eio.sockets.get(session.name)) and not socket.upgraded:
            # The library goes on to answer polls as if somebody were taking over.
            socket.upgrading = False

    def failed(self, scope: Scope) -> None:
        """End the session of a request that failed."""
        session: Session | None = scope.get(_SOCKETS)
        if session is not None:
            self.end(session.name)


def _abort(scope: Scope) -> Callable[[], None]:
    extensions = scope.get("extensions") or {}
    found: Callable[[], None] = extensions.get(ABORT, {}).get("now", _nothing)
    return found


def _nothing() -> None:
    """A server that has no such thing waits for the client instead."""


def _emptied(queue: SendQueue) -> None:
    while not queue.empty():
        queue.get_nowait()

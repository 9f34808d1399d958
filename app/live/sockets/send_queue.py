"""python-socketio with bounds: on what waits to be sent, and on what a client may send.

The library's queue of what waits for a socket has no end, it lets a client call the handlers of
``connect`` and ``disconnect`` as if they were events, and it keeps binary attachments for as long
as more are promised. None of that here.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final, Protocol

import engineio
import socketio
from engineio import packet as engine_packet
from engineio.payload import Payload

# Of one polling request. The library takes 16, and loses the rest without a word.
Payload.max_decode_packets = 1_000
_SILENT: Final = logging.getLogger("signalbook.socketio")
_SILENT.setLevel(logging.CRITICAL + 1)
_BINARY: Final = ("5", "6")


class SendQueue(asyncio.Queue[Any]):
    """What waits to be sent to one socket; ``overflow`` is called when it is more than allowed."""

    def __init__(self, packets: int, size: int) -> None:
        super().__init__()
        self._packets, self._bytes = packets, size
        self.size = 0
        self.overflow: Callable[[], None] = lambda: None
        self._sent: asyncio.Event | None = None

    async def sent(self) -> None:
        """Wait until all of it is on its way."""
        while not self.empty():
            self._sent = self._sent or asyncio.Event()
            await self._sent.wait()

    def _put(self, item: Any) -> None:
        super()._put(item)
        self.size += _weight(item)
        if self.qsize() > self._packets or self.size > self._bytes:
            self.overflow()

    def _get(self) -> Any:
        item = super()._get()
        self.size -= _weight(item)
        if self._sent is not None and self.empty():
            self._sent.set()
            self._sent = None
        return item


def _weight(item: Any) -> int:
    """Count the characters of a packet; what is not text is small."""
    text = getattr(item, "data", None)
    return len(text) if isinstance(text, (str, bytes)) else 0


def event(name: str, payload: str) -> engine_packet.Packet:
    """Make the packet of an event from its name and its argument as JSON, for any number of
    sockets."""
    return engine_packet.Packet(engine_packet.MESSAGE, f'2["{name}",{payload}]')


class BoundedEngine(engineio.AsyncServer):  # type: ignore[misc]  # the library has no types
    """An Engine.IO server whose queues are bounded."""

    bounds = (2_000, 4_000_000)

    def create_queue(self, *_: Any, **__: Any) -> SendQueue:
        """Make the queue of one socket."""
        return SendQueue(*self.bounds)

    async def disconnect(self, sid: str | None = None) -> None:
        """Close a session. The library would wait until the client has taken all it is sent."""
        socket = self.sockets.get(sid)
        if socket is not None:
            await socket.close(wait=False)


class BoundedSocketServer(socketio.AsyncServer):  # type: ignore[misc]  # the library has no types
    """A Socket.IO server that drops who breaks the protocol, alone and without a trace in the log.

    What happens to an Engine.IO session is told to ``watch``.
    """

    def __init__(self, watch: "Watching", **options: Any) -> None:
        super().__init__(async_mode="asgi", async_handlers=False, logger=_SILENT,
                         engineio_logger=_SILENT, **options)  # fmt: skip
        self._watch = watch

    def _engineio_server_class(self) -> type[BoundedEngine]:
        return BoundedEngine

    def session_of(self, sid: str) -> str | None:
        """Give the Engine.IO session of a socket."""
        found: str | None = self.manager.eio_sid_from_sid(sid, "/")
        return found

    def outbox(self, session: str) -> SendQueue | None:
        """Give the queue of a session, None where it is closed."""
        socket = self.eio.sockets.get(session)
        return None if socket is None or socket.closed else socket.queue

    async def _handle_eio_connect(self, eio_sid: str, environ: dict[str, Any]) -> None:
        await super()._handle_eio_connect(eio_sid, environ)
        self._watch.opened(eio_sid, environ)

    async def _handle_eio_message(self, eio_sid: str, data: Any) -> None:
        if not self._watch.may_say(eio_sid, len(data) if isinstance(data, (str, bytes)) else 0):
            return
        try:
            if not isinstance(data, str) or data.startswith(_BINARY):
                raise ValueError("binary")  # noqa: TRY301  # answered as every fault is
            await super()._handle_eio_message(eio_sid, data)
        except Exception as error:  # noqa: BLE001  # whatever it was, the client has sent it
            self._watch.broken(eio_sid, type(error).__name__)

    async def _handle_connect(self, eio_sid: str, namespace: str | None, data: Any) -> None:
        await super()._handle_connect(eio_sid, namespace, data)
        if self.manager.sid_from_eio_sid(eio_sid, "/") is None:
            self._watch.refused(eio_sid)

    async def _handle_event(
        self,
        eio_sid: str,
        namespace: str,
        id: int | None,  # noqa: A002  # the library's own name
        data: Any,
    ) -> None:
        named = isinstance(data, list) and data and isinstance(data[0], str)
        if not named or data[0] in self.reserved_events:
            raise ValueError("event")
        await super()._handle_event(eio_sid, namespace, id, data)

    async def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None:
        try:
            await super()._handle_eio_disconnect(eio_sid, reason)
        finally:
            self._watch.closed(eio_sid)


class Watching(Protocol):
    """Who is told what happens to the Engine.IO sessions, by their ids."""

    def opened(self, session: str, environ: dict[str, Any]) -> None: ...
    def may_say(self, session: str, size: int) -> bool: ...
    def broken(self, session: str, what: str) -> None: ...
    def refused(self, session: str) -> None: ...
    def closed(self, session: str) -> None: ...

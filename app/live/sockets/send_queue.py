"""python-socketio with bounds: on what waits to be sent, and on what a client may send.

The library's send queue grows without end. It lets a client call the handlers of ``connect`` and
``disconnect`` as if they were events, and it holds binary attachments for as long as a client
announces more. All three are closed here.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final, Protocol

import engineio
import socketio
from engineio import packet as engine_packet
from engineio.payload import Payload

# In one polling request. The library takes 16, and silently drops the rest.
Payload.max_decode_packets = 1_000
_SILENT: Final = logging.getLogger("signalbook.socketio")
_SILENT.setLevel(logging.CRITICAL + 1)
_BINARY: Final = ("5", "6")


class SendQueue(asyncio.Queue[Any]):
    """What waits to be sent to one socket; ``overflow`` is called above the allowed size."""

    def __init__(self, packets: int, size: int) -> None:
        super().__init__()
        self._most_packets, self._most_characters = packets, size
        self.size = 0
        self.overflow: Callable[[], None] = lambda: None
        self._emptied: asyncio.Event | None = None

    async def wait_until_empty(self) -> None:
        """Wait until all of it is on its way."""
        while not self.empty():
            self._emptied = self._emptied or asyncio.Event()
            await self._emptied.wait()

    def _put(self, item: Any) -> None:
        super()._put(item)
        self.size += _weight(item)
        if self.qsize() > self._most_packets or self.size > self._most_characters:
            self.overflow()

    def _get(self) -> Any:
        item = super()._get()
        self.size -= _weight(item)
        if self._emptied is not None and self.empty():
            self._emptied.set()
            self._emptied = None
        return item


def _weight(item: Any) -> int:
    """Count the characters of a packet; anything but text is small."""
    text = getattr(item, "data", None)
    return len(text) if isinstance(text, (str, bytes)) else 0


def event(name: str, payload: str) -> engine_packet.Packet:
    """Make the packet of an event from its name and its argument as JSON.

    One packet may be put into any number of queues.
    """
    return engine_packet.Packet(engine_packet.MESSAGE, f'2["{name}",{payload}]')


class BoundedEngine(engineio.AsyncServer):  # type: ignore[misc]  # the library has no types
    """An Engine.IO server whose queues are bounded."""

    bounds = (2_000, 4_000_000)

    def create_queue(self, *_: Any, **__: Any) -> SendQueue:
        """Return the queue of a new socket."""
        return SendQueue(*self.bounds)

    async def disconnect(self, sid: str | None = None) -> None:
        """Close a session without waiting, as the library would, until the client has read all."""
        socket = self.sockets.get(sid)
        if socket is not None:
            await socket.close(wait=False)


class BoundedSocketServer(socketio.AsyncServer):  # type: ignore[misc]  # the library has no types
    """A Socket.IO server that drops a client that breaks the protocol, without a traceback.

    ``observer`` is called when something happens to an Engine.IO session.
    """

    def __init__(self, observer: "SessionObserver", **options: Any) -> None:
        super().__init__(async_mode="asgi", async_handlers=False, logger=_SILENT,
                         engineio_logger=_SILENT, **options)  # fmt: skip
        self._observer = observer

    def _engineio_server_class(self) -> type[BoundedEngine]:
        return BoundedEngine

    def session_of(self, sid: str) -> str | None:
        """Return the Engine.IO session of a socket."""
        session: str | None = self.manager.eio_sid_from_sid(sid, "/")
        return session

    def send_queue(self, session: str) -> SendQueue | None:
        """Return the queue of a session, None if it is closed."""
        socket = self.eio.sockets.get(session)
        return None if socket is None or socket.closed else socket.queue

    async def _handle_eio_connect(self, eio_sid: str, environ: dict[str, Any]) -> None:
        await super()._handle_eio_connect(eio_sid, environ)
        self._observer.on_open(eio_sid, environ)

    async def _handle_eio_message(self, eio_sid: str, data: Any) -> None:
        if not self._observer.allows(eio_sid, len(data) if isinstance(data, (str, bytes)) else 0):
            return
        try:
            if not isinstance(data, str) or data.startswith(_BINARY):
                raise ValueError("binary")  # noqa: TRY301  # handled below as any other
            await super()._handle_eio_message(eio_sid, data)
        except Exception as error:  # noqa: BLE001  # whatever it was, the client has sent it
            self._observer.on_protocol_error(eio_sid, type(error).__name__)

    async def _handle_connect(self, eio_sid: str, namespace: str | None, data: Any) -> None:
        await super()._handle_connect(eio_sid, namespace, data)
        if self.manager.sid_from_eio_sid(eio_sid, "/") is None:
            self._observer.on_reject(eio_sid)

    async def _handle_event(
        self,
        eio_sid: str,
        namespace: str,
        id: int | None,  # noqa: A002  # the library's own name
        data: Any,
    ) -> None:
        has_name = isinstance(data, list) and data and isinstance(data[0], str)
        if not has_name or data[0] in self.reserved_events:
            raise ValueError("event")
        await super()._handle_event(eio_sid, namespace, id, data)

    async def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None:
        try:
            await super()._handle_eio_disconnect(eio_sid, reason)
        finally:
            self._observer.on_close(eio_sid)


class SessionObserver(Protocol):
    """What the server calls for each Engine.IO session, with the session's id."""

    def on_open(self, session: str, environ: dict[str, Any]) -> None: ...
    def allows(self, session: str, size: int) -> bool: ...
    def on_protocol_error(self, session: str, what: str) -> None: ...
    def on_reject(self, session: str) -> None: ...
    def on_close(self, session: str) -> None: ...

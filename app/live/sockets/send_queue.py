"""Engine.IO with bounds: the library's own send queue grows without end."""

import asyncio
from collections.abc import Callable
from typing import Any

import engineio
from engineio import packet as engine_packet
from engineio.payload import Payload

# In one polling request. The library takes 16, and silently drops the rest.
Payload.max_decode_packets = 1_000


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


FindQueue = Callable[[str], SendQueue | None]
"""Returns the queue of a socket, None if the socket has gone."""


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
        return SendQueue(*self.bounds)

    async def disconnect(self, sid: str | None = None) -> None:
        """Close a session without waiting, as the library would, until the client has read all."""
        socket = self.sockets.get(sid)
        if socket is not None:
            await socket.close(wait=False)

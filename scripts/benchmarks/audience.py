"""Readers that watch a show: Socket.IO clients and streams on several servers, in one process.

The first order names the servers to join. The second waits until each reader has enough events, and
returns them.
"""

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any, Final

import aiohttp
import socketio
import uvloop

from scripts.benchmarks.aside import answer
from scripts.benchmarks.hearing import Event, now, number_in

_JOIN_SECONDS: Final = 10


class Reader:
    """The events of one reader, in the order in which they came."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def hear(self, update: Mapping[str, Any]) -> None:
        """Record an update: the argument of an event, or an entry of the feed."""
        at = now()
        self.events.append(Event(update["seq"], number_in(update["changes"]["note"][1]), at))


class Audience:
    """All readers."""

    def __init__(self) -> None:
        self._readers: list[Reader] = []
        self._connections: list[Any] = []
        self._busy, self._since = 0.0, 0

    async def do(self, order: dict[str, Any]) -> Any:
        """Carry out the next order."""
        return await (self._join(order) if "production" in order else self._collect(**order))

    async def _join(self, order: dict[str, Any]) -> int:
        """Connect the sockets of each server, then its streams, server by server."""
        production = order["production"]
        for place in order["servers"]:
            for _ in range(place["sockets"]):
                await self._socket(place["origin"], production)
            for _ in range(place["streams"]):
                await self._stream(place["origin"], production)
        self._busy, self._since = time.process_time(), now()
        return len(self._readers)

    async def _socket(self, origin: str, production: str) -> None:
        reader, client = self._reader(), socketio.AsyncClient(reconnection=False)
        client.on("entity:updated", reader.hear)
        await client.connect(origin, transports=["websocket"], wait_timeout=_JOIN_SECONDS)
        request = {"productionId": production}
        joined = await client.call("production:join", request, timeout=_JOIN_SECONDS)
        if "error" in joined:
            raise RuntimeError(joined["message"])
        self._connections.append(client)

    async def _stream(self, origin: str, production: str) -> None:
        session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None))
        path = f"{origin}/api/productions/{production}/changes/stream"
        response = await session.get(path, raise_for_status=True)
        await response.content.readuntil(b"\n\n")
        reading = asyncio.create_task(_read(self._reader(), response.content))
        self._connections += [session, reading]

    def _reader(self) -> Reader:
        self._readers.append(Reader())
        return self._readers[-1]

    async def _collect(self, expect: int, within: float) -> dict[str, Any]:
        """Wait until each has so many events, or for so many seconds; return the events."""
        give_up = now() + int(within * 1e9)
        while now() < give_up and (  # noqa: ASYNC110  # an event at each arrival would cost time
            any(len(reader.events) < expect for reader in self._readers)
        ):
            await asyncio.sleep(0.05)
        share = (time.process_time() - self._busy) / ((now() - self._since) / 1e9)
        # A repeated event may come a little later.
        await asyncio.sleep(1)
        return {"heard": [reader.events for reader in self._readers], "share": share}


async def _read(reader: Reader, lines: aiohttp.StreamReader) -> None:
    is_change = False
    async for line in lines:
        if line.startswith(b"event:"):
            is_change = line == b"event: change\n"
        elif is_change and line.startswith(b"data: "):
            reader.hear(json.loads(line[6:]))


if __name__ == "__main__":
    uvloop.run(answer(Audience().do))

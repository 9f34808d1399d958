"""Thousands of sockets that watch and send nothing, in one process.

WebSocket, Engine.IO and Socket.IO are written by hand, as far as they are needed: a client library
would take longer to read an event than the server to send it.
"""

import asyncio
import re
import time
from itertools import cycle
from typing import Any, Final, cast
from urllib.parse import urlsplit

import uvloop

from scripts.benchmarks.aside import answer
from scripts.benchmarks.hearing import Event, now, number_in

_AT_ONCE: Final = 50
_JOIN_SECONDS: Final = 30
_PATH: Final = "/socket.io/?EIO=4&transport=websocket"
_ASKED: Final = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
_KEY: Final = "Sec-WebSocket-Key: c2lnbmFsYm9vayBiZW5jaA==\r\n"
_TEXT, _CLOSE = 0x81, 0x88
_UPDATED: Final = b'42["entity:updated",'
_NOTE: Final = re.compile(rb'"note":"([^"]*)"')
_SEQ: Final = re.compile(rb'"seq":(\d+)')


class Socket(asyncio.Protocol):
    """One connection: joins its production, answers pings, and records updates."""

    def __init__(self, host: str, production: str) -> None:
        self._host, self._production = host, production
        self._received = b""
        self._opened = False
        self._transport: asyncio.Transport | None = None
        self.events: list[Event] = []
        loop = asyncio.get_running_loop()
        self.joined: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for a WebSocket."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class is unrelated
        request = f"GET {_PATH} HTTP/1.1\r\nHost: {self._host}\r\n{_ASKED}{_KEY}\r\n"
        self._transport.write(request.encode())

    def data_received(self, data: bytes) -> None:
        """Read every whole frame."""
        self._received += data
        if not self._opened:
            head, end, rest = self._received.partition(b"\r\n\r\n")
            if not end:
                return
            self._opened, self._received = True, rest
            if b" 101 " not in head[:20]:
                self._fail(head.decode(errors="replace"))
        while (text := self._frame()) is not None:
            self._hear(text)

    def connection_lost(self, exc: Exception | None) -> None:
        """Record that the connection ended."""
        self._fail(f"A socket was ended: {exc}")
        self.ended.set_result(None)

    def leave(self) -> None:
        """Close the connection, as a closed browser tab does."""
        self._write(_CLOSE, b"")
        if self._transport is not None:
            self._transport.close()

    def _fail(self, why: str) -> None:
        if not self.joined.done():
            self.joined.set_exception(RuntimeError(why[:300]))

    def _frame(self) -> bytes | None:
        """Return the next whole frame, or None. The server's are neither masked nor split."""
        received = self._received
        if len(received) < 2:
            return None
        length, start = received[1], 2
        if length > 125:
            start = 4 if length == 126 else 10
            length = int.from_bytes(received[2:start], "big")
        if len(received) < start + length:
            return None
        self._received = received[start + length :]
        return received[start : start + length]

    def _hear(self, text: bytes) -> None:
        if text.startswith(_UPDATED):
            self._record(text)
        elif text == b"2":
            self._write(_TEXT, b"3")
        elif text.startswith(b"0"):
            self._write(_TEXT, b"40")
        elif text.startswith(b"40"):
            join = f'420["production:join",{{"productionId":"{self._production}"}}]'
            self._write(_TEXT, join.encode())
        elif text.startswith((b"430", b"44")) and not self.joined.done():
            if text.startswith((b'430[{"error"', b"44")):
                self._fail(text.decode(errors="replace"))
            else:
                self.joined.set_result(None)

    def _record(self, text: bytes) -> None:
        at, note, seq = now(), _NOTE.search(text), _SEQ.search(text)
        if note and seq:
            self.events.append(Event(int(seq[1]), number_in(note[1].decode()), at))

    def _write(self, kind: int, text: bytes) -> None:
        """Send one masked frame; the mask is all zeros."""
        assert self._transport is not None
        size = len(text)
        length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
        self._transport.write(bytes([kind]) + length + bytes(4) + text)


class Crowd:
    """All sockets."""

    def __init__(self) -> None:
        self._sockets: list[Socket] = []

    async def do(self, order: dict[str, Any]) -> Any:
        """Carry out the next order: join, return the events, or leave."""
        if "productions" in order:
            return await self._join(**order)
        if "leave" in order:
            return await self._leave()
        return await self._collect(**order)

    async def _join(self, origin: str, productions: list[str], sockets: int) -> float:
        """Let the sockets join the productions in turn; return the seconds it took."""
        began, turns = time.perf_counter(), cycle(productions)
        for first in range(0, sockets, _AT_ONCE):
            some = min(_AT_ONCE, sockets - first)
            joins = [self._joined(origin, next(turns)) for _ in range(some)]
            self._sockets += await asyncio.gather(*joins)
        return time.perf_counter() - began

    async def _joined(self, origin: str, production: str) -> Socket:
        address, loop = urlsplit(origin), asyncio.get_running_loop()
        _, client = await loop.create_connection(
            lambda: Socket(address.netloc, production), address.hostname or "", address.port or 0
        )
        async with asyncio.timeout(_JOIN_SECONDS):
            await client.joined
        return client

    async def _collect(self, within: float) -> list[list[Event]]:
        """Wait until each has an event, or for so many seconds; return the events."""
        give_up = now() + int(within * 1e9)
        while now() < give_up and (  # noqa: ASYNC110  # an event at each arrival would cost time
            not all(socket.events for socket in self._sockets)
        ):
            await asyncio.sleep(0.05)
        await asyncio.sleep(1)  # a repeated event may come a little later
        events = [socket.events for socket in self._sockets]
        for socket in self._sockets:
            socket.events = []
        return events

    async def _leave(self) -> int:
        """Let all leave; return how many there were."""
        for socket in self._sockets:
            socket.leave()
        await asyncio.gather(*(socket.ended for socket in self._sockets))
        count = len(self._sockets)
        self._sockets = []
        return count


if __name__ == "__main__":
    uvloop.run(answer(Crowd().do))

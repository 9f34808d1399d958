"""Strangers without a token, who take what they can of a server: the attacks of ``hostile``.

They run in a process of their own, and come from other addresses of the loopback than the holder of
a token does.
"""

import asyncio
from dataclasses import dataclass
from itertools import count
from typing import Any, Final
from urllib.parse import urlsplit

import uvloop

from scripts.benchmarks.aside import answer

_HOST: Final = b"HTTP/1.1\r\nHost: 127.0.0.1\r\n"
_POST: Final = b"POST /api/productions " + _HOST + b"Content-Type: application/json\r\n"
_POLL: Final = b"GET /socket.io/?EIO=4&transport=polling " + _HOST + b"Connection: close\r\n\r\n"
_NUMBER: Final = b"0" * 43  # the length of a token's secret
_TOKEN: Final = b"Authorization: Bearer sb_0000000000000000." + _NUMBER + b"\r\n"
_GUESS: Final = b"GET /api/productions " + _HOST + _TOKEN + b"Connection: close\r\n\r\n"
_AGAIN: Final = 0.2
_FOREVER: Final = 10**9
_ADDRESSES: Final = 4


@dataclass(frozen=True)
class Attack:
    """What each of ``connections`` sends: an opening, and pieces with a pause before each.

    A connection that is ended is opened again, ``most`` connections in all. The 43 zeros of an
    opening become its number.
    """

    title: str
    connections: int
    opening: bytes = b""
    piece: bytes = b""
    pieces: int = 0
    pause: float = 0.0
    again: float = _AGAIN
    most: int = _FOREVER


ATTACKS: Final = {
    "silent": Attack("1,150 silent connections", 1_150),
    "slow-heads": Attack(
        "500 heads, a line a second", 500, b"GET / " + _HOST, b"a: b\r\n", _FOREVER, 1.0
    ),
    "slow-bodies": Attack(
        "500 bodies, a byte a second", 500, _POST + b"Content-Length: 1000000\r\n\r\n", b"{",
        _FOREVER, 1.0,
    ),
    "large-heads": Attack(
        "20 heads of 20 MB", 20, b"GET / " + _HOST + b"Cookie: ", b"a" * 100_000, 200
    ),
    "large-bodies": Attack(
        "10 bodies of 100 MB", 10, _POST + b"Content-Length: 100000000\r\n\r\n", b"x" * 100_000,
        1_000,
    ),
    "guesses": Attack("2,000 wrong tokens of 8 callers", 8, _GUESS, again=0.0, most=2_000),
    "handshakes": Attack("5,000 handshakes of 8 pollers", 8, _POLL, again=0.0, most=5_000),
}  # fmt: skip


class Attackers:
    """The attack that runs."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self._opened = count()

    async def do(self, order: dict[str, Any]) -> Any:
        """Begin an attack, or end it; return how many connections it has opened."""
        if "attack" in order:
            attack, self._opened = ATTACKS[order["attack"]], count()
            self._tasks = [
                asyncio.create_task(self._keep_on(attack, order["origin"], number))
                for number in range(attack.connections)
            ]
            await asyncio.sleep(order["lead"])
            return 0
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return next(self._opened)

    async def _keep_on(self, attack: Attack, origin: str, number: int) -> None:
        place = urlsplit(origin)
        source = (f"127.0.1.{1 + number % _ADDRESSES}", 0)
        while (opened := next(self._opened)) < attack.most:
            try:
                reader, writer = await asyncio.open_connection(
                    place.hostname, place.port, local_addr=source
                )
            except OSError:
                await asyncio.sleep(_AGAIN)
                continue
            ended = asyncio.create_task(_read(reader))
            try:
                await _send(writer, attack, opened, ended)
            except OSError:
                pass
            finally:
                ended.cancel()
                writer.transport.abort()
            await asyncio.sleep(attack.again)


async def _read(reader: asyncio.StreamReader) -> None:
    try:
        while await reader.read(65_536):
            pass
    except OSError:
        return


async def _send(
    writer: asyncio.StreamWriter, attack: Attack, number: int, ended: asyncio.Task[None]
) -> None:
    writer.write(attack.opening.replace(_NUMBER, b"%043d" % number))
    for _ in range(attack.pieces):
        if ended.done():
            return
        if attack.pause:
            await asyncio.wait([ended], timeout=attack.pause)
        writer.write(attack.piece)
        await writer.drain()
    await ended


if __name__ == "__main__":
    uvloop.run(answer(Attackers().do))

"""The built-in load generator: reads an order as JSON on standard input, prints what it measured.

It reads only an answer's status and length, so that it is faster than any server in Python.
"""

import asyncio
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from time import perf_counter
from typing import Any, Final, cast
from urllib.parse import urlsplit

import uvloop

_LENGTH: Final = b"\r\ncontent-length:"
_CHUNKED: Final = b"\r\ntransfer-encoding: chunked"
_LAST_CHUNK: Final = b"0\r\n\r\n"
_END: Final = b"\r\n\r\n"
_UNCHANGED: Final = b"304"


@dataclass
class Score:
    """The seconds of each answer on all connections, and the number of errors."""

    times: list[float] = field(default_factory=list)
    errors: int = 0
    ends_at: float = 0.0


class Client(asyncio.Protocol):
    """One connection: sends, waits for the whole answer, and sends again until the time is up."""

    def __init__(self, requests: Iterator[bytes], score: Score) -> None:
        self._requests, self._score = requests, score
        self._received, self._missing, self._chunked = b"", 0, False
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class is unrelated
        self._send()

    def data_received(self, data: bytes) -> None:
        """Count the answer's bytes; when it is whole, send the next request."""
        if self._chunked:
            self._read_chunks(data)
        elif self._missing:
            self._missing -= len(data)
        else:
            self._received += data
            self._read_head()
        if not self._missing and not self._received and not self._chunked:
            self._answered()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's own name
        """Count a connection that ended too early as an error."""
        if not self.finished.done():
            self._score.errors += 1
            self.finished.set_result(None)

    def _read_head(self) -> None:
        head, end, body = self._received.partition(_END)
        if not end:
            return
        status, head = head[9:12], head.lower()
        if status[:1] != b"2" and status != _UNCHANGED:
            self._score.errors += 1
        self._received = b""
        if _CHUNKED in head:
            self._chunked = True
            self._read_chunks(body)
        elif _LENGTH in head and status != _UNCHANGED:
            length = head.partition(_LENGTH)[2].split(b"\r\n", 1)[0]
            self._missing = int(length) - len(body)

    def _read_chunks(self, data: bytes) -> None:
        """Look for the last chunk. Nothing follows it, since one request is sent at a time."""
        self._received = (self._received + data)[-len(_LAST_CHUNK) :]
        if self._received == _LAST_CHUNK:
            self._received, self._chunked = b"", False

    def _send(self) -> None:
        assert self._transport is not None
        self._sent_at = perf_counter()
        self._transport.write(next(self._requests))

    def _answered(self) -> None:
        now = perf_counter()
        self._score.times.append(now - self._sent_at)
        if now < self._score.ends_at:
            self._send()
        elif not self.finished.done() and self._transport:
            self.finished.set_result(None)
            self._transport.close()


def _requests(order: dict[str, Any]) -> Iterator[bytes]:
    headers = {"Host": urlsplit(order["origin"]).netloc, **order["headers"]}
    header_lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    heads = [f"{order['method']} {path} HTTP/1.1\r\n{header_lines}" for path in order["paths"]]
    if order["body"] is None:
        ready = [f"{head}\r\n".encode() for head in heads]
        while True:
            yield from ready
    for n in count(order["first"] + 1):
        body = order["body"].replace("{n}", str(n)).encode()
        length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        yield (heads[n % len(heads)] + length).encode() + body


async def _hammer(order: dict[str, Any]) -> dict[str, Any]:
    target, score, requests = urlsplit(order["origin"]), Score(), _requests(order)
    started = perf_counter()
    score.ends_at = started + order["seconds"]
    loop = asyncio.get_running_loop()
    clients: list[Client] = []
    for _ in range(order["connections"]):
        _, client = await loop.create_connection(
            lambda: Client(requests, score), target.hostname, target.port
        )
        clients.append(client)
    limit = order["seconds"] + order["answer_seconds"]
    _, late = await asyncio.wait([client.finished for client in clients], timeout=limit)
    score.errors += len(late)
    return _summary(score, perf_counter() - started)


def _summary(score: Score, seconds: float) -> dict[str, Any]:
    times = sorted(score.times) or [0.0]
    return {
        "requests": len(score.times),
        "seconds": seconds,
        "p50": times[len(times) // 2] * 1_000,
        "p99": times[len(times) * 99 // 100] * 1_000,
        "errors": score.errors,
    }


if __name__ == "__main__":
    print(json.dumps(uvloop.run(_hammer(json.load(sys.stdin)))))

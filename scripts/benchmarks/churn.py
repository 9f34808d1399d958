"""Connections that come and go, and connections that stay open and send nothing."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final
from urllib.parse import urlsplit

from scripts.benchmarks.load import LoadFailed

TURNS: Final = 5
CONNECTIONS: Final = 2_000
SILENT: Final = 500
_SECONDS: Final = 10
_CHUNK: Final = 65_536


def used_once(origin: str, path: str) -> None:
    """Open connections one after another, send one request on each, and close it.

    Raise LoadFailed.
    """
    host = urlsplit(origin).netloc
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    for _ in range(CONNECTIONS):
        answer = _exchanged(origin, request)
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise LoadFailed(f"{path} is answered with {answer[:40]!r} on a new connection.")


def _exchanged(origin: str, request: bytes) -> bytes:
    with _opened(origin) as connection:
        connection.sendall(request)
        first = connection.recv(_CHUNK)
        while connection.recv(_CHUNK):
            pass
        return first


@contextmanager
def silent(origin: str) -> Iterator[None]:
    """Hold many connections open without sending anything. Raise LoadFailed."""
    with ExitStack() as stack:
        for _ in range(SILENT):
            stack.enter_context(_opened(origin))
        yield


def _opened(origin: str) -> socket.socket:
    place = urlsplit(origin)
    try:
        return socket.create_connection((place.hostname or "", place.port or 0), _SECONDS)
    except OSError as failure:
        raise LoadFailed(
            f"A connection to {origin} cannot be opened ({failure.strerror}): "
            "allow more open files (ulimit -n)."
        ) from None

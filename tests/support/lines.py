"""Connections by hand: what is sent on them, byte for byte, and what comes back."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import httpx

WITHIN: Final = 60.0  # seconds; only a failure takes so long


class Answer(NamedTuple):
    """An answer, read to the end of the connection; status 0 where nothing came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        """The body, which must be an error's in the one form that errors have."""
        assert self.headers["content-type"] == "application/problem+json"
        assert self.headers["connection"] == "close"
        assert self.headers["x-content-type-options"] == "nosniff"
        body: dict[str, Any] = json.loads(self.body)
        assert body["status"] == self.status
        assert body["message"] == body["detail"]
        return body


@contextmanager
def line(client: httpx.Client, source: str = "127.0.0.1") -> Iterator[socket.socket]:
    """Open a connection to the service that a client asks, from an address of the loopback."""
    place = ("127.0.0.1", client.base_url.port or 0)
    with socket.create_connection(place, WITHIN, (source, 0)) as made:
        yield made


def head(client: httpx.Client, method: str, path: str, *more: str) -> bytes:
    """Return the head of a request."""
    host = f"Host: 127.0.0.1:{client.base_url.port}"
    return "\r\n".join((f"{method} {path} HTTP/1.1", host, *more, "", "")).encode()


def send(made: socket.socket, *parts: bytes) -> None:
    """Send as much as the other end takes."""
    try:
        for part in parts:
            made.sendall(part)
    except OSError:
        return


def answered(made: socket.socket, asked: bytes) -> int:
    """Ask, read one answer whole, and give its status."""
    made.sendall(asked)
    received = b""
    while b"\r\n\r\n" not in received:
        received += made.recv(1)
        assert received
    top = received.decode().lower()
    missing = int(top.partition("content-length: ")[2].partition("\r")[0])
    while missing:
        missing -= len(made.recv(missing))
    return int(top.split()[1])


def rest(made: socket.socket) -> Answer:
    """Read until the service closes the connection."""
    received = b""
    try:
        while chunk := made.recv(65_536):
            received += chunk
    except ConnectionResetError:
        pass
    if not received:
        return Answer(0, {}, b"")
    top, _, body = received.partition(b"\r\n\r\n")
    first, *lines = top.decode().split("\r\n")
    headers = dict(text.lower().split(": ", 1) for text in lines)
    return Answer(int(first.split()[1]), headers, body)


def exchanged(client: httpx.Client, *parts: bytes) -> Answer:
    """Send this on a connection of its own, and read until the service closes it."""
    with line(client) as made:
        send(made, *parts)
        return rest(made)

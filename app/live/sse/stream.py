"""A production's changes as server-sent events, for clients that have no Socket.IO.

What is sent is what the feed gives. ``id`` is an entry's number, so a browser that comes back says
where it was. The watch tells the next only when this was taken, so a client that reads slowly is
behind and costs no memory; one that takes nothing at all is left.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Final
from uuid import UUID

import structlog
from pydantic_core import to_json
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from app.errors import LogTrimmed
from app.live.feed.entries import Derived, FeedEntry
from app.live.feed.hub import Hub
from app.live.sse.streams import Streams

_log: Final = structlog.get_logger()
# At once, so that proxies and clients see that it is open; ``retry`` is in milliseconds.
_OPENING: Final = b"retry: 2000\n: open\n\n"
_BEAT: Final = b": still here\n\n"
_TOGETHER: Final = 65_536
_HEADERS: Final = {"cache-control": "no-store", "x-accel-buffering": "no"}


class Stream(StreamingResponse):
    """The response that tells of a production's changes after ``since``, or from now on.

    Before its first byte it raises NotFound, LogTrimmed, Busy and Unavailable.
    """

    media_type = "text/event-stream"

    def __init__(self, streams: Streams, hub: Hub, production: UUID, since: int | None) -> None:
        super().__init__((), headers=_HEADERS)
        self._streams, self._hub = streams, hub
        self._production, self._since = production, since
        self._opened, self._over = asyncio.Event(), asyncio.Event()
        self._sending = asyncio.Lock()
        self._stalled = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # ASGI's shape
        """Send until the client leaves or takes nothing, or the service stops."""
        self._send = send
        with self._streams.place(self._over.set):
            watch = await self._hub.watch(
                self._production, self._hear, self._since, trimmed=self._trimmed
            )
            try:
                await self._open()
                await self._until_over(receive)
            finally:
                await watch.close()
        if not self._stalled:
            with suppress(TimeoutError, OSError):
                async with asyncio.timeout(1):
                    await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _open(self) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await self._send(start)
        await self._write(_OPENING)
        if self._since:
            await self._repeat(self._since)
        self._opened.set()

    async def _repeat(self, seq: int) -> None:
        """Send once more the rows that read differently since the last entry the client has.

        It knows that entry by its number; whether it got what came after it, nobody knows.
        """
        page = await self._hub.read(self._production, seq - 1, limit=1)
        for entry in page.entries:
            await self._write(b"".join(map(_derived, entry.derived)))

    async def _until_over(self, receive: Receive) -> None:
        tasks = [asyncio.create_task(self._gone(receive)), asyncio.create_task(self._beat())]
        try:
            await self._over.wait()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._over.set()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._streams.heartbeat)
            await self._write(_BEAT)

    async def _hear(self, entries: Sequence[FeedEntry]) -> None:
        await self._opened.wait()
        for chunk in _together(map(_change, entries)):
            await self._write(chunk)

    async def _trimmed(self, lost: LogTrimmed) -> None:
        await self._opened.wait()
        told = to_json({"message": lost.message, **lost.members})
        await self._write(b"id: %d\nevent: resync\ndata: %b\n\n" % (lost.members["latest"], told))

    async def _write(self, chunk: bytes) -> None:
        async with self._sending:
            if self._over.is_set() or not chunk:
                return
            try:
                async with asyncio.timeout(self._streams.patience):
                    await self._send(
                        {"type": "http.response.body", "body": chunk, "more_body": True}
                    )
            except TimeoutError:
                self._stalled = True
                _log.info("stream left", production=str(self._production),
                          words="The client takes nothing; it can come back.")  # fmt: skip
                self._over.set()
            except OSError:
                self._over.set()


def _change(entry: FeedEntry) -> bytes:
    told = b"id: %d\nevent: change\ndata: %b\n\n" % (entry.seq, to_json(entry.raw))
    return told + b"".join(map(_derived, entry.derived))


def _derived(row: Derived) -> bytes:
    told = {
        "collection": row.collection,
        "entityType": row.entity_type,
        "entityId": row.uuid,
        "entityData": row.body,
    }
    return b"event: derived\ndata: %b\n\n" % to_json(told)


def _together(events: Iterable[bytes]) -> Iterator[bytes]:
    """Give the events in pieces of a size that the network likes."""
    piece = bytearray()
    for event in events:
        piece += event
        if len(piece) >= _TOGETHER:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)

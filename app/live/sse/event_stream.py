"""A production's changes as server-sent events, for clients that have no Socket.IO.

Each event is an entry of the feed. Its ``id`` is the entry's number, so a browser that reconnects
says how far it has read. The next entries are read only when these were taken: a client that reads
slowly falls behind and costs no memory. One that takes nothing at all is disconnected.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import structlog
from pydantic_core import to_json
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from app.access.caller import Caller
from app.access.memberships import CHANNEL
from app.access.watches import Watches
from app.background import running
from app.errors import Busy, LogTrimmed, Unavailable
from app.live.feed.entries import Derived, FeedEntry
from app.live.feed.hub import Hub
from app.live.feed.listener import Listener
from app.live.shutdown import Shutdown
from app.model.row_size import LARGEST_PUSH

_log: Final = structlog.get_logger()
# Sent at once, so that proxies and clients see an open stream; ``retry`` is in milliseconds.
_OPENING: Final = b"retry: 2000\n: open\n\n"
_HEARTBEAT: Final = b": still here\n\n"
_CHUNK: Final = 65_536
_HEADERS: Final = {"cache-control": "no-store", "x-accel-buffering": "no"}


@dataclass
class EventStreams:
    """Counts the ``open`` streams of one process, at most ``most``. Times in seconds.

    ``heartbeat`` is the pause between two comments that keep a connection alive. ``patience`` is
    how long a client may take nothing before it is disconnected.
    """

    shutdown: Shutdown
    watches: Watches
    most: int = 1_000
    heartbeat: float = 15.0
    patience: float = 30.0
    open: int = 0
    checks: dict[asyncio.Event, str] = field(default_factory=dict)
    """What lets a stream ask whether it may go on, with the subject that reads it."""

    def attach(self, listener: Listener) -> None:
        """Look anew at who reads when their memberships change."""
        listener.listen(CHANNEL, self._recheck)
        listener.on_connect(self._recheck_all)

    def _recheck(self, subject: str) -> None:
        """Let the streams of a subject ask whether they may go on."""
        for check in [check for check, reader in self.checks.items() if reader == subject]:
            check.set()

    async def _recheck_all(self, _: object = None) -> None:
        """Let all streams ask whether they may go on."""
        for check in tuple(self.checks):
            check.set()

    @contextmanager
    def count(
        self, caller: Caller, end: Callable[[], None], check: asyncio.Event
    ) -> Iterator[None]:
        """Count a stream while the block runs.

        ``end`` is called when the service stops, or the caller's credential is no longer valid.
        ``check`` is set when what the caller may do has changed.

        ``check`` is set when what ``subject`` may do has changed.

        Raises Busy if there are as many as there may be, Unavailable while the service stops.
        """
        if self.shutdown.has_begun:
            raise Unavailable("The service is stopping: try again in a moment.")
        if self.open >= self.most:
            raise Busy(f"This process serves {self.open} streams and takes no more: try again in a "
                       "moment, or ask for the changes without a stream.")  # fmt: skip
        self.open += 1
        self.checks[check] = caller.subject
        try:
            with self.shutdown.on_begin(end), self.watches.watching(caller, end):
                yield
        finally:
            self.open -= 1
            del self.checks[check]


class EventStream(StreamingResponse):
    """The response that sends a production's changes after ``since``, or from now on.

    It ends when ``may_go_on`` returns false: that is asked with each heartbeat, and as soon as what
    ``caller`` may do has changed.

    Before its first byte it raises NotFound, LogTrimmed, Busy and Unavailable.
    """

    media_type = "text/event-stream"

    def __init__(
        self, streams: EventStreams, hub: Hub, production: UUID, since: int | None,
        caller: Caller, may_go_on: Callable[[], Awaitable[bool]],
    ) -> None:  # fmt: skip
        super().__init__((), headers=_HEADERS)
        self._streams, self._hub, self._production, self._since = streams, hub, production, since
        self._caller, self._may_go_on = caller, may_go_on
        self._check = asyncio.Event()
        self._opened, self._over = asyncio.Event(), asyncio.Event()
        self._sending = asyncio.Lock()
        self._stalled = False

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send,  # noqa: ARG002  # ASGI's shape
    ) -> None:  # fmt: skip
        """Send until the client leaves or takes nothing, or the service stops."""
        self._send = send
        with self._streams.count(self._caller, self._over.set, self._check):
            subscription = await self._hub.subscribe(
                self._production, self._on_entries, self._since, on_trimmed=self._on_trimmed
            )
            try:
                await self._open()
                async with running(self._watch_for_disconnect(receive), self._keep_alive()):
                    await self._over.wait()
            finally:
                await subscription.close()
        if not self._stalled:
            with suppress(TimeoutError, OSError):
                async with asyncio.timeout(1):
                    await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _open(self) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await self._send(start)
        await self._write(_OPENING)
        if self._since:
            # The client names its last entry, and may have lost the derived rows that followed it.
            page = await self._hub.read(self._production, self._since - 1, limit=1)
            for entry in page.entries:
                await self._write(b"".join(map(_derived_event, entry.derived)))
        self._opened.set()

    async def _watch_for_disconnect(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._over.set()

    async def _keep_alive(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._streams.heartbeat):
                    await self._check.wait()
            self._check.clear()
            if not await self._may_go_on():
                self._over.set()
            await self._write(_HEARTBEAT)

    async def _on_entries(self, entries: Sequence[FeedEntry]) -> None:
        await self._opened.wait()
        for chunk in _chunks(map(change_event, entries)):
            await self._write(chunk)

    async def _on_trimmed(self, gap: LogTrimmed) -> None:
        await self._opened.wait()
        data = to_json({"message": gap.message, **gap.members})
        await self._write(b"id: %d\nevent: resync\ndata: %b\n\n" % (gap.members["latest"], data))

    async def _write(self, chunk: bytes) -> None:
        async with self._sending:
            if self._over.is_set() or not chunk:
                return
            message = {"type": "http.response.body", "body": chunk, "more_body": True}
            try:
                async with asyncio.timeout(self._streams.patience):
                    await self._send(message)
            except TimeoutError:
                self._stalled = True
                _log.info("stream left", production=str(self._production),
                          words="The client takes nothing; it can come back.")  # fmt: skip
                self._over.set()
            except OSError:
                self._over.set()


def change_event(entry: FeedEntry) -> bytes:
    """Return what the stream says of an entry, and of the rows that read differently since."""
    data = to_json(entry.raw)
    if len(data) > LARGEST_PUSH:
        data = to_json({**entry.raw, "entityData": None, "changes": {}, **entry.announcement})
    event = b"id: %d\nevent: change\ndata: %b\n\n" % (entry.seq, data)
    return event + b"".join(map(_derived_event, entry.derived))


def _derived_event(row: Derived) -> bytes:
    members = {"collection": row.collection, "entityType": row.entity_type,
               "entityId": row.uuid, "entityData": row.body}  # fmt: skip
    data = to_json(members)
    if len(data) > LARGEST_PUSH:
        data = to_json({**members, "entityData": None, **row.announcement})
    return b"event: derived\ndata: %b\n\n" % data


def _chunks(events: Iterable[bytes]) -> Iterator[bytes]:
    """Join the events into chunks of about 64 KiB."""
    chunk = bytearray()
    for event in events:
        chunk += event
        if len(chunk) >= _CHUNK:
            yield bytes(chunk)
            chunk.clear()
    yield bytes(chunk)

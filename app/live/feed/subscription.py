"""The watch of one production: each entry once, in order, without a gap.

It has a cursor of its own. What its production's pump has just read is offered to every watch, and
one that stands at the same place takes it while it has room. Any other is behind: it reads from the
log by itself, in pages, until it is not. So one that is slow holds nobody up, never holds more than
a page, and loses nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

from app.errors import LogTrimmed
from app.live.feed.entries import PAGE, FeedEntry, Page
from app.live.feed.subscriber import OnEntries, OnTrimmed, Subscriber


class Subscription(Subscriber):
    """The watch of one production. ``read`` gives what follows a number, however long it takes."""

    def __init__(
        self,
        production: UUID,
        hear: OnEntries,
        trimmed: OnTrimmed | None,
        read: Callable[[UUID, int], Awaitable[Page]],
        leave: Callable[[Subscriber], None],
    ) -> None:
        super().__init__(hear, leave)
        self.production = production
        self._trimmed, self._read = trimmed, read
        self._waiting: list[FeedEntry] = []
        self._end = self._known = 0  # the last number that waits; the last there is, as far as seen
        self._doubted = self._closed = False
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self, since: int, known: int) -> None:
        """Begin after ``since``, where ``known`` is the newest number that was seen."""
        self.seq = self._end = since
        self._known = known
        self._wake.set()
        self._task = asyncio.create_task(self._run())

    def offer(self, page: Page) -> None:
        """Take what is new of a page, if nothing is missing before it and there is room."""
        self._known = max(self._known, page.through)
        fresh = [entry for entry in page.entries if entry.seq > self._end]
        if page.since <= self._end < page.through and len(self._waiting) + len(fresh) <= PAGE:
            self._waiting += fresh
            self._end = page.through
        self._wake.set()

    def doubt(self) -> None:
        """See in the log itself whether it still holds what follows."""
        self._doubted = True
        self._wake.set()

    async def close(self) -> None:
        """Tell nothing more, and wait until nothing is being told."""
        self._closed = True
        await super().close()
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while not self._closed:
            await self._wake.wait()
            self._wake.clear()
            while not self._closed and self._has_more():
                if not self._waiting:
                    await self._catch_up()
                if self._waiting:
                    await self._hand_over()

    def _has_more(self) -> bool:
        return bool(self._waiting) or self._end < self._known or self._doubted

    async def _catch_up(self) -> None:
        self._doubted, self._known = False, self._end  # what is offered meanwhile counts from here
        page = await self._read(self.production, self._end)
        self._known = max(self._known, page.latest)
        if page.lost is None:
            self.offer(page)
        elif not self._waiting:
            await self._resync(page, page.lost)

    async def _resync(self, page: Page, lost: LogTrimmed) -> None:
        async with self._turn:
            if self._trimmed is not None:
                await self.surely(self._trimmed(lost))
            self.seq = self._end = page.latest

    async def _hand_over(self) -> None:
        async with self._turn:
            entries, self._waiting = self._waiting, []
            await self.tell(entries)
            self.seq = entries[-1].seq

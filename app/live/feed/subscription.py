"""Subscriptions: each entry is delivered once, in order, as fast as the subscriber takes it.

Of a production, each subscription has a cursor of its own. The tailer offers every page that it
reads to all of them. One whose cursor stands where the page begins takes the page, if it has room.
Any other is behind: it reads pages from the log by itself until it has caught up. So a slow
subscriber delays nobody, never holds more than a page, and misses nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from uuid import UUID

import structlog

from app.errors import LogTrimmed
from app.live.feed.entries import PAGE, FeedEntry, Page

_log: Final = structlog.get_logger()

OnEntries = Callable[[Sequence[FeedEntry]], Awaitable[None]]
OnTrimmed = Callable[[LogTrimmed], Awaitable[None]]
Read = Callable[[UUID, int], Awaitable[Page]]


class Subscription:
    """Delivers entries to one subscriber: up to ``PAGE`` at a time, the next when it returns.

    An error of the subscriber is logged, and the entries are not delivered again.
    """

    def __init__(self, on_entries: OnEntries, on_close: Callable[["Subscription"], None]) -> None:
        self.seq = 0
        """The number of the last entry that was delivered, or where the subscription began.

        It means nothing in a subscription to several productions.
        """
        self.delivering = asyncio.Lock()
        """Held during a delivery; who holds it elsewhere than in ``on_entries`` delays the next."""
        self._on_entries, self._on_close = on_entries, on_close

    def stop(self) -> None:
        """Deliver nothing more. May be called again, and inside ``on_entries``."""
        self._on_close(self)

    async def close(self) -> None:
        """Stop, and wait for a delivery under way unless called inside ``on_entries``."""
        self.stop()

    async def deliver(self, entries: Sequence[FeedEntry]) -> None:
        """Hand the entries to the subscriber. The caller holds ``delivering``."""
        await self._log_error(self._on_entries(entries))

    async def _log_error(self, delivery: Awaitable[None]) -> None:
        try:
            await delivery
        except Exception:  # noqa: BLE001  # one that fails must not be the last
            _log.exception("watch", words="A subscriber to changes failed; it gets the next ones.")


class CursorSubscription(Subscription):
    """The subscription to one production.

    ``read`` returns what follows a number, and tries until the database answers.
    """

    def __init__(
        self, production: UUID, on_entries: OnEntries, on_trimmed: OnTrimmed | None, read: Read,
        on_close: Callable[[Subscription], None],
    ) -> None:  # fmt: skip
        super().__init__(on_entries, on_close)
        self.production = production
        self._on_trimmed, self._read = on_trimmed, read
        self._backlog: list[FeedEntry] = []
        self._end = self._latest = 0  # the cursor, behind the backlog; the newest number heard of
        self._in_doubt = self._stopped = False
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self, since: int, latest: int) -> None:
        """Deliver what follows ``since``; ``latest`` is the newest number that was heard of."""
        self.seq = self._end = since
        self._latest = latest
        self._wake.set()
        self._task = asyncio.create_task(self._run())

    def offer(self, page: Page) -> None:
        """Take what is new in a page, if nothing is missing before it and there is room."""
        self._latest = max(self._latest, page.through)
        fresh = [entry for entry in page.entries if entry.seq > self._end]
        if page.since <= self._end < page.through and len(self._backlog) + len(fresh) <= PAGE:
            self._backlog += fresh
            self._end = page.through
        self._wake.set()

    def doubt(self) -> None:
        """Look in the log whether it still holds what follows the cursor."""
        self._in_doubt = True
        self._wake.set()

    def stop(self) -> None:
        self._stopped = True
        super().stop()
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    async def close(self) -> None:
        self.stop()
        if self._task is not None and self._task is not asyncio.current_task():
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while not self._stopped:
            await self._wake.wait()
            self._wake.clear()
            while not self._stopped and self._has_more():
                if not self._backlog:
                    await self._catch_up()
                if self._backlog:
                    await self._deliver_backlog()

    def _has_more(self) -> bool:
        return bool(self._backlog) or self._end < self._latest or self._in_doubt

    async def _catch_up(self) -> None:
        # The newest number may have fallen, so only what is offered from here on counts.
        self._in_doubt, self._latest = False, self._end
        page = await self._read(self.production, self._end)
        self._latest = max(self._latest, page.latest)
        if page.gap is None:
            self.offer(page)
        elif not self._backlog:
            await self._skip(page.latest, page.gap)

    async def _skip(self, latest: int, gap: LogTrimmed) -> None:
        async with self.delivering:
            if self._on_trimmed is not None:
                await self._log_error(self._on_trimmed(gap))
            self.seq = self._end = latest

    async def _deliver_backlog(self) -> None:
        async with self.delivering:
            entries, self._backlog = self._backlog, []
            await self.deliver(entries)
            self.seq = entries[-1].seq


class Tailer:
    """Reads the log a page at a time whenever there may be more, and offers it to subscriptions.

    What is announced during a read is read next.
    """

    def __init__(self, production: UUID, read: Read, on_close: Callable[["Tailer"], None]) -> None:
        self.production = production
        self.seq: int | None = None
        """The number up to which it has read; None until the first subscription has begun."""
        self.subscriptions: set[CursorSubscription] = set()
        self.joining = 0
        """How many are about to subscribe."""
        self._read, self._on_close = read, on_close
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        """Whether nobody subscribes, nor is about to."""
        return not self.subscriptions and not self.joining

    def subscribe(
        self, on_entries: OnEntries, on_trimmed: OnTrimmed | None, since: int, latest: int
    ) -> Subscription:
        """Deliver what follows ``since``; read from ``latest`` on, unless it is reading already."""
        if self.seq is None:
            self.seq = latest
            self._task = asyncio.create_task(self._run(latest))
        subscription = CursorSubscription(
            self.production, on_entries, on_trimmed, self._read, self._remove
        )
        self.subscriptions.add(subscription)
        subscription.start(since, max(latest, self.seq))
        return subscription

    def _remove(self, subscription: Subscription) -> None:
        assert isinstance(subscription, CursorSubscription), "it makes no others"
        self.subscriptions.discard(subscription)
        self._on_close(self)

    def announce(self, seq: int) -> None:
        """Read, unless that number has been read."""
        if self.seq is None or seq > self.seq:
            self.wake()

    def wake(self) -> None:
        self._wake.set()

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _run(self, seq: int) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            page = await self._read(self.production, seq)
            seq = self.seq = page.through
            for subscription in tuple(self.subscriptions):
                if page.gap is None:
                    subscription.offer(page)
                else:
                    subscription.doubt()
            if seq < page.latest:
                self._wake.set()

"""Reads what is new in one production, once for all who subscribe to it in this process."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

from app.live.feed.entries import Page
from app.live.feed.subscription import CursorSubscription


class Tailer:
    """Reads the log a page at a time whenever there may be more, and offers it to subscriptions.

    What is announced during a read is read next.
    """

    def __init__(self, production: UUID, read: Callable[[UUID, int], Awaitable[Page]]) -> None:
        self.production = production
        self.seq: int | None = None
        """The number up to which it has read; None until the first subscription has begun."""
        self.subscriptions: set[CursorSubscription] = set()
        self.joining = 0
        """How many are about to subscribe."""
        self._read = read
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        """Whether nobody subscribes, nor is about to."""
        return not self.subscriptions and not self.joining

    def start(self, latest: int) -> int:
        """Read from ``latest`` on, unless it is reading already; return up to where it has read."""
        if self.seq is None:
            self.seq = latest
            self._task = asyncio.create_task(self._run(latest))
        return self.seq

    def announce(self, seq: int) -> None:
        """Read, unless that number has been read."""
        if self.seq is None or seq > self.seq:
            self.wake()

    def wake(self) -> None:
        """Read what there is."""
        self._wake.set()

    def stop(self) -> None:
        """Read no more."""
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

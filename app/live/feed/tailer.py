"""Reads what is new in one production, once for all who watch it in this process."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

from app.live.feed.entries import Page
from app.live.feed.subscription import Subscription


class Tailer:
    """Reads from the log whenever it is told that there may be more, one page at a time; what is
    announced meanwhile is read with the next."""

    def __init__(self, production: UUID, read: Callable[[UUID, int], Awaitable[Page]]) -> None:
        self.production = production
        self.seq: int | None = None
        """The number up to which it has read; None until the first watch has found its place."""
        self.followers: set[Subscription] = set()
        self.joining = 0
        """How many are about to watch."""
        self._read = read
        self._due = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        """Whether nobody watches, nor is about to."""
        return not self.followers and not self.joining

    def start(self, latest: int) -> int:
        """Read from the newest number on, unless it does already; give where it is."""
        if self.seq is None:
            self.seq = latest
            self._task = asyncio.create_task(self._run(latest))
        return self.seq

    def announced(self, seq: int) -> None:
        """Read, if it has not read that number yet."""
        if self.seq is None or seq > self.seq:
            self._due.set()

    def look(self) -> None:
        """Read."""
        self._due.set()

    def stop(self) -> None:
        """Read no more."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self, seq: int) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            page = await self._read(self.production, seq)
            seq = self.seq = page.through
            for follower in tuple(self.followers):
                if page.lost is None:
                    follower.offer(page)
                else:
                    follower.doubt()
            if seq < page.latest:
                self._due.set()

"""Delivers what any process writes to those who subscribe in this one.

An announcement says only which production changed, its new number and the collection. The entries
are read from the log, so a lost announcement loses nothing: when the listener is back, and every
few seconds, the numbers of all subscribed productions are compared with what was read.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Final
from uuid import UUID

import asyncpg

from app.background import running
from app.database.database import Database
from app.entities import root
from app.errors import NotFound, Unavailable
from app.live.feed.derived_rows import with_derived
from app.live.feed.entries import PAGE, Page, read_page
from app.live.feed.listener import Listener
from app.live.feed.production_list import ProductionFeed
from app.live.feed.reader import Reader
from app.live.feed.subscription import OnEntries, OnTrimmed, Subscription, Tailer
from app.sql.registry import statement
from app.sql.writes import CHANNEL

# The change numbers of productions $1.
NUMBERS: Final = statement("SELECT uuid, change_seq FROM productions WHERE uuid = ANY($1::uuid[])")


class Hub:
    """The subscriptions of one process. Times in seconds.

    ``every`` is the pause between two comparisons of numbers. ``margin`` is the longest time that a
    write of a production may take from its statement's beginning to its commit.
    """

    def __init__(
        self, database: Database, listener: Listener, *, every: float = 5.0, margin: float = 120.0
    ) -> None:
        self._database, self._every = database, every
        self._reader = Reader(database)
        self._tailers: dict[UUID, Tailer] = {}
        self._productions = ProductionFeed(self._reader, timedelta(seconds=margin))
        self._compare = asyncio.Event()
        self._running = False
        listener.listen(CHANNEL, self._on_announcement)
        listener.on_connect(self._on_connect)

    @property
    def subscribers(self) -> int:
        """How many subscriptions are open."""
        count = sum(len(tailer.subscriptions) for tailer in self._tailers.values())
        return count + len(self._productions.subscriptions)

    @property
    def idle(self) -> bool:
        """Whether nothing is held for anybody."""
        return not self._tailers and not self._productions.subscriptions

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve subscriptions while the block runs, then close those that are left."""
        self._running = True
        try:
            async with running(self._keep_comparing()):
                try:
                    yield
                finally:
                    self._running = False
        finally:
            self._productions.stop()
            for each in [s for tailer in self._tailers.values() for s in tailer.subscriptions]:
                await each.close()

    async def subscribe(
        self, production: UUID, on_entries: OnEntries, since: int | None = None,
        *, on_trimmed: OnTrimmed | None = None,
    ) -> Subscription:  # fmt: skip
        """Deliver each entry of a production after number ``since``, or from now on.

        When the log no longer holds what follows, ``on_trimmed`` is called with the way to start
        again, and the subscription goes on from the newest number. Raises NotFound, LogTrimmed if
        what follows ``since`` is gone already, and what the database does.
        """
        self._require_running()
        new = Tailer(production, self.read, self._forget_if_idle)
        tailer = self._tailers.setdefault(production, new)
        tailer.joining += 1
        try:
            latest = await self._latest(production, since)
            start = latest if since is None else since
            return tailer.subscribe(on_entries, on_trimmed, start, latest)
        finally:
            tailer.joining -= 1
            self._forget_if_idle(tailer)

    def resume(
        self, production: UUID, on_entries: OnEntries, since: int, on_trimmed: OnTrimmed
    ) -> Subscription:
        """Open one more subscription to a production, after a number that was delivered before.

        The caller has an open subscription to the production, so nothing needs to be looked up.
        """
        return self._tailers[production].subscribe(on_entries, on_trimmed, since, since)

    async def subscribe_to_productions(self, on_entries: OnEntries) -> Subscription:
        """Deliver each entry about a production itself, of all productions, from now on.

        Entries of one production come in order. Raises what the database does.
        """
        self._require_running()
        return await self._productions.subscribe(on_entries)

    async def read(self, production: UUID, since: int, limit: int = PAGE) -> Page:
        """Read what follows a number, with derived rows, as soon as the database answers.

        Each retry reads half as many entries: large rows may have been too much at once. If the
        production was removed by hand, the page is empty.
        """
        most = limit

        async def read() -> Page:
            nonlocal most
            count, most = most, max(1, most // 2)
            page = await read_page(self._database, production, since, count)
            if page is None:
                return Page(since, since, since)
            entries = await with_derived(self._database, production, page.entries)
            return Page(since, page.through, page.latest, entries, page.gap)

        return await self._reader.retry(read)

    def _require_running(self) -> None:
        if not self._running:
            raise Unavailable("The service is starting or stopping: try again in a moment.")

    async def _latest(self, production: UUID, since: int | None) -> int:
        """Return a production's newest number. Raises NotFound and LogTrimmed."""
        page = await read_page(self._database, production, since or 0, limit=0)
        if page is None:
            raise NotFound(f"No production is called {str(production)!r}.",
                           error=f"{root().noun} not found")  # fmt: skip
        if since is not None and page.gap is not None:
            raise page.gap
        return page.latest

    def _forget_if_idle(self, tailer: Tailer) -> None:
        if tailer.idle and self._tailers.get(tailer.production) is tailer:
            tailer.stop()
            del self._tailers[tailer.production]

    def _on_announcement(self, payload: str) -> None:
        with suppress(ValueError):  # not one of ours
            uuid, number, collection = payload.split(" ")
            production, seq = UUID(uuid), int(number)
            if tailer := self._tailers.get(production):
                tailer.announce(seq)
            if collection == root().collection and self._productions.subscriptions:
                self._productions.announce(production, seq)

    async def _on_connect(self, _: asyncpg.Connection) -> None:
        self._compare.set()

    async def _keep_comparing(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._compare.wait(), self._every)
            self._compare.clear()
            if self._productions.subscriptions:
                self._productions.scan()
            if self._tailers:
                await self._wake_where_numbers_moved()

    async def _wake_where_numbers_moved(self) -> None:
        for row in await self._reader.rows(NUMBERS, list(self._tailers)):
            tailer = self._tailers.get(row["uuid"])
            if tailer is not None and row["change_seq"] != tailer.seq:
                tailer.wake()

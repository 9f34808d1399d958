"""Brings what is written, by whichever process, to those who watch in this one.

An announcement says only which production changed, its number and the collection. What is told is
read from the log, so an announcement that is lost makes nothing lost: after the listener comes
back, and every few seconds, the numbers of all watched productions are compared with what was read.
That is also the way open to announcing after the commit: what a process did not announce before it
died would only be late.
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
from app.live.feed.entries import PAGE, Page, page
from app.live.feed.listener import Listener
from app.live.feed.production_list import ProductionFeed
from app.live.feed.reader import Reader
from app.live.feed.subscriber import OnEntries, OnTrimmed, Subscriber
from app.live.feed.subscription import Subscription
from app.live.feed.tailer import Tailer
from app.sql.registry import statement
from app.sql.writes import CHANNEL

# The change numbers of productions $1.
NUMBERS: Final = statement("SELECT uuid, change_seq FROM productions WHERE uuid = ANY($1::uuid[])")
_EVERY: Final = 5.0
_MARGIN: Final = 120.0


class Hub:
    """The watches of one process. Times in seconds.

    ``every`` is the pause between two comparisons of numbers. ``margin`` is the longest time that a
    write of a production may take from its statement's beginning to its commit.
    """

    def __init__(
        self,
        database: Database,
        listener: Listener,
        *,
        every: float = _EVERY,
        margin: float = _MARGIN,
    ) -> None:
        self._database, self._every = database, every
        self._reader = Reader(database)
        self._pumps: dict[UUID, Tailer] = {}
        self._shows = ProductionFeed(self._reader, timedelta(seconds=margin))
        self._compare = asyncio.Event()
        self._running = False
        listener.listen(CHANNEL, self._announced)
        listener.on_connect(self._connected)

    @property
    def subscribers(self) -> int:
        """How many watches are open."""
        return sum(len(p.followers) for p in self._pumps.values()) + len(self._shows.watches)

    @property
    def idle(self) -> bool:
        """Whether nothing is kept for anybody."""
        return not self._pumps and not self._shows.watches

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve watches while the block runs; close those that are left at its end."""
        self._running = True
        try:
            async with running(self._keep_comparing()):
                try:
                    yield
                finally:
                    self._running = False
        finally:
            self._shows.stop()
            for follower in [f for p in self._pumps.values() for f in p.followers]:
                await follower.close()

    async def subscribe(
        self,
        production: UUID,
        hear: OnEntries,
        since: int | None = None,
        *,
        on_trimmed: OnTrimmed | None = None,
    ) -> Subscriber:
        """Tell of each entry of a production after number ``since``, or from now on.

        Where the log does not hold what follows any more, ``on_trimmed`` is told how to start again,
        and the watch goes on from the newest number.

        Raises NotFound, LogTrimmed where ``since`` is gone already, and what the database does.
        """
        self._refuse_unless_running()
        pump = self._pumps.setdefault(production, Tailer(production, self._reader.page))
        pump.joining += 1
        try:
            latest = await self._bounds(production, since)
            known = max(latest, pump.start(latest))
            follower = Subscription(production, hear, on_trimmed, self._reader.page, self._left)
            pump.followers.add(follower)
            follower.start(latest if since is None else since, known)
        finally:
            pump.joining -= 1
            self._forget_idle(pump)
        return follower

    async def subscribe_to_productions(self, hear: OnEntries) -> Subscriber:
        """Tell of each entry about a production itself, of all productions, from now on.

        Entries of one production come in order. Raises what the database does.
        """
        self._refuse_unless_running()
        return await self._shows.subscribe(hear)

    async def read(self, production: UUID, since: int, limit: int = PAGE) -> Page:
        """Read what follows a number, as a watch would be told it, with derived rows.

        It waits for the database as long as that takes.
        """
        return await self._reader.page(production, since, limit)

    def _refuse_unless_running(self) -> None:
        if not self._running:
            raise Unavailable("The service is starting or stopping: try again in a moment.")

    async def _bounds(self, production: UUID, since: int | None) -> int:
        """Give a production's newest number. Raises NotFound and LogTrimmed."""
        found = await page(self._database, production, since or 0, limit=0)
        if found is None:
            raise NotFound(f"No production is called {str(production)!r}.",
                           error=f"{root().noun} not found")  # fmt: skip
        if since is not None and found.lost is not None:
            raise found.lost
        return found.latest

    def _left(self, watch: Subscriber) -> None:
        assert isinstance(watch, Subscription), "a watch of shows leaves elsewhere"
        if pump := self._pumps.get(watch.production):
            pump.followers.discard(watch)
            self._forget_idle(pump)

    def _forget_idle(self, pump: Tailer) -> None:
        if pump.idle and self._pumps.get(pump.production) is pump:
            pump.stop()
            del self._pumps[pump.production]

    def _announced(self, payload: str) -> None:
        with suppress(ValueError):  # not one of ours
            place, seq, collection = payload.split(" ")
            production, number = UUID(place), int(seq)
            if pump := self._pumps.get(production):
                pump.announced(number)
            if collection == root().collection and self._shows.watches:
                self._shows.announced(production, number)

    async def _connected(self, _: asyncpg.Connection) -> None:
        self._compare.set()

    async def _keep_comparing(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._compare.wait(), self._every)
            self._compare.clear()
            if self._shows.watches:
                self._shows.look()
            if self._pumps:
                await self._look_where_numbers_moved()

    async def _look_where_numbers_moved(self) -> None:
        for row in await self._reader.rows(NUMBERS, list(self._pumps)):
            pump = self._pumps.get(row["uuid"])
            if pump is not None and row["change_seq"] != pump.seq:
                pump.look()

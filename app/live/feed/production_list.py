"""Follows the productions themselves, all of them, for clients that show the list of shows.

A cursor for each of a hundred thousand shows would be too many, so there is one cursor of time.
What is announced is read by its number. When the listener is back, and now and then, the log is
scanned for what was logged about productions since the last scan. An entry bears the time at which
its statement began, not that of its commit. So each scan begins a ``margin`` earlier, and what was
delivered within the margin is remembered.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg
from pydantic_core import from_json

from app.changelog.feed import ENTRY
from app.entities import root
from app.live.feed.entries import PAGE, FeedEntry
from app.live.feed.reader import Reader
from app.live.feed.subscription import OnEntries, Subscription
from app.sql.registry import statement

Key = tuple[UUID, int]

CLOCK: Final = statement("SELECT statement_timestamp() AS now")
# The keys of what was logged about productions after time $1, production $2 and number $3.
LOGGED_SINCE: Final = statement(
    "SELECT production_uuid, seq, at FROM changes WHERE collection = 'productions' AND at >= $1 "
    "AND (at, production_uuid, seq) > ($1, $2, $3) ORDER BY at, production_uuid, seq LIMIT 500"
)
# The keys of entries $2 of productions $1, and of what was logged in each shortly before its entry
# and not before $3. A condition on the collection would make the index by time look inviting.
ANNOUNCED: Final = statement(
    "SELECT production_uuid, seq, at, collection "
    "FROM unnest($1::uuid[], $2::bigint[]) AS said(place, number) "
    "JOIN changes ON production_uuid = said.place AND seq BETWEEN said.number - 20 AND said.number "
    "WHERE seq = said.number OR at >= $3"
)
# The entries with numbers $2 of productions $1, each as JSON.
NAMED: Final = statement(
    "SELECT row_to_json(entry) AS body "
    "FROM unnest($1::uuid[], $2::bigint[]) AS said(place, number), "
    "LATERAL (SELECT uuid, id FROM productions WHERE uuid = said.place LIMIT 1) AS place, "
    f"LATERAL ({ENTRY} AND seq = said.number) AS entry"
)
_BEFORE_ALL: Final = UUID(int=0)


class ProductionFeed:
    """Delivers entries about productions to all subscribers, one after the other.

    A slow subscriber delays the others of this feed, but not the per-production tailers. If more
    than ``PAGE`` announcements wait at once, the log is scanned instead.
    """

    def __init__(self, reader: Reader, margin: timedelta) -> None:
        self.subscriptions: set[Subscription] = set()
        self._reader, self._margin = reader, margin
        self._joining = asyncio.Lock()
        # What was delivered within the margin, with the time that its entry bears.
        self._recent: dict[Key, datetime] = {}
        self._queue: dict[Key, None] = {}  # what was announced and not read yet, in order
        self._last_scan = datetime.min.replace(tzinfo=UTC)
        self._scan_due = False
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def subscribe(self, on_entries: OnEntries) -> Subscription:
        """Deliver what is logged about productions from now on. Raises what the database does."""
        subscription = Subscription(on_entries, self._remove)
        async with self._joining:
            if not self.subscriptions:
                await self._begin()
            self.subscriptions.add(subscription)
        return subscription

    def announce(self, production: UUID, seq: int) -> None:
        """Read that entry and deliver it."""
        if len(self._queue) < PAGE:
            self._queue[production, seq] = None
        else:
            self._scan_due = True
        self._wake.set()

    def scan(self) -> None:
        """Look in the log for entries that were not delivered."""
        self._scan_due = True
        self._wake.set()

    def stop(self) -> None:
        for subscription in tuple(self.subscriptions):
            self._remove(subscription)

    async def _begin(self) -> None:
        """Take everything that can be seen now as delivered."""
        self._recent, self._queue = {}, {}
        async with self._reader.database.connection() as connection:
            self._last_scan = await connection.fetchval(CLOCK)
            self._recent = await _logged_since(connection.fetch, self._window())
        self._wake.clear()
        self._task = asyncio.create_task(self._run())

    def _remove(self, subscription: Subscription) -> None:
        self.subscriptions.discard(subscription)
        if not self.subscriptions and self._task is not None:
            if self._task is not asyncio.current_task():
                self._task.cancel()
            self._task = None
            self._recent, self._queue = {}, {}

    def _window(self) -> datetime:
        """Return the time from which on entries may have become visible since the last scan."""
        return self._last_scan - self._margin

    async def _run(self) -> None:
        while self.subscriptions:
            await self._wake.wait()
            self._wake.clear()
            keys = await self._read_queue()
            if self._scan_due:
                self._scan_due = False
                keys |= await self._read_since_last_scan()
            await self._deliver({key: at for key, at in keys.items() if key not in self._recent})

    async def _read_queue(self) -> dict[Key, datetime]:
        queue, self._queue = self._queue, {}
        if not queue:
            return {}
        rows = await self._reader.rows(ANNOUNCED, *_arrays(queue), self._window())
        return _keys(row for row in rows if row["collection"] == root().collection)

    async def _read_since_last_scan(self) -> dict[Key, datetime]:
        """Return the keys that were not delivered yet."""
        [(now,)] = await self._reader.rows(CLOCK)
        keys = await _logged_since(self._reader.rows, self._window())
        # Before what leaves the window is forgotten: it was delivered, and is among the keys.
        fresh = {key: at for key, at in keys.items() if key not in self._recent}
        self._last_scan = now
        self._recent = {key: at for key, at in self._recent.items() if at >= self._window()}
        return fresh

    async def _deliver(self, times: dict[Key, datetime]) -> None:
        keys = sorted(times)
        for start in range(0, len(keys), PAGE):
            some = keys[start : start + PAGE]
            rows = await self._reader.rows(NAMED, *_arrays(some))
            entries = [FeedEntry.read(from_json(row["body"])) for row in rows]
            entries.sort(key=lambda entry: (entry.production, entry.seq))
            self._recent |= {key: times[key] for key in some}
            for subscription in tuple(self.subscriptions):
                async with subscription.delivering:
                    if subscription in self.subscriptions:
                        await subscription.deliver(entries)


Fetch = Callable[..., Awaitable[Sequence[asyncpg.Record]]]


async def _logged_since(fetch: Fetch, since: datetime) -> dict[Key, datetime]:
    keys: dict[Key, datetime] = {}
    position = since, _BEFORE_ALL, 0
    while rows := await fetch(LOGGED_SINCE, *position):
        keys |= _keys(rows)
        last = rows[-1]
        position = last["at"], last["production_uuid"], last["seq"]
    return keys


def _keys(rows: Iterable[asyncpg.Record]) -> dict[Key, datetime]:
    return {(row["production_uuid"], row["seq"]): row["at"] for row in rows}


def _arrays(keys: Iterable[Key]) -> tuple[list[UUID], list[int]]:
    pairs = list(keys)
    return [production for production, _ in pairs], [seq for _, seq in pairs]

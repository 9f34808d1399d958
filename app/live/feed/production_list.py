"""Watches the productions themselves, all of them: for lists of shows.

A cursor for each of a hundred thousand shows would be too many, so there is one of time. What is
announced is read by its number. After a loss of the listener, and now and then, all that was logged
about productions since the last look is laid beside what was told. An entry's time is that of its
statement's beginning, not of its commit; so each look begins a ``margin`` earlier, and what was
told within that is remembered.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg
from pydantic_core import from_json

from app.changelog.feed import ENTRY
from app.entities import root
from app.live.feed.entries import PAGE, FeedEntry
from app.live.feed.reader import Reader
from app.live.feed.subscriber import OnEntries, Subscriber
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
_NOBODY: Final = UUID(int=0)
"""Before every production's."""


class ProductionFeed:
    """Tells all who watch the productions, one after the other; who is slow holds up the others of
    this watch, not the pumps. Beyond ``PAGE`` announcements at once they are looked for instead."""

    def __init__(self, reader: Reader, margin: timedelta) -> None:
        self.watches: set[Subscriber] = set()
        self._reader, self._margin = reader, margin
        self._joining = asyncio.Lock()
        self._told: dict[Key, datetime] = {}
        self._looked_at: datetime | None = None
        self._said: dict[Key, None] = {}
        self._looking = False
        self._due = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def subscribe(self, hear: OnEntries) -> Subscriber:
        """Tell what is logged about any production from now on. Raises what the database does."""
        watch = Subscriber(hear, self._left)
        async with self._joining:
            if not self.watches:
                await self._begin()
            self.watches.add(watch)
        return watch

    def announced(self, production: UUID, seq: int) -> None:
        """Read that entry and tell it."""
        if len(self._said) < PAGE:
            self._said[production, seq] = None
        else:
            self._looking = True
        self._due.set()

    def look(self) -> None:
        """See whether anything was logged that was not told."""
        self._looking = True
        self._due.set()

    def stop(self) -> None:
        """Tell nobody anything more."""
        for watch in tuple(self.watches):
            self._left(watch)

    async def _begin(self) -> None:
        """Take all that can be seen now for told."""
        self._told, self._said = {}, {}
        async with self._reader.database.connection() as connection:
            self._looked_at = await connection.fetchval(CLOCK)
            self._told = await _logged_since(connection.fetch, self._window())
        self._due.clear()
        self._task = asyncio.create_task(self._run())

    def _left(self, watch: Subscriber) -> None:
        self.watches.discard(watch)
        if not self.watches and self._task is not None:
            if self._task is not asyncio.current_task():
                self._task.cancel()
            self._task = None
            self._told, self._said = {}, {}

    def _window(self) -> datetime:
        assert self._looked_at is not None, "somebody watches"
        return self._looked_at - self._margin

    async def _run(self) -> None:
        while self.watches:
            await self._due.wait()
            self._due.clear()
            found = await self._announced()
            if self._looking:
                self._looking = False
                found |= await self._looked()
            fresh = {key: at for key, at in found.items() if key not in self._told}
            await self._tell(fresh)

    async def _announced(self) -> dict[Key, datetime]:
        said, self._said = self._said, {}
        if not said:
            return {}
        arrays = [place for place, _ in said], [number for _, number in said]
        rows = await self._reader.rows(ANNOUNCED, *arrays, self._window())
        return _keys(row for row in rows if row["collection"] == root().collection)

    async def _looked(self) -> dict[Key, datetime]:
        """Give what was logged since the last look began, and a margin before."""
        [(now,)] = await self._reader.rows(CLOCK)
        found = await _logged_since(self._reader.rows, self._window())
        self._looked_at = now
        self._told = {key: at for key, at in self._told.items() if at >= self._window()}
        return found

    async def _tell(self, found: dict[Key, datetime]) -> None:
        keys = sorted(found)
        for start in range(0, len(keys), PAGE):
            some = keys[start : start + PAGE]
            arrays = [place for place, _ in some], [number for _, number in some]
            rows = await self._reader.rows(NAMED, *arrays)
            entries = sorted(
                (FeedEntry.read(from_json(row["body"])) for row in rows),
                key=lambda entry: (entry.production, entry.seq),
            )
            self._told |= {key: found[key] for key in some}
            for watch in tuple(self.watches):
                async with watch.paused():
                    if watch in self.watches:
                        await watch.tell(entries)


Fetch = Callable[..., Awaitable[Sequence[asyncpg.Record]]]


async def _logged_since(fetch: Fetch, since: datetime) -> dict[Key, datetime]:
    found: dict[Key, datetime] = {}
    place = since, _NOBODY, 0
    while rows := await fetch(LOGGED_SINCE, *place):
        found |= _keys(rows)
        last = rows[-1]
        place = last["at"], last["production_uuid"], last["seq"]
    return found


def _keys(rows: Iterable[asyncpg.Record]) -> dict[Key, datetime]:
    return {(row["production_uuid"], row["seq"]): row["at"] for row in rows}

"""Removes what is too old, in the background: of the change log, and of what lasts for a while.

The change log is trimmed where LOG_RETENTION_DAYS says so. Of each production the oldest go first,
and nothing behind an entry that stays, so that what the log holds has no hole: the feed tells a
trimmed log by its first number, and a merge finds by counting that it cannot know what a client saw
(``app.changelog.log``).

No production's lock is taken. A batch is one statement, and whoever runs it holds a lock of its
own for as long as that runs, so that of several processes one trims at a time; a lock of the
session would stay behind where a pooler lends the connection to others.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

import structlog

from app.background import running
from app.database.database import Database
from app.sql.registry import statement
from app.store import idempotency
from app.sync import runs

_log: Final = structlog.get_logger()
_BATCH: Final = 1_000
_PAUSE: Final = 0.2  # seconds between two batches
_EVERY: Final = 3_600.0  # seconds between two rounds
_FIRST: Final = 60.0  # seconds after the start: a new version has other things to do

_AGED: Final = "clock_timestamp() - make_interval(days => $1::int)"
_OLDEST: Final = (
    "SELECT at FROM changes WHERE production_uuid = productions.uuid ORDER BY seq LIMIT 1"
)
# The productions whose oldest entry is older than $1 days.
WITH_OLD_ENTRIES: Final = statement(f"SELECT uuid FROM productions WHERE ({_OLDEST}) < {_AGED}")
# Removes up to $3 of production $2's entries from before the first that is no older than $1 days.
# No row where another process is trimming.
TRIM: Final = statement(
    "WITH mine AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(7305791, 3) AS locked), "
    "oldest AS MATERIALIZED (SELECT seq, at FROM changes WHERE production_uuid = $2 "
    "ORDER BY seq LIMIT $3), "
    f"edge AS MATERIALIZED (SELECT min(seq) AS seq FROM oldest WHERE at >= {_AGED}), "
    "last AS MATERIALIZED (SELECT max(oldest.seq) AS seq FROM oldest, edge, mine "
    "WHERE mine.locked AND (edge.seq IS NULL OR oldest.seq < edge.seq)), "
    "gone AS (DELETE FROM changes WHERE production_uuid = $2 "
    "AND changes.seq <= (SELECT seq FROM last) RETURNING 1) "
    "SELECT (SELECT count(*) FROM gone) AS removed FROM mine WHERE locked"
)
# What lasts for a while whatever the settings, with the statement that removes a batch of it and
# says how many ``removed``; 0 ends it.
PASSING: Final = {"idempotency keys": idempotency.PRUNE}
# What goes with the log, but is kept for ``sync_log.LEAST_DAYS`` at least; $1 is the days.
AGEING: Final = {
    "sync runs": runs.FORGET_RUNS,
    "sync mutations": runs.FORGET_MUTATIONS,
}


class Retention:
    """Keeps ``days`` of the log, all of it where that is 0, and nothing that has passed. Times in
    seconds."""

    def __init__(
        self,
        database: Database,
        days: int,
        *,
        first: float = _FIRST,
        every: float = _EVERY,
        pause: float = _PAUSE,
        batch: int = _BATCH,
    ) -> None:
        self._database, self._days = database, days
        self._first, self._every, self._pause, self._batch = first, every, pause, batch

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Remove now and then beside what runs inside; stop with it."""
        async with running(self._keep_removing()):
            yield

    async def trim(self) -> int:
        """Remove what is too old, and say so in one line; give how many entries went.

        Ends early where another process trims. Raises what the database does.
        """
        async with self._database.connection() as connection:
            found = [row["uuid"] for row in await connection.fetch(WITH_OLD_ENTRIES, self._days)]
        removed = 0
        try:
            for production in found:
                gone = await self._trim(production)
                if gone is None:
                    break
                removed += gone
        finally:
            if removed:
                _log.info("log trimmed", entries=removed, older_than_days=self._days)
        return removed

    async def _trim(self, production: UUID) -> int | None:
        """Remove a production's old entries; None where another process trims."""
        removed, batch = 0, self._batch
        while batch == self._batch:
            row = await self._database.row(TRIM, self._days, production, self._batch)
            if row is None:
                return removed or None
            batch = row["removed"]
            removed += batch
            await asyncio.sleep(self._pause)
        return removed

    async def prune(self, what: str) -> int:
        """Remove what has passed, one of ``PASSING`` or ``AGEING``, and say so in one line.

        Gives how many rows went. Several processes may do so at once. Raises what the database
        does.
        """
        removed, days = 0, max(self._days, runs.LEAST_DAYS)
        sql, args = (AGEING[what], [days]) if what in AGEING else (PASSING[what], [])
        try:
            while row := await self._database.row(sql, *args):
                if not row["removed"]:
                    break
                removed += row["removed"]
                await asyncio.sleep(self._pause)
        finally:
            if removed:
                _log.info("pruned", what=what, rows=removed)
        return removed

    async def _keep_removing(self) -> None:
        await asyncio.sleep(self._first)
        while True:
            if self._days:
                await self._tried("trim the log", self.trim())
            for what in (*PASSING, *(AGEING if self._days else ())):
                await self._tried(f"prune the {what}", self.prune(what))
            await asyncio.sleep(self._every)

    async def _tried(self, what: str, doing: Awaitable[int]) -> None:
        try:
            await doing
        except Exception as error:  # noqa: BLE001  # one that fails must not be the last
            _log.warning("retention", reason=f"cannot {what}: {type(error).__name__}")

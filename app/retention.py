"""Trims the change log: entries older than LOG_RETENTION_DAYS go, in the background.

Of each production the oldest go first, and nothing behind an entry that stays, so that what the
log holds has no hole: the feed tells a trimmed log by its first number, and a merge finds by
counting that it cannot know what a client saw (``app.changes``).

No production's lock is taken. A batch is one statement, and whoever runs it holds a lock of its
own for as long as that runs, so that of several processes one trims at a time; a lock of the
session would stay behind where a pooler lends the connection to others.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

import structlog

from app.db import Database

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
WITH_OLD_ENTRIES: Final = f"SELECT uuid FROM productions WHERE ({_OLDEST}) < {_AGED}"
# Removes up to $3 of production $2's entries from before the first that is no older than $1 days.
# No row where another process is trimming.
TRIM: Final = (
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
STATEMENTS: Final = (WITH_OLD_ENTRIES, TRIM)


class Retention:
    """Keeps ``days`` of the log, all of it where that is 0. Times in seconds."""

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
        """Trim now and then beside what runs inside; stop with it."""
        task = asyncio.create_task(self._keep_trimming()) if self._days else None
        try:
            yield
        finally:
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

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

    async def _keep_trimming(self) -> None:
        await asyncio.sleep(self._first)
        while True:
            try:
                await self.trim()
            except Exception as error:  # noqa: BLE001  # one that fails must not be the last
                _log.warning("retention", reason=f"cannot trim the log: {type(error).__name__}")
            await asyncio.sleep(self._every)

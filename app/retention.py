"""Removes old rows in the background: of the change log, and of tables with expiry.

The change log is trimmed if LOG_RETENTION_DAYS is set. In each production the oldest entries go
first, and none that is newer than an entry that stays, so the log has no hole. The feed recognises
a trimmed log by its first number, and a merge by counting entries (``app.changelog.log``).

No production's lock is taken. Each batch is one statement that holds a transaction's lock while it
runs, so only one of several processes trims at a time. A session's lock would stay behind when a
pooler lends the connection to others.
"""

import asyncio
from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import structlog

from app.access import page_sessions
from app.access.audit import audit_entries
from app.access.refusals import throttle
from app.background import running
from app.database.database import Database
from app.sql.registry import statement
from app.store import idempotency
from app.sync import records

_log: Final = structlog.get_logger()

_AGED: Final = "clock_timestamp() - make_interval(days => $1::int)"
_OLDEST: Final = (
    "SELECT at FROM changes WHERE production_uuid = productions.uuid ORDER BY seq LIMIT 1"
)
# The productions whose oldest entry is older than $1 days.
WITH_OLD_ENTRIES: Final = statement(f"SELECT uuid FROM productions WHERE ({_OLDEST}) < {_AGED}")
# Remove up to $3 of production $2's entries from before the first that is at most $1 days old.
# No row if another process is trimming.
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
# Each statement removes a batch of rows and counts them as ``removed``; 0 ends it.
# Rows that expire by themselves, whatever the settings.
EXPIRING: Final = {
    "idempotency keys": idempotency.PRUNE, "page sessions": page_sessions.PRUNE,
    "refusal counts": throttle.FORGET_COUNTS,
}  # fmt: skip
# Rows that go with the log, but not before they are ``records.LEAST_DAYS`` old; $1 is the days.
AGING: Final = {"sync runs": records.FORGET_RUNS, "sync mutations": records.FORGET_MUTATIONS}
AUDIT: Final = "audit entries"


@dataclass(frozen=True)
class Retention:
    """Removes log entries older than ``days``, none if that is 0, and expired rows.

    Entries of the audit have ``audit_days`` of their own, 0 for no end.

    Times in seconds: until the ``first`` round, when there is more important work before; between
    two rounds, ``every``; and the ``pause`` between two batches.
    """

    database: Database
    days: int
    audit_days: int = 0
    first: float = 60.0
    every: float = 3_600.0
    pause: float = 0.2
    batch: int = 1_000

    def running(self) -> AbstractAsyncContextManager[None]:
        """Remove now and then while the block runs."""
        return running(self._keep_removing())

    async def trim(self) -> int:
        """Remove old log entries, log one line, and return how many were removed.

        It ends early if another process trims. Raises what the database does.
        """
        async with self.database.connection() as connection:
            rows = await connection.fetch(WITH_OLD_ENTRIES, self.days)
        removed = 0
        try:
            for row in rows:
                count = await self._trim(row["uuid"])
                if count is None:
                    break
                removed += count
        finally:
            if removed:
                _log.info("log trimmed", entries=removed, older_than_days=self.days)
        return removed

    async def _trim(self, production: UUID) -> int | None:
        """Remove a production's old entries; return None if another process trims."""
        removed, batch = 0, self.batch
        while batch == self.batch:
            row = await self.database.row(TRIM, self.days, production, self.batch)
            if row is None:
                return removed or None
            batch = row["removed"]
            removed += batch
            await asyncio.sleep(self.pause)
        return removed

    async def prune(self, what: str) -> int:
        """Remove expired rows, log one line, and return how many.

        ``what`` is a word of ``EXPIRING`` or ``AGING``, or ``AUDIT``. Several processes may do so
        at once. Raises what the database does.
        """
        removed, days = 0, max(self.days, records.LEAST_DAYS)
        sql, args = (AGING[what], [days]) if what in AGING else (EXPIRING.get(what, ""), [])
        if what == AUDIT:
            sql, args = audit_entries.FORGET_ENTRIES, [self.audit_days]
        try:
            while (row := await self.database.row(sql, *args)) and row["removed"]:
                removed += row["removed"]
                await asyncio.sleep(self.pause)
        finally:
            if removed:
                _log.info("pruned", what=what, rows=removed)
        return removed

    async def _keep_removing(self) -> None:
        await asyncio.sleep(self.first)
        while True:
            if self.days:
                await self._attempt("trim the log", self.trim())
            audited = (AUDIT,) if self.audit_days else ()
            for what in (*EXPIRING, *(AGING if self.days else ()), *audited):
                await self._attempt(f"prune the {what}", self.prune(what))
            await asyncio.sleep(self.every)

    async def _attempt(self, what: str, work: Awaitable[int]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001  # one that fails must not be the last
            _log.warning("retention", reason=f"cannot {what}: {type(error).__name__}")

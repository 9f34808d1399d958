"""Watches who waits for our statements, and cancels ours before anyone has waited too long.

It reads the locks that are waited for on a connection of its own, every few hundredths of a second,
and never waits for one itself. While it cannot read them, no new statement begins.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from app.releases.apply import backends
from app.releases.apply.error_verdicts import LOST
from app.releases.apply.journal import Performed, Waiter
from app.releases.migrations.migration_session import RELEASE_NAME, jittered

LOOK_EVERY: Final = 0.03  # seconds
ACT_AT: Final = 0.6  # of the budget: the rest is for the cancel and the rollback
_ANSWER: Final = 2.0  # seconds until a query without an answer counts as a lost connection
_LONGEST_PAUSE: Final = 2.0  # seconds between two attempts to connect

# Most checks end here: nobody waits for anything.
_ANYONE: Final = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"

# A wait for us counts from when our statement began: before, others were waited for. "waitstart" is
# NULL for an instant. Left out: autovacuum, which has no user; index builds of others, which wait
# for our "virtualxid" without harm; and advisory locks, in which no service waits for us.
_WAITING: Final = f"""WITH waiting AS MATERIALIZED (
  SELECT pid, locktype, waitstart, pg_blocking_pids(pid) AS blockers
  FROM pg_locks WHERE NOT granted)
SELECT w.pid, w.pid = ANY($1) AS ours, coalesce(a.application_name, '') AS application_name,
  {backends.QUERY},
  ARRAY(SELECT unnest(w.blockers) INTERSECT SELECT unnest($1)) AS blocking,
  CASE WHEN w.waitstart IS NULL THEN 0 ELSE extract(epoch FROM clock_timestamp()
    - greatest(w.waitstart, (SELECT min(least(o.query_start, o.xact_start))
        FROM pg_stat_activity o WHERE o.pid = ANY(w.blockers) AND o.pid = ANY($1))))
  END::float8 AS seconds
FROM waiting w LEFT JOIN pg_stat_activity a USING (pid)
WHERE w.pid = ANY($1) OR (w.blockers && $1 AND a.usesysid IS NOT NULL
  AND w.locktype NOT IN ('virtualxid', 'advisory')
  AND a.application_name <> '{RELEASE_NAME}')"""


class Watcher:
    """Guards one migration: ``ours`` are its backends, ``page`` is the step that runs.

    ``budget`` is the longest in seconds that anyone may wait for us. ``is_ending``: whatever runs
    is to be cancelled. ``is_direct``: the step runs in Alembic's own transaction.
    ``blocks_in_transaction``: others wait for that transaction, not for a step outside it.
    """

    def __init__(
        self, url: str, budget: float, say: Callable[[str], None], note: Callable[[Performed], None]
    ) -> None:
        self._url, self._budget, self._say, self._note = url, budget, say, note
        self.ours: set[int] = set()
        self.page: Performed | None = None
        self.is_direct = False
        self.blocks_in_transaction = False
        self.is_ending = False
        self.is_over = False
        self.is_watching = asyncio.Event()
        self._current_pid = 0
        self._statements = 0
        self._last_cancelled = 0
        self._is_running = False
        self._cancel_lock = asyncio.Lock()

    async def watch(self) -> None:
        """Watch until ``is_over``; open a lost connection again."""
        pause = 0.05
        while not self.is_over:
            try:
                connection = await backends.connect(
                    self._url, lock_timeout="100ms", statement_timeout="2s", jit="off"
                )
                pause = 0.05
                try:
                    await self._watch_connection(connection)
                finally:
                    connection.terminate()
            except LOST as lost:
                if self.is_watching.is_set():
                    self._say(
                        f"The stall watcher lost its connection ({type(lost).__name__}); no new "
                        "statement begins until it is back."
                    )
                self.is_watching.clear()
            else:
                return
            await asyncio.sleep(jittered(pause))
            pause = min(pause * 2, _LONGEST_PAUSE)

    def add_backend(self, pid: int) -> None:
        """Add a backend, which runs the next statements."""
        self.ours.add(pid)
        self._current_pid = pid

    def forget(self) -> None:
        """Forget all backends: when they are gone, their process ids may become others'."""
        self.ours.clear()
        self.blocks_in_transaction = False

    @asynccontextmanager
    async def in_flight(self) -> AsyncIterator[None]:
        """Wrap a statement of ours.

        It begins only while we watch, and never while a cancel is on its way, so that a cancel
        for one statement cannot hit the next.
        """
        await self.is_watching.wait()
        async with self._cancel_lock:
            self._statements += 1
            self._is_running = True
        try:
            yield
        finally:
            self._is_running = False

    @property
    def was_cancelled(self) -> bool:
        """Whether we cancelled the statement that began last."""
        return self._last_cancelled == self._statements

    async def _watch_connection(self, connection: asyncpg.Connection) -> None:
        before = time.monotonic()
        while not self.is_over:
            if await connection.fetchval(_ANYONE, timeout=_ANSWER):
                await self._examine_waits(connection, time.monotonic() - before)
            before = time.monotonic()
            if self.is_ending:
                await self._cancel(connection, list(self.ours), self._statements)
            self.is_watching.set()
            await asyncio.sleep(LOOK_EVERY)

    async def _examine_waits(self, connection: asyncpg.Connection, seconds: float) -> None:
        page, number, ours = self.page, self._statements, list(self.ours)
        if page is None:
            return
        for row in await connection.fetch(_WAITING, ours, timeout=_ANSWER):
            if row["ours"]:
                page.waited += seconds
                blockers = await backends.blockers(connection, row["pid"])
                if blockers and page.set_blockers(blockers):
                    self._note(page)
                continue
            if row["seconds"] > page.stall:
                page.stall = row["seconds"]
                query = backends.masked_query(row["query"])
                page.waiter = Waiter(row["pid"], row["application_name"], page.stall, query)
                self._note(page)
            if row["seconds"] >= ACT_AT * self._budget:
                self.blocks_in_transaction = self._current_pid not in row["blocking"]
                await self._cancel(connection, ours, number)

    async def _cancel(self, connection: asyncpg.Connection, pids: list[int], number: int) -> None:
        """Cancel statement ``number`` if it is still the current one."""
        async with self._cancel_lock:
            if number == self._statements and (self._is_running or self.is_direct):
                self._last_cancelled = number
                cancel = "SELECT pg_cancel_backend(pid) FROM unnest($1::int[]) AS pid"
                await connection.execute(cancel, pids, timeout=_ANSWER)

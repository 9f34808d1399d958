"""Watches who waits for our statements, and cancels ours before anyone has waited too long.

It looks through a connection of its own, every few hundredths of a second, at the locks that are
waited for; it never waits for one itself. While it cannot look, no new statement begins.
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
from app.releases.connection.migration_session import RELEASE_NAME, jittered

LOOK_EVERY: Final = 0.03  # seconds
ACT_AT: Final = 0.6  # of the budget: the cancel has to arrive and the transaction to roll back
_ANSWER: Final = 2.0  # seconds until a look that does not come back counts as a lost connection
_LONGEST_BLINDNESS: Final = 2.0  # seconds between two attempts to connect

# Most looks end here: nobody waits for anything.
_ANYONE: Final = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"

# Who waits for us counts from when we began: what was waited before was not our doing. That wait
# is unknown for an instant after it began. Autovacuum has no user; an index build of others waits
# for our "virtualxid" without harm, and nobody's service waits in advisory locks of ours.
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
    """Guards one migration: ``ours`` are the backends that run it, ``page`` the step they are at.

    ``budget`` is the longest in seconds that anyone may wait for us. ``ending``: whatever runs is
    to be cancelled. ``direct``: it runs in Alembic's own transaction; ``elsewhere``: others wait
    for that transaction, and not for the statement beside it.
    """

    def __init__(
        self,
        url: str,
        budget: float,
        say: Callable[[str], None],
        note: Callable[[Performed], None],
    ) -> None:
        self._url, self._budget, self._say, self._note = url, budget, say, note
        self.ours: set[int] = set()
        self.page: Performed | None = None
        self.direct = False
        self.elsewhere = False
        self.ending = False
        self.over = False
        self.sees = asyncio.Event()
        self._runs_in = 0
        self._begun = 0
        self._cancelled = 0
        self._flying = False
        self._gate = asyncio.Lock()

    async def watch(self) -> None:
        """Look until it is ``over``; a lost connection is opened again."""
        blind = 0.05
        while not self.over:
            try:
                async with self._eyes() as connection:
                    blind = 0.05
                    await self._look_on(connection)
            except LOST as lost:
                if self.sees.is_set():
                    self._say(
                        f"The stall watcher lost its connection ({type(lost).__name__}); no new "
                        "statement begins until it is back."
                    )
                self.sees.clear()
            else:
                return
            await asyncio.sleep(jittered(blind))
            blind = min(blind * 2, _LONGEST_BLINDNESS)

    def attend(self, pid: int) -> None:
        """Hear which backend runs what follows."""
        self.ours.add(pid)
        self._runs_in = pid

    def forget(self) -> None:
        """Forget all backends: when they are gone, their numbers may become others'."""
        self.ours.clear()
        self.elsewhere = False

    @asynccontextmanager
    async def in_flight(self) -> AsyncIterator[None]:
        """Wrap a statement of ours.

        It begins only while we look, and never while a cancel is on its way: a cancel that was
        meant for one statement can so not hit the next.
        """
        await self.sees.wait()
        async with self._gate:
            self._begun += 1
            self._flying = True
        try:
            yield
        finally:
            self._flying = False

    @property
    def cancelled(self) -> bool:
        """Whether we cancelled the statement that began last."""
        return self._cancelled == self._begun

    @asynccontextmanager
    async def _eyes(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await backends.connect(
            self._url, lock_timeout="100ms", statement_timeout="2s", jit="off"
        )
        try:
            yield connection
        finally:
            connection.terminate()

    async def _look_on(self, connection: asyncpg.Connection) -> None:
        before = time.monotonic()
        while not self.over:
            if await connection.fetchval(_ANYONE, timeout=_ANSWER):
                await self._look_closely(connection, time.monotonic() - before)
            before = time.monotonic()
            if self.ending:
                await self._cancel(connection, list(self.ours), self._begun)
            self.sees.set()
            await asyncio.sleep(LOOK_EVERY)

    async def _look_closely(self, connection: asyncpg.Connection, passed: float) -> None:
        page, begun, ours = self.page, self._begun, list(self.ours)
        if page is None:
            return
        for row in await connection.fetch(_WAITING, ours, timeout=_ANSWER):
            if row["ours"]:
                page.waited += passed
                blockers = await backends.blockers(connection, row["pid"])
                if blockers and page.waits_for(blockers):
                    self._note(page)
                continue
            if row["seconds"] > page.stall:
                page.stall = row["seconds"]
                page.waiter = Waiter(
                    row["pid"], row["application_name"], row["seconds"],
                    backends.shown(row["query"]),
                )  # fmt: skip
                self._note(page)
            if row["seconds"] >= ACT_AT * self._budget:
                self.elsewhere = self._runs_in not in row["blocking"]
                await self._cancel(connection, ours, begun)

    async def _cancel(self, connection: asyncpg.Connection, pids: list[int], begun: int) -> None:
        """Cancel the statement that was the last to begin, unless it is over by now."""
        async with self._gate:
            if begun == self._begun and (self._flying or self.direct):
                self._cancelled = begun
                await connection.execute(
                    "SELECT pg_cancel_backend(pid) FROM unnest($1::int[]) AS pid",
                    pids,
                    timeout=_ANSWER,
                )

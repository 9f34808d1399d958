"""The gate's observer on the live database: it holds a migration to its plan and its limits.

Nothing runs that was not approved. A statement that makes others wait is cancelled and tried again
until the wall clock. After a statement that is far slower than in the rehearsal, the run stops.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from app.releases.apply import backends
from app.releases.apply.error_verdicts import SAFE, failed
from app.releases.apply.journal import Journal, Performed
from app.releases.apply.watcher import Watcher
from app.releases.migrations.migration_session import (
    BRIEF_STATEMENT_TIMEOUT,
    RELEASE_NAME,
    jittered,
)
from app.releases.migrations.observer import BUSY, Kind, Observer
from app.releases.plan.plan import Statement
from app.releases.plan.render import allowed_texts
from app.releases.sql.effects import STRENGTH, named_tables
from app.releases.sql.text import normalise
from app.releases.verdict import Stopped, Verdict

Progress = Callable[[str, int, int, float, float | None], None]

# A rehearsal runs alone, on a copy that was just written and so is in memory. Load and a cold cache
# explain a few times its seconds; ten seconds are noise around statements of milliseconds.
FACTOR: Final = 5.0
GRACE: Final = 10.0  # seconds

# Of the stall budget: the longest that a step waits for a lock, while others queue behind it.
LOCK_SHARE: Final = 0.4

FIRST_PAUSE: Final = 0.2  # seconds before the second try; the pauses grow
LONGEST_PAUSE: Final = 5.0
_VACUUM_POLL: Final = 0.2  # seconds between two checks of autovacuum


@dataclass(frozen=True, kw_only=True)
class MigrationLimits:
    """The longest that others may wait for us, and that a migration may take, in seconds."""

    stall_budget: float = 0.5
    wall_clock: float = 3_600.0


class Executor(Observer):
    """An ``Observer`` that keeps to the plan; ``approved`` allows other statements.

    ``predicted`` has each statement's seconds in the rehearsal, by its normalised text.
    """

    application_name = RELEASE_NAME

    def __init__(
        self,
        statements: Sequence[Statement],
        watcher: Watcher,
        journal: Journal,
        limits: MigrationLimits,
        *,
        approved: Callable[[str], bool],
        predicted: Mapping[str, float],
        say: Callable[[str], None],
        progress: Progress,
    ) -> None:
        self._watcher, self._journal, self._limits = watcher, journal, limits
        self._approved, self._predicted = approved, predicted
        self._say, self._progress = say, progress
        self._planned = {normalise(statement.sql): statement for statement in statements}
        self._allowed = allowed_texts(statements)
        self._deadline = time.monotonic() + limits.wall_clock
        self._stop_reason: Stopped | None = None
        self._progress_start = ("", 0, 0.0)
        self.stopping = asyncio.Event()
        self.last_failed_statement = ""
        self.lock_timeout = f"{limits.stall_budget * LOCK_SHARE * 1_000:.0f}ms"

    @property
    def seconds_left(self) -> float:
        """Seconds until the wall clock."""
        return max(0.0, self._deadline - time.monotonic())

    def stop(self, why: Stopped) -> None:
        """Cancel what runs, and raise ``why`` before anything else begins."""
        self._stop_reason = self._stop_reason or why
        self._watcher.is_ending = True
        self.stopping.set()

    def stop_at_wall_clock(self) -> None:
        """Stop because of the wall clock, in words that name who was in the way."""
        page = self._watcher.page
        where = f" at: {page.headline}" if page else ""
        by = page.blockers if page else []
        words = f"The time of {self._limits.wall_clock:.0f} s was over{where}. "
        if by and by[0].pid:
            words += (
                f"In the way was {by[0]}. {SAFE}; when a person has made sure that it may be "
                f"ended: SELECT pg_terminate_backend({by[0].pid}), then run the release again."
            )
        else:
            words += f"{SAFE}; run the release again: it goes on where it stopped."
        evidence: dict[str, Any] = {"blockers": [str(blocker) for blocker in by]}
        if page:
            evidence["page"] = page.as_json()
        self.stop(Stopped(Verdict.CONTENDED, words, evidence))

    def raise_if_over(self) -> None:
        """Raise Stopped when the run is to end."""
        if self._stop_reason is None and self.seconds_left == 0.0:
            self.stop_at_wall_clock()
        if self._stop_reason is not None:
            raise self._stop_reason

    def on_backend(self, pid: int) -> None:
        self._watcher.add_backend(pid)

    def forget_backends(self) -> None:
        """Forget the backends of an earlier try: their process ids may be others' by now."""
        self._watcher.forget()

    @contextmanager
    def around_step(self, kind: Kind, statements: Sequence[str]) -> Iterator[None]:
        self.raise_if_over()
        for statement in statements:
            self._raise_unless_approved(statement)
        page = self._page(kind, statements)
        began = time.monotonic()
        self._watcher.page, self._watcher.is_direct = page, kind == "direct"
        try:
            yield
        except BaseException as error:
            page.error, page.is_over = str(error) or type(error).__name__, True
            self.last_failed_statement = page.headline
            raise
        finally:
            if kind == "direct":
                page.spent = time.monotonic() - began
            page.is_over = page.is_over or kind != "batch"
            self._watcher.page, self._watcher.is_direct = None, False
            self._journal.note(page)
        self._raise_if_far_slower(page)

    @asynccontextmanager
    async def around_try(self, connection: asyncpg.Connection) -> AsyncIterator[None]:
        page = self._watcher.page
        if page is not None:
            await self._wait_out_autovacuum(connection, page)
            self.raise_if_over()
        async with self._watcher.in_flight():
            began = time.monotonic()
            try:
                yield
            finally:
                if page is not None:
                    batches = page.spent if page.kind == "backfill" else 0.0
                    page.spent = batches + time.monotonic() - began

    def on_failure(self, error: asyncpg.PostgresError, kind: Kind, tries: int) -> float:
        """Return the pause before another try if others were in the way; raise Stopped if not."""
        page = self._watcher.page
        assert page is not None
        self.raise_if_over()
        if not self._worth_another_try(error, page):
            raise failed(error, page.headline) from error
        if self._watcher.blocks_in_transaction:
            raise error  # only the end of Alembic's own transaction lets others through
        page.tries += 1
        self._journal.note(page)
        if kind != "batch":
            page.waited = 0.0  # of the next try
        if tries == 1:
            self._say(
                f"Others are in the way of: {page.headline} ({_describe_blockers(page) or error}) …"
            )
        return self.pause(tries)

    def pause(self, tries: int) -> float:
        """Return the seconds before the next try, after so many."""
        wait = min(FIRST_PAUSE * 1.5 ** min(tries - 1, 20), LONGEST_PAUSE)
        return min(jittered(wait), self.seconds_left + 0.01)

    def on_progress(self, backfill: str, rows_done: int, total: int) -> None:
        name, first, since = self._progress_start
        if name != backfill or rows_done <= first:
            # The first batch of a backfill: the rate is measured from here.
            self._progress_start = (backfill, rows_done, time.monotonic())
            self._progress(backfill, rows_done, total, 0.0, None)
            return
        rate = (rows_done - first) / max(time.monotonic() - since, 0.001)
        self._progress(backfill, rows_done, total, rate, max(total - rows_done, 0) / rate)

    def _page(self, kind: Kind, statements: Sequence[str]) -> Performed:
        texts = [normalise(statement) for statement in statements]
        planned = [self._planned[text] for text in texts if text in self._planned]
        named = [t for text in statements for t in named_tables(text)]
        tables = dict.fromkeys([*(t for p in planned for t in p.tables), *named])
        return self._journal.page(
            kind,
            ";\n".join(statements),
            lock=max((p.lock for p in planned), key=STRENGTH.index, default=""),
            tables=tuple(tables),
            predicted=self._prediction(normalise(";\n".join(statements)), texts),
        )

    def _prediction(self, step: str, texts: Sequence[str]) -> float | None:
        """Return the seconds of a step in the rehearsal, or the sum of those of its statements."""
        each = [self._predicted[text] for text in texts if text in self._predicted]
        is_known = texts and len(each) == len(texts)
        return self._predicted.get(step, sum(each) if is_known else None)

    async def _wait_out_autovacuum(self, connection: asyncpg.Connection, page: Performed) -> None:
        """Wait until autovacuum is done: PostgreSQL cancels it for a step that queues behind it."""
        if page.kind == "backfill":
            return
        is_announced = False
        while workers := await backends.autovacuum_workers(connection, page.tables):
            if page.set_blockers(workers):
                self._journal.note(page)
            if not is_announced:
                self._say(f"Waiting for {workers[0]} before: {page.headline}")
                is_announced = True
            self.raise_if_over()
            await asyncio.sleep(_VACUUM_POLL)

    def _worth_another_try(self, error: asyncpg.PostgresError, page: Performed) -> bool:
        if isinstance(error, asyncpg.QueryCanceledError):
            # A cancel that is not ours came from outside. But a brief step that ran into its
            # timeout would do so again.
            limit = float(BRIEF_STATEMENT_TIMEOUT.removesuffix("s"))
            slow = page.kind == "brief" and page.spent >= limit
            return self._watcher.was_cancelled or not slow
        return isinstance(error, BUSY)

    def _raise_unless_approved(self, statement: str) -> None:
        text = normalise(statement)
        if text not in self._allowed and not self._approved(statement):
            first = text.partition("\n")[0]
            raise Stopped(
                Verdict.BROKEN,
                f"The migration wanted to run a statement that is not in the approved plan: {first}"
                ". It was not run; mend the revision so that its plan shows all it does.",
                {"statement": statement},
            )

    def _raise_if_far_slower(self, page: Performed) -> None:
        spent = page.spent - page.waited
        if page.predicted is not None and spent > FACTOR * page.predicted + GRACE:
            raise Stopped(
                Verdict.CONTENDED,
                f"{page.headline} took {spent:.1f} s, and {page.predicted:.1f} s in the rehearsal; "
                f"the release stops here, between two statements. {SAFE}; find out what slows the "
                "database down, and run the release again: it goes on where it stopped.",
                {"statement": page.sql, "seconds": spent, "predicted": page.predicted},
            )


def _describe_blockers(page: Performed) -> str:
    parts = [str(page.blockers[0])] if page.blockers else []
    if page.waiter:
        parts.append(f"process {page.waiter.pid} waited for us {page.stall * 1_000:.0f} ms")
    return "; ".join(parts)

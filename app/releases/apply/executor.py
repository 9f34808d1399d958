"""The gate's observer on the live database: it holds a migration to its plan, pace and time.

Nothing runs that was not approved. A statement that makes others wait is cancelled and tried again
until the wall clock; a statement that is far slower than it was in the rehearsal is the last.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Final

import asyncpg

from app.releases.apply import backends
from app.releases.apply.error_verdicts import SAFE, failed
from app.releases.apply.journal import Journal, Performed
from app.releases.apply.watcher import Watcher
from app.releases.connection.migration_session import (
    BRIEF_STATEMENT_TIMEOUT,
    RELEASE_NAME,
    jittered,
)
from app.releases.migrations.observer import BUSY, Kind, Permit
from app.releases.plan.plan import Statement
from app.releases.plan.render import allowed_texts
from app.releases.sql.text import normalise
from app.releases.verdict import Stopped, Verdict

Progress = Callable[[str, int, int, float, float | None], None]

# A rehearsal runs alone, on a copy that was just written and so is in memory. Load and a cold cache
# make up for a few times of that; ten seconds are noise around statements of milliseconds.
FACTOR: Final = 5.0
GRACE: Final = 10.0  # seconds

# Of the stall budget: who queues behind a step that waits for its lock waits no longer than this.
LOCK_SHARE: Final = 0.4

FIRST_PAUSE: Final = 0.2  # seconds before the second try; each later pause is half as long again
LONGEST_PAUSE: Final = 5.0
_VACUUM_LOOK: Final = 0.2  # seconds between two looks whether autovacuum is done

_STRENGTH: Final = (
    "", "ACCESS SHARE", "ROW SHARE", "ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE", "SHARE",
    "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class MigrationLimits:
    """What a migration may cost others and itself, in seconds."""

    stall_budget: float = 0.5
    wall_clock: float = 3_600.0


class Executor:
    """A ``Observer`` that keeps to the plan; ``approved`` tells of a statement whether it may run.

    ``predicted`` gives each statement's seconds in the rehearsal by its normalised text.
    """

    application_name = RELEASE_NAME

    def __init__(
        self,
        statements: Sequence[Statement],
        watcher: Watcher,
        journal: Journal,
        limits: MigrationLimits,
        *,
        gate_pid: int,
        approved: Callable[[str], bool],
        predicted: Mapping[str, float],
        say: Callable[[str], None],
        progress: Progress,
    ) -> None:
        self.permit = Permit(gate_pid=gate_pid)
        self._watcher, self._journal, self._limits = watcher, journal, limits
        self._approved, self._predicted = approved, predicted
        self._say, self._progress = say, progress
        self._known = {normalise(statement.sql): statement for statement in statements}
        self._beside = allowed_texts(statements) - self._known.keys()
        self._deadline = time.monotonic() + limits.wall_clock
        self._ordered: Stopped | None = None
        self._walk = ("", 0, 0.0)
        self.stopping = asyncio.Event()
        self.last_error_at = ""
        self.lock_timeout = f"{limits.stall_budget * LOCK_SHARE * 1_000:.0f}ms"

    @property
    def left(self) -> float:
        """Seconds until the wall clock."""
        return max(0.0, self._deadline - time.monotonic())

    def stop(self, why: Stopped) -> None:
        """Cancel what runs, and end with ``why`` before anything else begins."""
        self._ordered = self._ordered or why
        self._watcher.ending = True
        self.stopping.set()

    def time_is_over(self) -> None:
        """End because of the wall clock, with words that tell who was in the way."""
        self.stop(self._contended())

    def raise_if_over(self) -> None:
        """Raise Stopped when something has ended the run."""
        if self._ordered is None and self.left == 0.0:
            self.time_is_over()
        if self._ordered is not None:
            raise self._ordered

    def on_backend(self, pid: int) -> None:
        self._watcher.attend(pid)

    def begin(self) -> None:
        """Forget the backends of an earlier try: their numbers may be others' by now."""
        self._watcher.forget()

    @contextmanager
    def around_step(self, kind: Kind, statements: Sequence[str]) -> Iterator[None]:
        self.raise_if_over()
        for statement in statements:
            self._raise_unless_approved(statement)
        page = self._page(kind, statements)
        began = time.monotonic()
        self._watcher.page, self._watcher.direct = page, kind == "direct"
        try:
            yield
        except BaseException as error:
            page.error, page.over = str(error) or type(error).__name__, True
            self.last_error_at = page.headline
            raise
        finally:
            if kind == "direct":
                page.spent = time.monotonic() - began
            page.over = page.over or kind != "batch"
            self._watcher.page, self._watcher.direct = None, False
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

    def on_failure(self, error: asyncpg.PostgresError, kind: Kind, tried: int) -> float:
        """Try again whatever others or our own watcher are to blame for; raises Stopped else."""
        page = self._watcher.page
        assert page is not None
        self.raise_if_over()
        if not self._worth_another_try(error, page):
            raise failed(error, page.headline) from error
        if self._watcher.elsewhere:
            raise error  # Alembic's own transaction is in the way: only its end lets others through
        page.tries += 1
        self._journal.note(page)
        if kind != "batch":
            page.waited = 0.0  # of the next try
        if tried == 1:
            self._say(f"Others are in the way of: {page.headline} ({_whom(page) or error}) …")
        return self.pause(tried)

    def pause(self, tried: int) -> float:
        """Give the seconds until the next try, after so many."""
        wait = min(FIRST_PAUSE * 1.5 ** min(tried - 1, 20), LONGEST_PAUSE)
        return min(jittered(wait), self.left + 0.01)

    def extra_statements(self) -> tuple[str, ...]:
        return ()

    def on_progress(self, backfill: str, done: int, total: int) -> None:
        name, first, since = self._walk
        if name != backfill or done <= first:
            # The first batch of a walk: from here on its pace is known.
            self._walk = (backfill, done, time.monotonic())
            self._progress(backfill, done, total, 0.0, None)
            return
        rate = (done - first) / max(time.monotonic() - since, 0.001)
        self._progress(backfill, done, total, rate, max(total - done, 0) / rate)

    def _page(self, kind: Kind, statements: Sequence[str]) -> Performed:
        texts = [normalise(statement) for statement in statements]
        planned = [self._known[text] for text in texts if text in self._known]
        named = [t for text in statements for t in backends.named_tables(text)]
        tables = dict.fromkeys([*(t for p in planned for t in p.tables), *named])
        return self._journal.page(
            kind,
            ";\n".join(statements),
            lock=max((p.lock for p in planned), key=_strength, default=""),
            tables=tuple(tables),
            predicted=self._prediction(normalise(";\n".join(statements)), texts),
        )

    def _prediction(self, step: str, texts: Sequence[str]) -> float | None:
        """Give the rehearsal's seconds of a step, as a whole or of all its statements."""
        if (whole := self._predicted.get(step)) is not None:
            return whole
        each = [self._predicted[text] for text in texts if text in self._predicted]
        return sum(each) if texts and len(each) == len(texts) else None

    async def _wait_out_autovacuum(self, connection: asyncpg.Connection, page: Performed) -> None:
        """Wait until autovacuum is done: a step that queues behind it would have it cancelled."""
        if page.kind == "backfill":
            return
        told = False
        while busy := await backends.vacuums(connection, page.tables):
            if page.waits_for(busy):
                self._journal.note(page)
            if not told:
                self._say(f"Waiting for {busy[0]} before: {page.headline}")
                told = True
            self.raise_if_over()
            await asyncio.sleep(_VACUUM_LOOK)

    def _worth_another_try(self, error: asyncpg.PostgresError, page: Performed) -> bool:
        if isinstance(error, asyncpg.QueryCanceledError):
            # A cancel that is not ours came from outside; but time that ran out on a brief step
            # runs out again.
            limit = float(BRIEF_STATEMENT_TIMEOUT.removesuffix("s"))
            slow = page.kind == "brief" and page.spent >= limit
            return self._watcher.cancelled or not slow
        return isinstance(error, BUSY)

    def _raise_unless_approved(self, statement: str) -> None:
        if not self._approved(statement) and normalise(statement) not in self._beside:
            first = normalise(statement).partition("\n")[0]
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

    def _contended(self) -> Stopped:
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
        evidence = {"blockers": [str(blocker) for blocker in by]}
        return Stopped(
            Verdict.CONTENDED, words, evidence | ({"page": page.as_json()} if page else {})
        )


def _whom(page: Performed) -> str:
    told = [str(page.blockers[0])] if page.blockers else []
    if page.waiter:
        told.append(f"process {page.waiter.pid} waited for us {page.stall * 1_000:.0f} ms")
    return "; ".join(told)


def _strength(lock: str) -> int:
    return _STRENGTH.index(lock) if lock in _STRENGTH else 0

"""Applies a plan to the live database, or takes one back, under the executor and the watcher.

Safe to call again after it was killed or gave up: every step first looks whether it is done.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import asyncpg
from sqlalchemy.exc import DBAPIError

from app.releases.apply.error_verdicts import LOST, SAFE, failed
from app.releases.apply.executor import Executor, MigrationLimits, Progress
from app.releases.apply.journal import Journal, Performed
from app.releases.apply.watcher import Watcher
from app.releases.connection.migration_session import MigrationContended, MigrationError
from app.releases.ledger.ledger import Ledger
from app.releases.migrations import alembic_runner
from app.releases.migrations.backfill import BackfillStuck
from app.releases.migrations.observer import BUSY
from app.releases.migrations.phased_change import PointOfNoReturn
from app.releases.migrations.revisions import history
from app.releases.plan.plan import Plan, Statement
from app.releases.verdict import Stopped, Verdict

__all__ = ["Applied", "MigrationLimits", "apply", "undo"]

Say = Callable[[str], None]

# Seconds for a cancelled statement to end and to clear away what it left; then it is left alone.
LAST_WORDS: Final = 10.0


@dataclass(frozen=True)
class Applied:
    """What was done: every step, the longest anyone waited for us, and how long it took (s)."""

    statements: list[dict[str, Any]]
    worst_stall: float
    seconds: float


async def apply(
    url: str,
    plan: Plan,
    ledger: Ledger,
    limits: MigrationLimits,
    *,
    predicted: Mapping[str, float],
    approved: Callable[[str], bool],
    applied: Callable[[str], Awaitable[None]],
    say: Say,
    progress: Progress,
) -> Applied:
    """Take the database through the plan's revisions; ``applied`` hears of each that is done.

    Only what ``approved`` says yes to is run. Raises Stopped: CONTENDED, BROKEN, FAILED or
    UNREACHABLE; what was done until then is kept, and calling again goes on from there.
    """
    began = time.monotonic()
    async with _supervised(
        url, ledger, limits, "apply", plan.statements,
        approved=approved, predicted=predicted, say=say, progress=progress,
    ) as (executor, journal):  # fmt: skip
        for revision in plan.revisions:
            await _carry(executor, partial(_upgrade, url, revision, say, executor))
            await applied(revision)
    return _told(journal.pages, began)


async def undo(
    url: str, to: str, ledger: Ledger, limits: MigrationLimits, *, say: Say, progress: Progress
) -> Applied:
    """Take the database back to revision ``to``. Raises Stopped, REFUSED after a contract."""
    began = time.monotonic()
    async with _supervised(
        url, ledger, limits, "rollback", (),
        approved=lambda _: True, predicted={}, say=say, progress=progress,
    ) as (executor, journal):  # fmt: skip
        await _carry(executor, partial(alembic_runner.downgrade, url, to, say, executor))
    return _told(journal.pages, began)


@asynccontextmanager
async def _supervised(
    url: str,
    ledger: Ledger,
    limits: MigrationLimits,
    stage: str,
    statements: Sequence[Statement],
    **orders: Any,
) -> AsyncIterator[tuple[Executor, Journal]]:
    """Have the watcher look and the journal write while the executor is lent."""
    journal = Journal(ledger, stage)
    await journal.open()
    watcher = Watcher(url, limits.stall_budget, orders["say"], journal.note)
    pid = await ledger.pid()
    executor = Executor(statements, watcher, journal, limits, gate_pid=pid, **orders)
    clock = asyncio.get_running_loop().call_later(limits.wall_clock, executor.time_is_over)
    watching = _guarded(watcher.watch(), executor)
    keeping = _guarded(journal.keep(), executor)
    try:
        yield executor, journal
    except Stopped as stopped:
        stopped.evidence.setdefault("worstStall", _worst_stall(journal.pages))
        raise
    finally:
        clock.cancel()
        watcher.over = True
        await asyncio.wait({watching}, timeout=1.0)
        await _end(keeping, watching)
        with suppress(*LOST):  # the verdict stands, whether its last pages can be written or not
            await journal.close()


def _guarded(work: Coroutine[Any, Any, None], executor: Executor) -> "asyncio.Task[None]":
    """Run work beside the migration, which must not go on without it."""
    task = asyncio.ensure_future(work)

    def ended(_: Any) -> None:
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            executor.stop(_in_words(error, "the gate's own notes"))

    task.add_done_callback(ended)
    return task


async def _upgrade(url: str, revision: str, say: Say, executor: Executor) -> None:
    """Upgrade to a revision, unless an earlier run has done that and more."""
    names = [known.name for known in history()]
    at = await alembic_runner.current(url)
    if at not in names or names.index(at) < names.index(revision):
        await alembic_runner.upgrade(url, revision, say, executor)


async def _carry(executor: Executor, migration: Callable[[], Awaitable[None]]) -> None:
    """Run a migration; where others stood in the way of Alembic's own transaction, run it again."""
    tried = 0
    while True:
        executor.begin()
        try:
            await _attended(asyncio.ensure_future(migration()), executor)
        except Stopped:
            raise
        except (MigrationError, DBAPIError, *LOST) as error:
            if not _others_fault(error):
                raise _in_words(error, executor.last_error_at) from error
            executor.raise_if_over()
            tried += 1
            await asyncio.sleep(executor.pause(tried))
        else:
            return


async def _attended(migration: "asyncio.Future[None]", executor: Executor) -> None:
    """Wait for the migration's end; whoever stops it gives it time to end its statement."""
    stopping = asyncio.ensure_future(executor.stopping.wait())
    either: list[asyncio.Future[Any]] = [migration, stopping]
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({migration}, timeout=LAST_WORDS)
    except asyncio.CancelledError:
        executor.stop(Stopped(Verdict.FAILED, f"The run was stopped from outside. {SAFE}."))
        await asyncio.wait({migration}, timeout=LAST_WORDS)
        raise
    finally:
        await _end(migration, stopping)
    if migration.cancelled():
        executor.raise_if_over()
    migration.result()


async def _end(*tasks: "asyncio.Future[Any]") -> None:
    """Cancel what still runs, and take note of its error, so that nobody misses it."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(list(tasks), timeout=LAST_WORDS)
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()


def _others_fault(error: BaseException) -> bool:
    return isinstance(_origin(error), (*BUSY, asyncpg.QueryCanceledError))


def _origin(error: BaseException | None) -> Exception | None:
    """Give what the driver or the network said, below what was made of it."""
    while error is not None:
        if isinstance(error, LOST):
            return error
        error = error.__cause__
    return None


def _in_words(error: Exception, where: str) -> Stopped:
    """Say how the gate ends for it."""
    if isinstance(error, PointOfNoReturn):
        return Stopped(Verdict.REFUSED, str(error))
    if isinstance(error, MigrationContended):
        return Stopped(Verdict.CONTENDED, str(error))
    if isinstance(error, BackfillStuck):
        # The same rows stop the next run too: the revision must say what is to become of them.
        return Stopped(Verdict.BROKEN, str(error))
    origin = _origin(error)
    return failed(origin, where) if origin else Stopped(Verdict.FAILED, str(error))


def _worst_stall(pages: Sequence[Performed]) -> float:
    return max((page.stall for page in pages), default=0.0)


def _told(pages: Sequence[Performed], began: float) -> Applied:
    statements = [page.as_json() for page in pages]
    return Applied(statements, _worst_stall(pages), time.monotonic() - began)

"""Applies a plan to the live database, or takes one back, under the executor and the watcher.

Both may be called again after they were killed or gave up: each step first checks if it is done.
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
from app.releases.ledger.ledger import Ledger
from app.releases.migrations import alembic_runner
from app.releases.migrations.backfill import BackfillStuck
from app.releases.migrations.observer import BUSY
from app.releases.migrations.phased_change import PointOfNoReturn
from app.releases.migrations.revisions import names
from app.releases.plan.plan import Plan, Statement
from app.releases.verdict import MigrationContended, MigrationError, Stopped, Verdict

__all__ = ["MigrationLimits", "MigrationReport", "apply", "undo"]

Say = Callable[[str], None]

# Seconds for a cancelled statement to end and to clean up; after that nobody waits for it.
CANCEL_PATIENCE: Final = 10.0


@dataclass(frozen=True)
class MigrationReport:
    """The steps of a migration, the longest that anyone waited for us, and its time, in seconds."""

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
    applied: Callable[[str], Awaitable[None]],
    say: Say,
    progress: Progress,
    approved: Callable[[str], bool] = lambda _: False,
) -> MigrationReport:
    """Take the database through the plan's revisions; call ``applied`` after each.

    Only the plan's statements are run, and those that ``approved`` allows. Raise Stopped:
    CONTENDED, BROKEN, FAILED or UNREACHABLE. The steps until then are committed; a further call
    goes on from there.
    """
    began = time.monotonic()
    async with alembic_runner.kept_connections(url), _supervised(
        url, ledger, limits, "apply", plan.statements,
        approved=approved, predicted=predicted, say=say, progress=progress,
    ) as (executor, journal):  # fmt: skip
        for revision in plan.revisions:
            await _run_migration(executor, partial(_upgrade, url, revision, say, executor))
            await applied(revision)
    return _report(journal.pages, began)


async def undo(
    url: str, to: str, ledger: Ledger, limits: MigrationLimits, *, say: Say, progress: Progress
) -> MigrationReport:
    """Take the database back to revision ``to``. Raise Stopped, REFUSED after a contract."""
    began = time.monotonic()
    async with _supervised(
        url, ledger, limits, "rollback", (),
        approved=lambda _: True, predicted={}, say=say, progress=progress,
    ) as (executor, journal):  # fmt: skip
        await _run_migration(executor, partial(alembic_runner.downgrade, url, to, say, executor))
    return _report(journal.pages, began)


@asynccontextmanager
async def _supervised(
    url: str, ledger: Ledger, limits: MigrationLimits, stage: str,
    statements: Sequence[Statement], **orders: Any,
) -> AsyncIterator[tuple[Executor, Journal]]:  # fmt: skip
    """Yield an executor while the watcher watches and the journal writes."""
    journal = Journal(ledger, stage)
    await journal.open()
    watcher = Watcher(url, limits.stall_budget, orders["say"], journal.note)
    executor = Executor(statements, watcher, journal, limits, **orders)
    executor.gate_pid = await ledger.pid()
    clock = asyncio.get_running_loop().call_later(limits.wall_clock, executor.stop_at_wall_clock)
    watching = _start_guarded(watcher.watch(), executor)
    keeping = _start_guarded(journal.keep(), executor)
    try:
        yield executor, journal
    except Stopped as stopped:
        stopped.evidence.setdefault("worstStall", _worst_stall(journal.pages))
        raise
    finally:
        clock.cancel()
        watcher.is_over = True
        await asyncio.wait({watching}, timeout=1.0)
        await _end(keeping, watching)
        with suppress(*LOST):  # the verdict stands, whether its last pages can be written or not
            await journal.close()


def _start_guarded(work: Coroutine[Any, Any, None], executor: Executor) -> "asyncio.Task[None]":
    """Start work that runs during the migration; if it fails, stop the migration."""
    task = asyncio.ensure_future(work)

    def ended(_: Any) -> None:
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            executor.stop(_verdict_on(error, "the gate's own notes"))

    task.add_done_callback(ended)
    return task


async def _upgrade(url: str, revision: str, say: Say, executor: Executor) -> None:
    """Upgrade to a revision, unless an earlier run got there or further."""
    at = await alembic_runner.current(url)
    if at not in names() or names().index(at) < names().index(revision):
        await alembic_runner.upgrade(url, revision, say, executor)


async def _run_migration(executor: Executor, migration: Callable[[], Awaitable[None]]) -> None:
    """Run a migration; where others blocked Alembic's own transaction, run it again."""
    tries = 0
    while True:
        executor.forget_backends()
        try:
            await _wait_for(asyncio.ensure_future(migration()), executor)
        except Stopped:
            raise
        except (MigrationError, DBAPIError, *LOST) as error:
            if not isinstance(_origin(error), (*BUSY, asyncpg.QueryCanceledError)):
                raise _verdict_on(error, executor.last_failed_statement) from error
            executor.raise_if_over()
            tries += 1
            await asyncio.sleep(executor.pause(tries))
        else:
            return


async def _wait_for(migration: "asyncio.Future[None]", executor: Executor) -> None:
    """Wait for the migration's end; once it is to stop, only for its current statement."""
    stopping = asyncio.ensure_future(executor.stopping.wait())
    either: list[asyncio.Future[Any]] = [migration, stopping]
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({migration}, timeout=CANCEL_PATIENCE)
    except asyncio.CancelledError:
        executor.stop(Stopped(Verdict.FAILED, f"The run was stopped from outside. {SAFE}."))
        await asyncio.wait({migration}, timeout=CANCEL_PATIENCE)
        raise
    finally:
        await _end(migration, stopping)
    if migration.cancelled():
        executor.raise_if_over()
    migration.result()


async def _end(*tasks: "asyncio.Future[Any]") -> None:
    """Cancel tasks that still run, and retrieve their errors, so that asyncio reports none."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(list(tasks), timeout=CANCEL_PATIENCE)
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()


def _origin(error: BaseException | None) -> Exception | None:
    """Return the error of the driver or the network that caused this one."""
    while error is not None:
        if isinstance(error, LOST):
            return error
        error = error.__cause__
    return None


def _verdict_on(error: Exception, where: str) -> Stopped:
    """Return the end of the gate's run for an error."""
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


def _report(pages: Sequence[Performed], began: float) -> MigrationReport:
    statements = [page.as_json() for page in pages]
    return MigrationReport(statements, _worst_stall(pages), time.monotonic() - began)

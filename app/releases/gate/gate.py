"""Runs the gate: stage after stage, each with a page in the ledger, to one verdict."""

import asyncio
import time
import traceback
from collections.abc import Mapping
from contextlib import AsyncExitStack
from types import ModuleType
from typing import Any, Final

from app.releases.apply.error_verdicts import LOST, stopped
from app.releases.connection.migration_session import MigrationError
from app.releases.gate.run import Ended, Order, Release, StageResult
from app.releases.gate.stages import (
    adopt_database,
    apply_plan,
    check_approval,
    check_drift,
    connect,
    make_plan,
    policy,
    prove_statements,
    read_position,
    rehearse,
    resume,
    roll_back,
    start_soak,
    verify,
)
from app.releases.ledger.ledger import Ledger
from app.releases.migrations.alembic_runner import current
from app.releases.migrations.revisions import needed
from app.releases.output import GateOutput, NoOutput
from app.releases.verdict import Stopped, Verdict

STAGES: Final = (
    connect, read_position, check_drift, prove_statements, make_plan, policy, rehearse,
    check_approval, apply_plan, verify, start_soak,
)  # fmt: skip
# These mind the wall clock statement by statement, and leave nothing half done.
OWN_CLOCK: Final = (connect, apply_plan, roll_back)
PLAN: Final = STAGES[: STAGES.index(policy) + 1]
REHEARSE: Final = STAGES[: STAGES.index(rehearse) + 1]
RESUME: Final = (*STAGES[:2], resume, *STAGES[2:])
ROLLBACK: Final = (connect, read_position, roll_back, verify)
ADOPT: Final = (connect, adopt_database)


async def gate(
    order: Order,
    statements: Mapping[str, tuple[str, ...]],
    tell: GateOutput | None = None,
    stages: tuple[ModuleType, ...] = STAGES,
) -> Ended:
    """Run the stages in order and tell how it ended. Raises nothing that the database did.

    ``statements`` are what this image's code demands of the database, by collection.
    """
    async with AsyncExitStack() as stack:
        release = Release(order, stack, tell or NoOutput(), statements)
        run = _Run(release)
        verdict, words = await run.through(stages)
        return await run.closed(verdict, words)


class _Run:
    """The course of one run, in the ledger and in the telling."""

    def __init__(self, release: Release) -> None:
        self._release, self._tell = release, release.tell
        self._told: list[dict[str, Any]] = []

    async def through(self, stages: tuple[ModuleType, ...]) -> tuple[Verdict, str]:
        try:
            for stage in stages:
                await self._take(stage)
        except asyncio.CancelledError:
            return self._interrupted()
        except Exception as error:  # noqa: BLE001  # every run ends with a verdict, in the ledger
            stopped = self._stopped(error)
            return stopped.verdict, stopped.words
        return self._arrived()

    def _stopped(self, error: Exception) -> Stopped:
        """Give any error its verdict."""
        if (foreseen := stopped(error)) is not None:
            return foreseen
        self._tell.say("".join(traceback.format_exception(error)))
        return Stopped(Verdict.FAILED, f"Nobody foresaw this: {type(error).__name__}: {error}")

    def _interrupted(self) -> tuple[Verdict, str]:
        """End a run that a signal stopped: its own statement was cancelled, and it is closed."""
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
        begun = self._release.plan is not None and not self._release.applied
        rest = "python -m app release takes it up where it was." if begun else "Run it again."
        return Verdict.CONTENDED, f"Stopped from outside; the old version serves on. {rest}"

    def _arrived(self) -> tuple[Verdict, str]:
        release = self._release
        if release.arrival:
            return Verdict.DONE, release.arrival
        if release.deployable:
            rest = f" {release.put_off}" if release.put_off else ""
            words = f"The database is at {release.current}: this image can serve.{rest}"
            return Verdict.DONE, words
        if release.applied:
            return Verdict.STEP_DONE, (
                f"{release.current} is done; this image needs {needed()}, so it is not deployable "
                "yet and the old version serves on. The next step waits for the soak."
            )
        return Verdict.DONE, "Looked at; nothing was changed."

    async def _take(self, stage: ModuleType) -> None:
        """Run one stage and write its page, whatever happens to it."""
        release, began = self._release, time.monotonic()
        self._tell.stage(stage.NAME)
        position = await release.ledger.stage_begins(stage.NAME) if release.ledger else None
        try:
            outcome = await self._bounded(stage)
        except BaseException as error:
            evidence = error.evidence if isinstance(error, Stopped) else {}
            words = str(error) or type(error).__name__
            await self._write(position, stage.NAME, "stopped", words, evidence, began)
            raise
        if position is None:
            position = await self._opened(stage.NAME)
        how = "skipped" if outcome.skipped else "done"
        await self._write(position, stage.NAME, how, outcome.words, outcome.evidence, began)

    async def _bounded(self, stage: ModuleType) -> StageResult:
        """Run a stage within the wall clock; the work on the live database keeps its own."""
        order = self._release.order
        try:
            async with asyncio.timeout(None if stage in OWN_CLOCK else order.wall_clock) as clock:
                found: StageResult = await stage.run(self._release)
                return found
        except TimeoutError as over:
            if not clock.expired():
                raise
            raise Stopped(
                Verdict.CONTENDED,
                f"The stage {stage.NAME} was not done after {order.wall_clock:.0f} s and was "
                "stopped; nothing was changed on the live database. A revision that waits for "
                "itself does this too: look at the one that comes next.",
            ) from over

    async def _opened(self, stage: str) -> int:
        """Open the run, now that there is a ledger."""
        order, book = self._release.order, self._release.book
        await book.begin(order.word, order.who, order.why, await current(order.url))
        return await book.stage_begins(stage)

    async def _write(
        self,
        position: int | None,
        stage: str,
        outcome: str,
        words: str,
        evidence: Mapping[str, Any],
        began: float,
    ) -> None:
        seconds = time.monotonic() - began
        page = {"stage": stage, "outcome": outcome, "words": words, "seconds": round(seconds, 3)}
        self._told.append(page | ({"evidence": evidence} if outcome == "stopped" else {}))
        self._tell.stage_over(stage, outcome, words, seconds)
        if position is not None:
            await _if_it_answers(self._release.book.stage_ends(position, outcome, words, evidence))

    async def closed(self, verdict: Verdict, words: str) -> Ended:
        release = self._release
        revision = release.current
        if release.ledger is not None and release.ledger.run:
            revision = await _if_it_answers(current(release.order.url)) or revision
            book: Ledger = release.ledger
            await _if_it_answers(book.end(verdict.name, int(verdict), words, revision))
        run = release.ledger.run if release.ledger else None
        return Ended(verdict, words, run or None, release.shown, revision, tuple(self._told))


async def _if_it_answers(writing: Any) -> Any:
    """Write to the ledger where the database still answers: the verdict stands either way."""
    try:
        return await writing
    except (*LOST, MigrationError):
        return None

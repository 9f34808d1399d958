"""Runs the gate: stage after stage, each with a page in the ledger, to one verdict."""

import asyncio
import time
import traceback
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import replace
from inspect import signature
from types import ModuleType
from typing import Any, Final, TypeVar

from app.releases.apply.error_verdicts import LOST, stopped
from app.releases.gate.run import (
    Applied,
    Connected,
    Ended,
    Order,
    Planned,
    Position,
    StageResult,
    serves_at,
)
from app.releases.gate.stages import (
    adopt_database,
    apply_plan,
    check_approval,
    check_drift,
    connect,
    load_contents,
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
from app.releases.output import GateOutput
from app.releases.plan.plan import Plan
from app.releases.product import Statements
from app.releases.schema.scratch_database import growing_scratch
from app.releases.verdict import MigrationError, Stopped, Verdict

T = TypeVar("T")

STAGES: Final = (
    connect, read_position, check_drift, prove_statements, make_plan, policy, rehearse,
    check_approval, apply_plan, verify, load_contents, start_soak,
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
    statements: Statements,
    output: GateOutput | None = None,
    stages: tuple[ModuleType, ...] = STAGES,
) -> Ended:
    """Run the stages in order and return how it ended. Raise nothing that the database did.

    ``statements`` are what this image's code demands of the database, by collection.
    """
    async with growing_scratch(order.url), AsyncExitStack() as stack:
        run = _Run(order, statements, output or GateOutput(), stack)
        verdict, words = await run.through(stages)
        return await run.close(verdict, words)


class _Run:
    """One run: it hands each stage what its signature names, and keeps what the stage returns.

    ``_values`` holds, by type, what the run began with and the result of each stage.
    """

    def __init__(
        self, order: Order, statements: Statements, output: GateOutput, stack: AsyncExitStack
    ) -> None:
        self._order, self._output = order, output
        self._values: dict[Any, Any] = {
            Order: order, Statements: statements, GateOutput: output, AsyncExitStack: stack,
        }  # fmt: skip
        self._ledger: Ledger | None = None
        self._pages: list[dict[str, Any]] = []
        self._plan: Plan | None = None
        self._postponed: str | None = None
        self._final_words: str | None = None

    async def through(self, stages: tuple[ModuleType, ...]) -> tuple[Verdict, str]:
        try:
            for stage in stages:
                self._keep(await self._run_stage(stage))
        except asyncio.CancelledError:
            return self._interrupted()
        except Exception as error:  # noqa: BLE001  # every run ends with a verdict, in the ledger
            if (foreseen := stopped(error)) is not None:
                return foreseen.verdict, foreseen.words
            self._output.say("".join(traceback.format_exception(error)))
            return Verdict.FAILED, f"Nobody foresaw this: {type(error).__name__}: {error}"
        return self._completed()

    async def close(self, verdict: Verdict, words: str) -> Ended:
        """Write the verdict into the ledger, and return how the run ended."""
        ledger, revision = self._ledger, self._revision
        if ledger is not None and ledger.run:
            revision = await _if_it_answers(current(self._order.url)) or revision
            await _if_it_answers(ledger.end(verdict.name, int(verdict), words, revision))
        number = ledger.run or None if ledger else None
        return Ended(verdict, words, number, self._plan, revision, tuple(self._pages))

    def _keep(self, result: StageResult) -> None:
        """Keep what a stage returns for those after it."""
        self._values[type(result)] = result
        self._final_words = result.final_words or self._final_words
        if isinstance(result, Planned):
            self._plan = result.plan
        if result.postponed:
            self._postponed = result.postponed
            self._values[Planned] = replace(self._values[Planned], plan=None)

    @property
    def _revision(self) -> str | None:
        last: Applied | Position | None = self._values.get(Applied) or self._values.get(Position)
        return last.revision if last else None

    @property
    def _changed(self) -> bool:
        applied: Applied | None = self._values.get(Applied)
        return applied is not None and applied.changed

    def _interrupted(self) -> tuple[Verdict, str]:
        """End a run that a signal stopped: its own statement was cancelled, and it is closed."""
        if (task := asyncio.current_task()) is not None:
            task.uncancel()
        planned: Planned | None = self._values.get(Planned)
        is_begun = planned is not None and planned.plan is not None and not self._changed
        rest = "python -m app release takes it up where it was." if is_begun else "Run it again."
        return Verdict.CONTENDED, f"Stopped from outside; the old version serves on. {rest}"

    def _completed(self) -> tuple[Verdict, str]:
        """Return the verdict of a run in which no stage stopped."""
        revision = self._revision
        if self._final_words:
            return Verdict.DONE, self._final_words
        if serves_at(revision):
            rest = f" {self._postponed}" if self._postponed else ""
            return Verdict.DONE, f"The database is at {revision}: this image can serve.{rest}"
        if self._changed:
            return Verdict.STEP_DONE, (
                f"{revision} is done; this image needs {needed()}, so it is not deployable "
                "yet and the old version serves on. The next step waits for the soak."
            )
        return Verdict.DONE, "Looked at; nothing was changed."

    async def _run_stage(self, stage: ModuleType) -> StageResult:
        """Run one stage and write its page, whatever happens to it."""
        began = time.monotonic()
        self._output.stage(stage.NAME)
        position = await self._ledger.stage_begins(stage.NAME) if self._ledger else None
        try:
            result = await self._within_wall_clock(stage)
        except BaseException as error:
            evidence = error.evidence if isinstance(error, Stopped) else {}
            end = StageResult(str(error) or type(error).__name__, evidence=evidence)
            await self._write(position, stage.NAME, "stopped", end, began)
            raise
        if isinstance(result, Connected):  # only now there is a ledger, to open the run's page in
            self._ledger = self._values[Ledger] = result.ledger
            order = self._order
            await result.ledger.begin(order.word, order.who, order.why, await current(order.url))
            position = await result.ledger.stage_begins(stage.NAME)
        how = "skipped" if result.skipped else "done"
        await self._write(position, stage.NAME, how, result, began)
        return result

    async def _within_wall_clock(self, stage: ModuleType) -> StageResult:
        """Run a stage in bounded time; the work on the live database keeps its own clock."""
        seconds = None if stage in OWN_CLOCK else self._order.wall_clock
        needs = signature(stage.run).parameters.values()
        try:
            async with asyncio.timeout(seconds) as clock:
                result: StageResult = await stage.run(*(self._values[n.annotation] for n in needs))
                return result
        except TimeoutError as over:
            if not clock.expired():
                raise
            raise Stopped(
                Verdict.CONTENDED,
                f"The stage {stage.NAME} was not done after {seconds:.0f} s and was "
                "stopped; nothing was changed on the live database. A revision that waits for "
                "itself does this too: look at the one that comes next.",
            ) from over

    async def _write(
        self, position: int | None, stage: str, outcome: str, end: StageResult, began: float
    ) -> None:
        words, seconds = end.words, time.monotonic() - began
        page = {"stage": stage, "outcome": outcome, "words": words, "seconds": round(seconds, 3)}
        self._pages.append(page | ({"evidence": end.evidence} if outcome == "stopped" else {}))
        self._output.stage_over(stage, outcome, words, seconds)
        if position is not None and self._ledger is not None:
            await _if_it_answers(self._ledger.stage_ends(position, outcome, words, end.evidence))


async def _if_it_answers(query: Coroutine[Any, Any, T]) -> T | None:
    """Await a query where the database still answers: the verdict stands either way."""
    try:
        return await query
    except (*LOST, MigrationError):
        return None

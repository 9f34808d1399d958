"""``python -m tests.support.halting WHERE release …``: the command line, halted to be killed.

WHERE is ``before STAGE``, ``after STAGE``, ``statement N`` (before the Nth step of the migration),
``batch N`` (before the Nth batch of a backfill), ``steps-back N`` (before the Nth step of a
rollback) or ``contract N`` (before the Nth contract). There the process prints "halted" and waits
for ever.
"""

import asyncio
import functools
import itertools
import sys
from typing import Any

from app.__main__ import cli
from app.releases.apply import migration as applying
from app.releases.gate import gate
from app.releases.migrations import backfill
from app.releases.migrations.revisions import history
from app.releases.migrations.steps import LiveSteps
from tests.support.remembered import remembered


def halt_at_stage(moment: str, name: str) -> None:
    """Halt before or after a stage does its work, inside its page of the ledger."""
    stage: Any = next(stage for stage in gate.STAGES if name == stage.NAME)
    run = stage.run

    @functools.wraps(run)  # the gate reads from the signature what a stage needs
    async def halting(*needs: Any) -> Any:
        outcome = None if moment == "before" else await run(*needs)
        print("halted", flush=True)  # noqa: T201  # the test waits for it
        await asyncio.sleep(3_600)
        return outcome

    stage.run = halting


def halt_at_contract(number: int) -> None:
    """Halt before the Nth contract is begun on the live database."""
    calls = itertools.count(1)
    apply: Any = applying
    upgrade = apply._upgrade  # noqa: SLF001  # the moment between two revisions
    contracts = {revision.name for revision in history() if revision.phase == "contract"}

    async def halting(url: str, revision: str, *arguments: Any) -> None:
        if revision in contracts and next(calls) == number:
            print("halted", flush=True)  # noqa: T201  # the test waits for it
            await asyncio.sleep(3_600)
        await upgrade(url, revision, *arguments)

    apply._upgrade = halting  # noqa: SLF001  # see above


def halt_at_step(method: str, number: int, stage: str) -> None:
    """Halt before the Nth call of a method of the steps, once the live database is worked on."""
    calls = itertools.count(1)
    do = getattr(LiveSteps, method)
    apply: Any = next(s for s in (*gate.STAGES, *gate.ROLLBACK) if stage == s.NAME)
    run = apply.run

    def halting(self: LiveSteps, *arguments: Any, **named: Any) -> Any:
        if next(calls) == number:
            applying.CANCEL_PATIENCE = 0.5  # type: ignore[misc]  # no statement of ours is to end
            print("halted", flush=True)  # noqa: T201  # the test waits for it
            self.pause(3_600)
        return do(self, *arguments, **named)

    @functools.wraps(run)
    async def trapped(*needs: Any) -> Any:
        for size in ("FIRST_BATCH", "SMALLEST_BATCH", "LARGEST_BATCH"):
            setattr(backfill, size, 10)
        setattr(LiveSteps, method, halting)
        return await run(*needs)

    apply.run = trapped


def main() -> None:
    """Set the trap and run the command line."""
    kind, place = sys.argv[1:3]
    if kind in {"before", "after"}:
        halt_at_stage(kind, place)
    elif kind == "contract":
        halt_at_contract(int(place))
    else:
        stage = "rollback" if kind == "steps-back" else "apply"
        halt_at_step("batch" if kind == "batch" else "_persist", int(place), stage)
    sys.argv[1:3] = []
    with remembered():
        cli(prog_name="python -m app")


if __name__ == "__main__":
    main()

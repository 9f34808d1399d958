"""``python -m tests.support.halting WHERE release …``: the command line, halted to be killed.

WHERE is ``before STAGE``, ``after STAGE``, ``statement N`` (before the Nth step of the migration)
or ``batch N`` (before the Nth batch of a backfill). There the process prints "halted" and waits
for ever.
"""

import asyncio
import itertools
import sys
from typing import Any

from app.__main__ import cli
from app.releases import backfill, gate
from app.releases.steps import LiveSteps


def halt_at_stage(moment: str, name: str) -> None:
    """Halt before or after a stage does its work, inside its page of the ledger."""
    stage: Any = next(stage for stage in gate.STAGES if name == stage.NAME)
    run = stage.run

    async def halting(release: Any) -> Any:
        outcome = None if moment == "before" else await run(release)
        print("halted", flush=True)  # noqa: T201  # the test waits for it
        await asyncio.sleep(3_600)
        return outcome

    stage.run = halting


def halt_at_step(method: str, number: int) -> None:
    """Halt before the Nth call of a method of the steps, once the live database is worked on."""
    calls = itertools.count(1)
    do = getattr(LiveSteps, method)
    apply: Any = next(stage for stage in gate.STAGES if stage.NAME == "apply")
    run = apply.run

    def halting(self: LiveSteps, *arguments: Any, **named: Any) -> Any:
        if next(calls) == number:
            print("halted", flush=True)  # noqa: T201  # the test waits for it
            self.pause(3_600)
        return do(self, *arguments, **named)

    async def trapped(release: Any) -> Any:
        for size in ("FIRST_BATCH", "SMALLEST_BATCH", "LARGEST_BATCH"):
            setattr(backfill, size, 10)
        setattr(LiveSteps, method, halting)
        return await run(release)

    apply.run = trapped


def main() -> None:
    """Set the trap and run the command line."""
    kind, place = sys.argv[1:3]
    if kind in {"before", "after"}:
        halt_at_stage(kind, place)
    else:
        halt_at_step("batch" if kind == "batch" else "_persist", int(place))
    sys.argv[1:3] = []
    cli(prog_name="python -m app")


if __name__ == "__main__":
    main()

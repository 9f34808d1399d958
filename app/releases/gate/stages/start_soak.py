"""Stage 12: the soak starts, in which the running service watches for errors and drift."""

from typing import Final

from app.releases.gate.run import Applied, Order, StageResult
from app.releases.ledger import soak
from app.releases.ledger.ledger import Ledger

NAME: Final = "soak"


async def run(order: Order, ledger: Ledger, applied: Applied) -> StageResult:
    """Start the soak of what was applied. Only then is the release over."""
    plan = applied.plan
    if plan is None:
        return StageResult("nothing new to watch", skipped=True)
    if applied.new:
        result = StageResult("the database was empty: nothing to watch", skipped=True)
    else:
        seconds = order.soak_seconds
        await soak.begin(ledger, plan, seconds)
        result = StageResult(f"{seconds / 3_600:g} h from now", evidence={"seconds": seconds})
    await ledger.plan_is(plan.digest, "verified")
    return result

"""Stage 11: the clock starts in which the running service watches for what nobody rehearsed."""

from typing import Final

from app.releases.gate.run import Release, StageResult
from app.releases.ledger import soak
from app.releases.plan.plan import Plan

NAME: Final = "soak"


async def run(release: Release) -> StageResult:
    """Start the soak of what was applied. Only then is the release over."""
    if release.plan is None or not release.applied:
        return StageResult("nothing new to watch", skipped=True)
    outcome = await _begun(release, release.plan)
    await release.book.plan_is(release.plan.digest, "verified")
    return outcome


async def _begun(release: Release, plan: Plan) -> StageResult:
    if release.empty:
        return StageResult("the database was empty: nothing to watch", skipped=True)
    seconds = release.order.soak_seconds
    await soak.begin(release.book, plan, seconds)
    return StageResult(f"{seconds / 3_600:g} h from now", {"seconds": seconds})

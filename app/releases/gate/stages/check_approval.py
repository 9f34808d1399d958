"""Stage 8: a named operator has approved exactly this plan, after exactly this rehearsal."""

from typing import Final

from app.releases.gate.contract_conditions import what_is_lost
from app.releases.gate.run import Release, StageResult
from app.releases.ledger.decisions import valid
from app.releases.plan.plan import Plan, approval
from app.releases.verdict import Stopped, Verdict

NAME: Final = "approve"


async def run(release: Release) -> StageResult:
    """Ask for the approval. Raises Stopped with the words that give it."""
    plan = release.plan
    if plan is None or release.empty:
        return StageResult("none is needed", skipped=True)
    decision = await release.book.decision(plan.digest)
    if release.resumed:
        return StageResult("approved when it was begun", skipped=True)
    if decision and decision["decision"] == "approved" and valid(decision, release.rehearsal):
        release.decision = decision["id"]
        return StageResult(
            f"by {decision['who']}: {decision['why']}",
            {name: decision[name] for name in ("id", "who", "why", "rehearsal", "destroys")},
        )
    evidence = {"digest": plan.digest, "rehearsal": release.rehearsal, "drops": plan.losses}
    words = _wanted(plan, decision, await what_is_lost(release.book, release.order, plan))
    if release.optional:
        return release.wait(words, evidence)
    raise Stopped(Verdict.AWAITING_APPROVAL, words, evidence)


def _wanted(plan: Plan, decision: dict[str, object] | None, lost: str) -> str:
    how = f"{approval(plan)}, then run the release again"
    if lost:
        how = f"{lost} After a backup: {how}"
    if decision and decision["decision"] == "withheld":
        return (
            f"{plan.target} was withheld by {decision['who']}: {decision['why']}. To approve it "
            f"after all: {how}."
        )
    void = " (an approval that was there is void: it was of another rehearsal)" if decision else ""
    return f"{plan.target} was rehearsed and waits for a person's approval{void}: {how}."

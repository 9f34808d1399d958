"""Stage 8: a named operator has approved exactly this plan, after exactly this rehearsal."""

from typing import Final

from app.releases.gate.contract_conditions import what_is_lost
from app.releases.gate.run import Approved, Order, Planned, Position, Rehearsed, postponed
from app.releases.ledger.decisions import valid
from app.releases.ledger.ledger import Ledger
from app.releases.plan.plan import Plan, approval
from app.releases.verdict import Stopped, Verdict

NAME: Final = "approve"


async def run(
    order: Order, ledger: Ledger, position: Position, planned: Planned, rehearsed: Rehearsed
) -> Approved:
    """Look for the approval. Raise Stopped with the command that approves."""
    plan = planned.plan
    if plan is None or planned.empty:
        return Approved("none is needed", skipped=True)
    if position.unfinished:
        return Approved("approved when it was begun", skipped=True)
    decision = await ledger.decision(plan.digest)
    if decision and valid(decision, rehearsed.number):
        words = f"by {decision['who']}: {decision['why']}"
        evidence = {name: decision[name] for name in ("id", "who", "why", "rehearsal", "destroys")}
        return Approved(words, evidence=evidence, decision=decision["id"])
    evidence = {"digest": plan.digest, "rehearsal": rehearsed.number, "drops": plan.losses}
    words = _how_to_approve(plan, decision, await what_is_lost(ledger, order, plan))
    if position.may_wait(order):
        return Approved(**postponed(plan, words, evidence))
    raise Stopped(Verdict.AWAITING_APPROVAL, words, evidence)


def _how_to_approve(plan: Plan, decision: dict[str, object] | None, lost: str) -> str:
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

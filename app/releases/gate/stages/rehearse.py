"""Stage 7: the release happens to a copy first."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from app.releases.gate.contract_conditions import with_losses
from app.releases.gate.run import Order, Planned, Position, Rehearsed, postponed
from app.releases.ledger.ledger import Ledger
from app.releases.output import GateOutput, ProgressRate
from app.releases.plan.plan import Plan, approval
from app.releases.product import RoundTrip, Statements, other_clients
from app.releases.rehearsal.checks import RehearsalChecks
from app.releases.rehearsal.rehearsal import rehearse
from app.releases.sql.text import normalise
from app.releases.verdict import Stopped, Verdict

NAME: Final = "rehearse"


async def run(
    order: Order, ledger: Ledger, output: GateOutput, statements: Statements,
    position: Position, planned: Planned,
) -> Rehearsed:  # fmt: skip
    """Rehearse a plan that has not been rehearsed. Raise Stopped where the copy came to harm."""
    plan = planned.plan
    if plan is None or planned.empty:
        return Rehearsed("nothing to rehearse", skipped=True)
    last = await ledger.rehearsal(plan.digest)
    if last and last["passed"] and not order.anew:
        number, predicted = last["id"], _predicted(last["evidence"])
        words = f"rehearsed already, as number {number}"
        return Rehearsed(words, skipped=True, number=number, predicted=predicted)
    if position.unfinished:
        words = "it is half done on the live database: no copy would show it"
        return Rehearsed(words, skipped=True)
    if position.may_wait(order):
        how = "an operator must rehearse it: python -m app release rehearse."
        return Rehearsed(**postponed(plan, how))
    image = await ledger.get_fact("image") or {"statements": {}}
    rehearsal = await rehearse(
        order.url, plan, previous=image["statements"], own=statements, round_trip=RoundTrip(),
        others=partial(other_clients, order.url), stall_budget=order.stall_budget,
        half_done=bool(position.in_progress), say=output.say, progress=ProgressRate(output),
    )  # fmt: skip
    evidence = rehearsal.evidence
    number = await _store(order, ledger, output, plan, rehearsal)
    final = f"{plan.target} is rehearsed and waits for a person: {approval(plan)}."
    end = await with_losses(ledger, order, plan, final) if order.word == "rehearse" else None
    return Rehearsed(
        f"number {number} passed in {evidence['seconds']:.1f} s",
        evidence={"rehearsal": number, **evidence}, number=number,
        predicted=_predicted(evidence), final_words=end,
    )  # fmt: skip


async def _store(
    order: Order, ledger: Ledger, output: GateOutput, plan: Plan, rehearsal: RehearsalChecks
) -> int:
    """Store the rehearsal and return its number.

    Raise Stopped where it found something, or where the plan is not small.
    """
    findings, evidence = rehearsal.findings, rehearsal.evidence
    too_long = None if findings else _too_long(order, plan, evidence)
    passed = not findings and too_long is None
    number = await ledger.rehearsed(plan.digest, passed=passed, evidence=evidence)
    if too_long is not None:
        await ledger.plan_is(plan.digest, "superseded")
        raise Stopped(Verdict.REFUSED, too_long, {"rehearsal": number})
    for finding in findings:
        output.say(finding)
    if findings:
        raise Stopped(
            Verdict.BROKEN,
            f"The rehearsal of {plan.target} went wrong on the copy: {findings[0]}"
            f"{f' and {len(findings) - 1} more' if len(findings) > 1 else ''}. The live "
            "database was not touched: mend the revision and deploy again.",
            {"rehearsal": number, "findings": findings},
        )
    return number


def _too_long(order: Order, plan: Plan, evidence: Mapping[str, Any]) -> str | None:
    """Return why a release of several tables is not small enough; None where it is."""
    work, most = sum(s["seconds"] for s in evidence["statements"]), order.small_seconds
    if not plan.tables or work <= most:
        return None
    return (
        f"{len(plan.tables)} tables together took {work:.0f} s of work on the copy, and "
        f"SMALL_RELEASE_SECONDS allows {most:g}: take one table after the other, which is python "
        "-m app release without --whole. The live database was not touched."
    )


def _predicted(evidence: Mapping[str, Any]) -> dict[str, float]:
    """Return the seconds that each statement took on the copy, by its normalised text."""
    seconds: dict[str, float] = {}
    for step in evidence.get("statements", ()):
        text = normalise(step["sql"])
        seconds[text] = seconds.get(text, 0.0) + step["seconds"]
    return seconds

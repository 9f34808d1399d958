"""Stage 7: the release happens to a copy first."""

from collections.abc import Mapping
from typing import Any, Final

from app.releases.gate.contract_conditions import what_is_lost
from app.releases.gate.run import Release, StageResult
from app.releases.output import ProgressRate
from app.releases.plan.plan import Plan, approval
from app.releases.rehearsal.rehearsal import rehearse
from app.releases.sql.text import normalise
from app.releases.verdict import Stopped, Verdict
from app.sync.rehearsal.round_trip import RoundTrip

NAME: Final = "rehearse"


async def run(release: Release) -> StageResult:
    """Rehearse what was not rehearsed yet. Raises Stopped where the copy came to harm."""
    plan = release.plan
    if plan is None or release.empty:
        return StageResult("nothing to rehearse", skipped=True)
    last = await release.book.rehearsal(plan.digest)
    if last and last["passed"] and not release.order.anew:
        release.rehearsal, release.predicted = last["id"], _predicted(last["evidence"])
        return StageResult(f"rehearsed already, as number {last['id']}", skipped=True)
    if release.resumed:
        return StageResult(
            "it is half done on the live database: no copy would show it", skipped=True
        )
    if release.optional:
        return release.wait("an operator must rehearse it: python -m app release rehearse.")
    return await _rehearsed(release, plan)


async def _rehearsed(release: Release, plan: Plan) -> StageResult:
    image = await release.book.get_fact("image") or {"statements": {}}
    done = await rehearse(
        release.order.url,
        plan,
        previous=image["statements"],
        own=release.statements,
        round_trip=RoundTrip(),
        stall_budget=release.order.stall_budget,
        half_done=bool(release.making),
        say=release.tell.say,
        progress=ProgressRate(release.tell),
    )
    too_long = _work_beyond_small(release, plan, done.evidence) if done.passed else None
    passed = done.passed and too_long is None
    number = await release.book.rehearsed(plan.digest, passed=passed, evidence=done.evidence)
    if too_long is not None:
        await release.book.plan_is(plan.digest, "superseded")
        raise Stopped(Verdict.REFUSED, too_long, {"rehearsal": number})
    if not done.passed:
        for finding in done.findings:
            release.tell.say(finding)
        raise Stopped(
            Verdict.BROKEN,
            f"The rehearsal of {plan.target} went wrong on the copy: {done.findings[0]}"
            f"{f' and {len(done.findings) - 1} more' if len(done.findings) > 1 else ''}. The live "
            "database was not touched: mend the revision and deploy again.",
            {"rehearsal": number, "findings": done.findings},
        )
    release.rehearsal, release.predicted = number, _predicted(done.evidence)
    if release.order.word == "rehearse":
        lost = await what_is_lost(release.book, release.order, plan)
        release.arrival = (
            f"{plan.target} is rehearsed and waits for a person: {approval(plan)}. {lost}".rstrip()
        )
    return StageResult(
        f"number {number} passed in {done.evidence['seconds']:.1f} s",
        {"rehearsal": number, **done.evidence},
    )


def _work_beyond_small(release: Release, plan: Plan, evidence: Mapping[str, Any]) -> str | None:
    """Return why a release of several tables is not small enough; None where it is."""
    work, most = sum(s["seconds"] for s in evidence["statements"]), release.order.small_seconds
    if not plan.tables or work <= most:
        return None
    return (
        f"{len(plan.tables)} tables together took {work:.0f} s of work on the copy, and "
        f"SMALL_RELEASE_SECONDS allows {most:g}: take one table after the other, which is python "
        "-m app release without --whole. The live database was not touched."
    )


def _predicted(evidence: Mapping[str, Any]) -> dict[str, float]:
    """Give how long each step took on the copy, in seconds."""
    found: dict[str, float] = {}
    for step in evidence.get("statements", ()):
        text = normalise(step["sql"])
        found[text] = found.get(text, 0.0) + step["seconds"]
    return found

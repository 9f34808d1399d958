"""Stage 8: a named operator has approved exactly this plan, after exactly this rehearsal."""

from typing import Final

from app.releases.decisions import valid
from app.releases.foreign_sessions import foreign_sessions, harmless_names, in_words
from app.releases.plan import Plan, approval
from app.releases.release import Outcome, Release
from app.releases.verdict import Stopped, Verdict

NAME: Final = "approve"


async def run(release: Release) -> Outcome:
    """Ask for the approval. Raises Stopped with the words that give it."""
    plan = release.plan
    if plan is None or release.empty:
        return Outcome("none is needed", skipped=True)
    decision = await release.book.decision(plan.digest)
    if release.resumed:
        return Outcome("approved when it was begun", skipped=True)
    if decision and decision["decision"] == "approved" and valid(decision, release.rehearsal):
        release.decision = decision["id"]
        return Outcome(
            f"by {decision['who']}: {decision['why']}",
            {name: decision[name] for name in ("id", "who", "why", "rehearsal", "destroys")},
        )
    evidence = {"digest": plan.digest, "rehearsal": release.rehearsal, "drops": plan.losses}
    words = _wanted(plan, decision, await _what_is_lost(release, plan))
    if release.optional:
        return release.wait(words, evidence)
    raise Stopped(Verdict.AWAITING_APPROVAL, words, evidence)


async def _what_is_lost(release: Release, plan: Plan) -> str:
    """Return what a contract drops, and who else is connected; nothing for any other release."""
    if not plan.is_final:
        return ""
    sessions = await foreign_sessions(release.book, harmless_names(release.order))
    connected = "; ".join(in_words(sessions)) or "nobody else"
    return f"it drops from {plan.destroyed} ({'; '.join(plan.losses)}). Connected: {connected}."


def _wanted(plan: Plan, decision: dict[str, object] | None, connected: str) -> str:
    how = f"{approval(plan)}, then run the release again"
    if plan.is_final:
        how = f"NO WAY BACK: {connected} After a backup: {how}"
    if decision and decision["decision"] == "withheld":
        return (
            f"{plan.target} was withheld by {decision['who']}: {decision['why']}. To approve it "
            f"after all: {how}."
        )
    void = " (an approval that was there is void: it was of another rehearsal)" if decision else ""
    return f"{plan.target} was rehearsed and waits for a person's approval{void}: {how}."

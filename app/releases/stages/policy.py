"""Stage 6: the rules that no approval sets aside: one table, its soak, and what is destroyed."""

from typing import Final

from app.releases import soak
from app.releases.plan import Plan
from app.releases.release import Outcome, Release
from app.releases.revisions import history
from app.releases.verdict import Stopped, Verdict

NAME: Final = "policy"


async def run(release: Release) -> Outcome:
    """Refuse what may not be released now. Raises Stopped."""
    plan = release.plan
    if plan is None or release.empty or release.resumed:
        reason = "nothing to protect" if release.empty else "nothing new to decide"
        return Outcome(reason, skipped=True)
    try:
        _raise_if_more_than_it_says(plan)
        words = await _soaked(release, plan)
    except Stopped as refused:
        if release.optional:
            return release.wait(refused.words, refused.evidence)
        raise
    destroyed = f"; it destroys, so its approval must name {plan.table}" if plan.destroys else ""
    return Outcome(f"{words}{destroyed}", {"destroys": plan.destroys})


async def _soaked(release: Release, plan: Plan) -> str:
    """Ask for the soak of what came before. An override is kept with its reason."""
    order = release.order
    try:
        words = await soak.raise_unless_green(release.book)
        if plan.phase == "contract":
            await _raise_unless_expand_soaked(release, plan)
    except Stopped:
        if order.override is None:
            raise
        await soak.override(release.book, order.who, order.override)
        return f"soak overridden by {order.who}: {order.override}"
    return words


async def _raise_unless_expand_soaked(release: Release, plan: Plan) -> None:
    """A contract may drop only what was seen to be replaced, in this very database."""
    expands = [r.name for r in history() if r.table == plan.table and r.phase != "contract"]
    rows = await release.book.rows("SELECT revisions FROM release_soaks")
    soaked = {name for row in rows for name in row["revisions"]}
    if expands and not soaked.intersection(expands):
        raise Stopped(
            Verdict.REFUSED,
            f"{plan.target} drops what {expands[-1]} replaced, and no soak of that is on record "
            "here: pass over it with --override-soak REASON when you know that it serves.",
            {"unsoaked": expands},
        )


def _raise_if_more_than_it_says(plan: Plan) -> None:
    """A revision that names no table may make new ones, and change none."""
    tables = {revision.name: revision.table for revision in history()}
    for statement in plan.statements:
        heavy = statement.lock == "ACCESS EXCLUSIVE" and statement.tables
        if heavy and tables.get(statement.revision) is None:
            raise Stopped(
                Verdict.REFUSED,
                f"{statement.revision} says it changes no existing table, and changes "
                f"{', '.join(statement.tables)}: set its `table`, so that it soaks and is "
                f"approved alone: {statement.sql.splitlines()[0]}",
                {"statement": statement.sql},
            )

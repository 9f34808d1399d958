"""Stage 6: the rules that no approval sets aside: one table, its soak, and what is destroyed."""

from collections.abc import Mapping
from typing import Final

from app.releases.gate.contract_conditions import raise_if_older_side_lives
from app.releases.gate.run import Release, StageResult
from app.releases.ledger import soak
from app.releases.migrations.revisions import history
from app.releases.plan.plan import Plan, Statement
from app.releases.schema.snapshot import Table
from app.releases.verdict import Stopped, Verdict

NAME: Final = "policy"
_CHANGING: Final = frozenset({"SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE"})


async def run(release: Release) -> StageResult:
    """Refuse what may not be released now. Raises Stopped."""
    plan = release.plan
    if plan is None or release.empty or release.resumed:
        reason = "nothing to protect" if release.empty else "nothing new to decide"
        return StageResult(reason, skipped=True)
    try:
        _raise_if_more_than_it_says(release, plan)
        words = await _soaked(release, plan)
        if plan.is_final:
            await raise_if_older_side_lives(release.book, release.order, plan.target)
    except Stopped as refused:
        if release.optional:
            return release.wait(refused.words, refused.evidence)
        raise
    destroyed = f"; its approval must name {plan.destroyed}" if plan.destroys else ""
    final = f"; NO WAY BACK: {len(plan.losses)} statements drop something" if plan.is_final else ""
    return StageResult(
        f"{words}{destroyed}{final}", {"destroys": plan.destroys, "drops": plan.losses}
    )


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
    rows = await release.book.fetch_rows(
        "SELECT revisions FROM release_soaks WHERE ended IS NULL OR ended LIKE 'overridden%'"
    )
    soaked = {name for row in rows for name in row["revisions"]}
    for table in plan.tables or (plan.table,):
        expands = [r.name for r in history() if r.table == table and r.phase != "contract"]
        if not expands or soaked.intersection(expands):
            continue
        raise Stopped(
            Verdict.REFUSED,
            f"{plan.target} drops what {expands[-1]} replaced, and no soak of that is on record "
            "here: pass over it with --override-soak REASON when you know that it serves.",
            {"unsoaked": expands},
        )


def _raise_if_more_than_it_says(release: Release, plan: Plan) -> None:
    """A revision changes the table that it names, and those tied to it by a foreign key."""
    tables = {revision.name: revision.table for revision in history()}
    ours = release.inspection.live.tables if release.inspection else {}
    for statement in plan.statements:
        named = tables.get(statement.revision)
        allowed = _tied(ours, named) if named else set()
        strange = [table for table in statement.tables if table in ours and table not in allowed]
        if strange and _heavy(statement, named):
            raise Stopped(
                Verdict.REFUSED,
                f"{statement.revision} says it changes {named or 'no existing table'}, and changes "
                f"{', '.join(strange)}: write one revision for each table and set its `table`, so "
                f"that each soaks and is approved alone: {statement.sql.splitlines()[0]}",
                {"statement": statement.sql},
            )


def _heavy(statement: Statement, named: str | None) -> bool:
    """Whether a statement changes a table rather than looking at it or referring to it."""
    if named is None and " REFERENCES " in statement.sql.upper():
        return False
    return statement.lock in _CHANGING


def _tied(ours: Mapping[str, Table], named: str) -> set[str]:
    """Give the table with its parents and children."""
    keys = {
        (table, parent)
        for table, there in ours.items()
        for key in there.constraints_of("foreign key").values()
        for parent in ours
        if f"REFERENCES {parent}(" in key.definition
    }
    return {named, *(c for c, p in keys if p == named), *(p for c, p in keys if c == named)}

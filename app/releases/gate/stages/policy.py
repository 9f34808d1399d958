"""Stage 6: the rules that no approval sets aside: one table, its soak, no older side at work."""

from collections.abc import Mapping
from typing import Final

from app.releases.gate.contract_conditions import raise_if_older_side_lives
from app.releases.gate.run import Inspected, Order, Planned, Position, StageResult, postponed
from app.releases.ledger import soak
from app.releases.ledger.ledger import Ledger
from app.releases.migrations.revisions import history
from app.releases.plan.plan import Plan, Statement
from app.releases.schema.snapshot import Table
from app.releases.verdict import Stopped, Verdict

NAME: Final = "policy"
_CHANGING: Final = frozenset({"SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE"})


async def run(
    order: Order, ledger: Ledger, position: Position, inspected: Inspected, planned: Planned
) -> StageResult:
    """Raise Stopped where the plan may not be released now."""
    plan = planned.plan
    if plan is None or planned.empty or position.unfinished:
        reason = "nothing to protect" if planned.empty else "nothing new to decide"
        return StageResult(reason, skipped=True)
    try:
        tables = inspected.inspection.live.tables if inspected.inspection else {}
        _raise_if_more_than_declared(tables, plan)
        words = await _check_soak(order, ledger, plan)
        await raise_if_older_side_lives(ledger, order, plan)
    except Stopped as refusal:
        if position.may_wait(order):
            return StageResult(**postponed(plan, refusal.words, refusal.evidence))
        raise
    destroyed = f"; its approval must name {plan.destroyed}" if plan.destroys else ""
    final = f"; NO WAY BACK: {len(plan.losses)} statements drop something" if plan.is_final else ""
    return StageResult(
        f"{words}{destroyed}{final}", evidence={"destroys": plan.destroys, "drops": plan.losses}
    )


async def _check_soak(order: Order, ledger: Ledger, plan: Plan) -> str:
    """Raise Stopped unless the release before has soaked. An override is kept with its reason."""
    try:
        words = await soak.raise_unless_green(ledger)
        if plan.phase == "contract":
            await _raise_unless_expand_soaked(ledger, plan)
    except Stopped:
        if order.override is None:
            raise
        await soak.override(ledger, order.who, order.override)
        return f"soak overridden by {order.who}: {order.override}"
    return words


async def _raise_unless_expand_soaked(ledger: Ledger, plan: Plan) -> None:
    """Raise Stopped where a contract drops what was not seen to be replaced in this database."""
    rows = await ledger.fetch_rows(
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


def _raise_if_more_than_declared(tables: Mapping[str, Table], plan: Plan) -> None:
    """Raise Stopped where a revision changes other tables than its own and those tied to it."""
    declared = {revision.name: revision.table for revision in history()}
    for statement in plan.statements:
        own = declared.get(statement.revision)
        allowed = _tied(tables, own) if own else set()
        others = [table for table in statement.tables if table in tables and table not in allowed]
        if others and _changes_table(statement, own):
            raise Stopped(
                Verdict.REFUSED,
                f"{statement.revision} says it changes {own or 'no existing table'}, and changes "
                f"{', '.join(others)}: write one revision for each table and set its `table`, so "
                f"that each soaks and is approved alone: {statement.sql.splitlines()[0]}",
                {"statement": statement.sql},
            )


def _changes_table(statement: Statement, own: str | None) -> bool:
    """Return whether a statement changes a table rather than reading it or referring to it."""
    if own is None and " REFERENCES " in statement.sql.upper():
        return False
    return statement.lock in _CHANGING


def _tied(tables: Mapping[str, Table], own: str) -> set[str]:
    """Return the table with its parents and children by foreign key."""
    keys = {
        (name, parent)
        for name, table in tables.items()
        for key in table.constraints_of("foreign key").values()
        for parent in tables
        if f"REFERENCES {parent}(" in key.definition
    }
    return {own, *(c for c, p in keys if p == own), *(p for c, p in keys if c == own)}

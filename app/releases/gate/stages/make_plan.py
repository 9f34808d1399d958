"""Stage 5: what the next release would do, statement by statement, and its digest."""

import asyncio
from typing import Any, Final

from app.releases.gate.contract_conditions import what_is_lost
from app.releases.gate.run import Inspected, Order, Planned, Position
from app.releases.ledger.ledger import Ledger
from app.releases.lint.lint import lint
from app.releases.lint.rules import LintFinding
from app.releases.migrations.revisions import history, next_release
from app.releases.plan.plan import Plan, Statement
from app.releases.plan.render import new_tables, offline_hash, plan_statements
from app.releases.product import own_tables
from app.releases.rehearsal.plan_in_turn import plan_statements_in_turn
from app.releases.verdict import Stopped, Verdict

NAME: Final = "plan"


async def run(order: Order, ledger: Ledger, position: Position, inspected: Inspected) -> Planned:
    """Render the next release, lint it, and store it under its digest."""
    empty = await ledger.are_empty(own_tables())
    if unfinished := position.unfinished:
        words = "the release that was begun"
        return Planned(
            words, evidence=_evidence(unfinished, []), skipped=True, empty=empty, plan=unfinished
        )
    whole = order.whole or await ledger.is_whole_approved(position.revision)
    revisions = next_release(position.revision, everything=empty, whole=whole)
    if not revisions:
        return Planned("nothing is pending", skipped=True, empty=empty)
    fingerprint = inspected.inspection.fingerprint if inspected.inspection else ""
    plan = await _make_plan(order, ledger, revisions, position.revision, fingerprint, empty=empty)
    findings = await asyncio.to_thread(lint, plan.statements)
    await ledger.propose(plan, offline_hash(revisions))
    _raise_if_harmful(plan, findings)
    return Planned(
        _in_words(plan, findings),
        evidence=_evidence(plan, findings),
        empty=empty,
        plan=plan,
        final_words=await _final_words(order, ledger, plan) if order.word == "plan" else None,
    )


def _raise_if_harmful(plan: Plan, findings: list[LintFinding]) -> None:
    errors = [finding for finding in findings if finding.level == "error"]
    if errors:
        raise Stopped(
            Verdict.BROKEN,
            f"{errors[0].revision} would do harm: {errors[0].words}"
            f"{f' and {len(errors) - 1} more' if len(errors) > 1 else ''}. Rewrite the revision "
            "(docs/migrations.md, the recipe) and deploy again; the database was not touched.",
            _evidence(plan, findings),
        )


async def _final_words(order: Order, ledger: Ledger, plan: Plan) -> str:
    lost = await what_is_lost(ledger, order, plan)
    words = f"{plan.target} is planned, digest {plan.digest[:12]}; nothing was changed."
    return f"{words} {lost}".rstrip()


async def _make_plan(
    order: Order,
    ledger: Ledger,
    names: tuple[str, ...],
    before: str | None,
    fingerprint: str,
    *,
    empty: bool,
) -> Plan:
    revisions = {revision.name: revision for revision in history()}
    named = (revisions[name].table for name in names)
    tables = () if empty else tuple(dict.fromkeys(table for table in named if table))
    together = len(tables) > 1
    plan_of = plan_statements_in_turn if together else plan_statements
    statements = await plan_of(order.url, names, before)
    return Plan(
        before=before,
        revisions=names,
        phase=revisions[names[-1]].phase,
        table=None if together else next(iter(tables), None),
        tables=tables if together else (),
        statements=(*statements, *await _grants(order, ledger, statements)),
        fingerprint=fingerprint,
    )


async def _grants(
    order: Order, ledger: Ledger, statements: tuple[Statement, ...]
) -> list[Statement]:
    """Return grants to the service's own role on new tables, which belong to the gate's role."""
    tables = new_tables(statements)
    if not tables or order.service_role is None:
        return []
    role = await ledger.fetch_value("SELECT quote_ident($1)", order.service_role)
    last = statements[-1]
    return [
        Statement(
            revision=last.revision,
            step=last.step + number,
            way="direct",
            sql=f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {role}",
        )
        for number, table in enumerate(tables, 1)
    ]


def _in_words(plan: Plan, findings: list[LintFinding]) -> str:
    where = ", ".join(plan.tables) or plan.table
    where = f" of {where}" if where else ""
    warned = f", {len(findings)} lint warnings" if findings else ""
    names = ", ".join(plan.revisions)
    if plan.tables:
        names = f"{plan.revisions[0]} to {plan.target}, {len(plan.revisions)} revisions"
    return (
        f"{names}: {plan.phase}{where}, {len(plan.statements)} statements"
        f"{warned}; digest {plan.digest[:12]}"
    )


def _evidence(plan: Plan, findings: list[LintFinding]) -> dict[str, Any]:
    return {
        "digest": plan.digest,
        "revisions": plan.revisions,
        "table": plan.table,
        "tables": plan.tables,
        "phase": plan.phase,
        "statements": len(plan.statements),
        "lint": [{"rule": f.rule, "level": f.level, "words": f.words} for f in findings],
    }

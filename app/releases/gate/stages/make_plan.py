"""Stage 5: what the next release would do, statement by statement, and its digest."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from app.releases.gate.contract_conditions import with_losses
from app.releases.gate.run import Inspected, Order, Planned, Position
from app.releases.ledger.ledger import Ledger
from app.releases.lint.lint import lint
from app.releases.lint.rules import LintFinding
from app.releases.migrations.alembic_runner import kept_connections, upgrade
from app.releases.migrations.revisions import history, next_release
from app.releases.output import discard_line
from app.releases.plan.plan import Plan, Statement
from app.releases.plan.render import new_tables, offline_hash, plan_statements
from app.releases.product import own_tables
from app.releases.rehearsal.copies import copy_of
from app.releases.verdict import Stopped, Verdict

NAME: Final = "plan"


async def run(order: Order, ledger: Ledger, position: Position, inspected: Inspected) -> Planned:
    """Render the next release, lint it, and store it under its digest."""
    empty = await ledger.are_empty(own_tables())
    if plan := position.unfinished:
        words, evidence = "the release that was begun", _evidence(plan, [])
        return Planned(words, evidence=evidence, skipped=True, empty=empty, plan=plan)
    whole = order.whole or await ledger.is_whole_approved(position.revision)
    revisions = next_release(position.revision, everything=empty, whole=whole)
    if not revisions:
        return Planned("nothing is pending", skipped=True, empty=empty)
    tables = () if empty else _tables(revisions)
    together = len(tables) > 1
    plan_of = _plan_in_turn if together else plan_statements
    statements = await plan_of(order.url, revisions, position.revision)
    plan = Plan(
        before=position.revision,
        revisions=revisions,
        phase={each.name: each.phase for each in history()}[revisions[-1]],
        table=None if together else next(iter(tables), None),
        tables=tables if together else (),
        statements=(*statements, *await _grants(order, ledger, statements)),
        fingerprint=inspected.inspection.fingerprint if inspected.inspection else "",
    )
    findings = await asyncio.to_thread(lint, plan.statements)
    await ledger.propose(plan, offline_hash(revisions))
    _raise_if_harmful(plan, findings)
    words, evidence = _in_words(plan, findings), _evidence(plan, findings)
    final = f"{plan.target} is planned, digest {plan.digest[:12]}; nothing was changed."
    last = await with_losses(ledger, order, plan, final) if order.word == "plan" else None
    return Planned(words, evidence=evidence, empty=empty, plan=plan, final_words=last)


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


def _tables(names: Sequence[str]) -> tuple[str, ...]:
    """Return the existing tables that revisions change, in order."""
    return tuple(dict.fromkeys(r.table for r in history() if r.name in names and r.table))


async def _plan_in_turn(
    url: str, revisions: Sequence[str], before: str | None
) -> tuple[Statement, ...]:
    """Plan a release that takes several tables together, each after the one before it.

    What a later revision does depends on what the earlier ones have left in the catalogue. So each
    is planned on a copy of the schema, without rows, which is then taken on to it.
    """
    statements: list[Statement] = []
    async with (
        copy_of(url, discard_line, lambda *_: None, rows=False) as copy,
        kept_connections(copy.url),
    ):
        for revision, at in zip(revisions, (before, *revisions), strict=False):
            if statements:
                await upgrade(copy.url, str(at), say=discard_line)
            last = statements[-1].step if statements else 0
            own = await plan_statements(copy.url, [revision], at)
            statements += [replace(each, step=last + each.step) for each in own]
    return tuple(statements)


async def _grants(order: Order, ledger: Ledger, statements: Sequence[Statement]) -> list[Statement]:
    """Return grants to the service's own role on new tables, which belong to the gate's role."""
    tables = new_tables(statements)
    if not tables or order.service_role is None:
        return []
    role = await ledger.fetch_value("SELECT quote_ident($1)", order.service_role)
    last = statements[-1]
    grant = "GRANT SELECT, INSERT, UPDATE, DELETE ON {} TO {}"
    return [
        Statement(revision=last.revision, step=step, way="direct", sql=grant.format(table, role))
        for step, table in enumerate(tables, last.step + 1)
    ]


def _in_words(plan: Plan, findings: list[LintFinding]) -> str:
    tables = ", ".join(plan.tables) or plan.table
    where = f" of {tables}" if tables else ""
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
        "digest": plan.digest, "revisions": plan.revisions, "table": plan.table,
        "tables": plan.tables, "phase": plan.phase, "statements": len(plan.statements),
        "lint": [{"rule": f.rule, "level": f.level, "words": f.words} for f in findings],
    }  # fmt: skip

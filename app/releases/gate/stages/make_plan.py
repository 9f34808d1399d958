"""Stage 5: what the next release would do, statement by statement, and its digest."""

import asyncio
from typing import Any, Final

from app.releases.gate.contract_conditions import what_is_lost
from app.releases.gate.run import Release, StageResult
from app.releases.lint.lint import LintFinding, lint
from app.releases.migrations.pending import next_release
from app.releases.migrations.revisions import history
from app.releases.occupied import occupied
from app.releases.plan.plan import Plan, Statement
from app.releases.plan.render import new_tables, offline_hash, plan_statements
from app.releases.plan.whole_plan import plan_statements_in_turn
from app.releases.verdict import Stopped, Verdict

NAME: Final = "plan"


async def run(release: Release) -> StageResult:
    """Render the next release, lint it, and keep it under its digest."""
    release.empty = not await occupied(release.book)
    if release.resumed is not None:
        release.plan = release.shown = release.resumed
        return StageResult(
            "the release that was begun", _evidence(release.resumed, []), skipped=True
        )
    whole = release.order.whole or await release.book.is_whole_approved(release.current)
    revisions = next_release(release.current, everything=release.empty, whole=whole)
    if not revisions:
        return StageResult("nothing is pending", skipped=True)
    made = await _planned(release, revisions)
    findings = await asyncio.to_thread(lint, made.statements)
    errors = [finding for finding in findings if finding.level == "error"]
    await release.book.propose(made, offline_hash(revisions))
    if errors:
        raise Stopped(
            Verdict.BROKEN,
            f"{errors[0].revision} would do harm: {errors[0].words}"
            f"{f' and {len(errors) - 1} more' if len(errors) > 1 else ''}. Rewrite the revision "
            "(docs/migrations.md, the recipe) and deploy again; the database was not touched.",
            _evidence(made, findings),
        )
    release.plan = release.shown = made
    if release.order.word == "plan":
        lost = await what_is_lost(release.book, release.order, made)
        release.arrival = (
            f"{made.target} is planned, digest {made.digest[:12]}; nothing was changed. {lost}"
        ).rstrip()
    return StageResult(_in_words(made, findings), _evidence(made, findings))


async def _planned(release: Release, revisions: tuple[str, ...]) -> Plan:
    phases = {revision.name: revision for revision in history()}
    named = (phases[name].table for name in revisions)
    tables = () if release.empty else tuple(dict.fromkeys(table for table in named if table))
    together = len(tables) > 1
    plan_of = plan_statements_in_turn if together else plan_statements
    statements = await plan_of(release.order.url, revisions, release.current)
    return Plan(
        before=release.current,
        revisions=revisions,
        phase=phases[revisions[-1]].phase,
        table=None if together else next(iter(tables), None),
        tables=tables if together else (),
        statements=(*statements, *await _grants(release, statements)),
        fingerprint=release.inspection.fingerprint if release.inspection else "",
    )


async def _grants(release: Release, statements: tuple[Statement, ...]) -> list[Statement]:
    """Let the service's own role at tables that are new; ours by default are our own."""
    made = new_tables(statements)
    if not made or release.order.service_role is None:
        return []
    role = await release.book.fetch_value("SELECT quote_ident($1)", release.order.service_role)
    last = statements[-1]
    return [
        Statement(
            revision=last.revision,
            step=last.step + number,
            way="direct",
            sql=f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {role}",
        )
        for number, table in enumerate(made, 1)
    ]


def _in_words(made: Plan, findings: list[LintFinding]) -> str:
    where = ", ".join(made.tables) or made.table
    where = f" of {where}" if where else ""
    warned = f", {len(findings)} lint warnings" if findings else ""
    names = ", ".join(made.revisions)
    if made.tables:
        names = f"{made.revisions[0]} to {made.target}, {len(made.revisions)} revisions"
    return (
        f"{names}: {made.phase}{where}, {len(made.statements)} statements"
        f"{warned}; digest {made.digest[:12]}"
    )


def _evidence(made: Plan, findings: list[LintFinding]) -> dict[str, Any]:
    return {
        "digest": made.digest,
        "revisions": made.revisions,
        "table": made.table,
        "tables": made.tables,
        "phase": made.phase,
        "statements": len(made.statements),
        "lint": [{"rule": f.rule, "level": f.level, "words": f.words} for f in findings],
    }

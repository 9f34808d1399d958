"""Stage 9: the approved statements, on the live database, and nothing else."""

from typing import Final

from app.releases.apply.migration import apply
from app.releases.connection.open_connection import open_connection
from app.releases.gate.contract_conditions import raise_if_older_side_lives
from app.releases.gate.run import Applied, Approved, Inspected, Order, Planned, Position, Rehearsed
from app.releases.gate.stages.check_drift import inspect_live, raise_if_unlike
from app.releases.gate.stages.read_position import revisions_up_to
from app.releases.ledger.ledger import Ledger
from app.releases.migrations.revisions import history
from app.releases.output import GateOutput
from app.releases.plan.plan import Plan
from app.releases.plan.seals import hash_of
from app.releases.product import note, own_tables
from app.releases.schema.introspection.introspect import read_snapshot
from app.releases.schema.snapshot import fingerprint
from app.releases.verdict import Stopped, Verdict

NAME: Final = "apply"


async def run(
    order: Order, ledger: Ledger, output: GateOutput, position: Position, inspected: Inspected,
    planned: Planned, rehearsed: Rehearsed, approved: Approved,
) -> Applied:  # fmt: skip
    """Apply the plan, revision by revision. A plan half applied is simply applied again."""
    plan = planned.plan
    if plan is None:
        return Applied("nothing to apply", skipped=True, revision=position.revision)
    if position.unfinished is None:
        await _raise_if_changed(order, inspected, plan)
    await raise_if_older_side_lives(ledger, order, plan)
    if position.unfinished is None:
        await _begin(ledger, plan, approved.decision)
    # What an earlier run has done was followed by more, which may be half done now.
    earlier = revisions_up_to(position.revision)
    unprotected = planned.empty and approved.decision is None

    async def after(revision: str) -> None:
        await ledger.revision_applied(revision, hash_of(revision))
        if unprotected:
            await _raise_if_rows_arrived(ledger, plan, revision)
        if revision not in earlier and _ends_a_table(plan, revision):
            await _check_between_tables(order, ledger, output, plan, revision)

    migration = await apply(
        order.url, plan, ledger, order.limits, predicted=rehearsed.predicted, applied=after,
        say=output.say, progress=output.progress,
    )  # fmt: skip
    for statement in plan.statements:
        if statement.sql.startswith("GRANT "):
            await ledger.execute(statement.sql)
    if plan.is_final:
        # Before it counts as applied: a run that is killed here notes it again.
        revisions = list(plan.revisions)
        await note(ledger, "release.contract", order.who, plan=plan.digest, revisions=revisions)
    await ledger.plan_is(plan.digest, "applied")
    return Applied(
        f"{plan.target} in {migration.seconds:.1f} s; the longest that anyone waited for us: "
        f"{migration.worst_stall * 1_000:.0f} ms",
        evidence={"seconds": migration.seconds, "worstStall": migration.worst_stall,
                  "statements": len(migration.statements), "revisions": plan.revisions},
        revision=plan.target, changed=True, plan=plan, new=planned.empty,
    )  # fmt: skip


async def _begin(ledger: Ledger, plan: Plan, decision: int | None) -> None:
    if not await ledger.apply_begins(plan.digest, decision):
        raise Stopped(
            Verdict.AWAITING_APPROVAL,
            f"Somebody has just decided about {plan.target} again: run the release again to see.",
        )


def _ends_a_table(plan: Plan, revision: str) -> bool:
    """Return whether another table of the same release comes next."""
    tables = {each.name: each.table for each in history()}
    index = plan.revisions.index(revision)
    later = [tables[name] for name in plan.revisions[index + 1 :] if tables[name]]
    return bool(plan.tables and tables[revision] and later) and later[0] != tables[revision]


async def _check_between_tables(
    order: Order, ledger: Ledger, output: GateOutput, plan: Plan, revision: str
) -> None:
    """Raise Stopped where the schema is not what it should be before the next table is begun."""
    findings = (await inspect_live(order, ledger)).findings
    raise_if_unlike(
        output, findings, revision,
        "The tables after it were not begun. Run the SQL shown and python -m app release resume"
        f"{'' if plan.is_final else ', or go back: python -m app release rollback'}.",
    )  # fmt: skip
    output.say(f"{revision} is done and looked at.")
    await raise_if_older_side_lives(ledger, order, plan)


async def _raise_if_changed(order: Order, inspected: Inspected, plan: Plan) -> None:
    """Raise Stopped where the schema is no longer the one that the plan was made for."""
    if inspected.inspection is None:
        return
    async with open_connection(order.url) as connection:
        live = await read_snapshot(connection, order.service_role)
    if fingerprint(live.beside(inspected.inspection.expected)) != plan.fingerprint:
        raise Stopped(
            Verdict.CONTENDED,
            "Somebody has changed the live schema since this run looked at it; nothing was "
            "applied: run it again, and what is there now is looked at.",
        )


async def _raise_if_rows_arrived(ledger: Ledger, plan: Plan, revision: str) -> None:
    """Raise Stopped before a contract that nobody approved, as there had been nothing to lose."""
    following = plan.revisions[plan.revisions.index(revision) + 1 :]
    phases = {each.name: each.phase for each in history()}
    contract_follows = bool(following) and phases[following[0]] == "contract"
    if contract_follows and not await ledger.are_empty(own_tables()):
        raise Stopped(
            Verdict.CONTENDED,
            f"The database was empty when this run looked, and rows have arrived since: "
            f"{following[0]} waits for an approval. Run the release again.",
        )

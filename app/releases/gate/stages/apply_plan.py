"""Stage 9: the approved statements, on the live database, and nothing else."""

from typing import Final

from app.releases.apply.apply import Applied, MigrationLimits, apply
from app.releases.connection.open_connection import open_connection
from app.releases.gate.contract_conditions import raise_if_older_side_lives
from app.releases.gate.run import Release, StageResult
from app.releases.gate.stages.check_drift import as_json, inspected
from app.releases.gate.stages.read_position import note_applied, revisions_up_to
from app.releases.migrations.revisions import history
from app.releases.occupied import occupied
from app.releases.plan.plan import Plan
from app.releases.plan.render import allowed_texts
from app.releases.schema.introspection.introspect import read_snapshot
from app.releases.schema.snapshot import fingerprint
from app.releases.sql.text import normalise
from app.releases.verdict import Stopped, Verdict

NAME: Final = "apply"


async def run(release: Release) -> StageResult:
    """Apply the plan, revision by revision. A plan half applied is simply applied again."""
    plan = release.plan
    if plan is None:
        return StageResult("nothing to apply", skipped=True)
    await _raise_if_changed(release, plan)
    if plan.is_final:
        await raise_if_older_side_lives(release.book, release.order, plan.target)
    if release.resumed is None and not await release.book.apply_begins(
        plan.digest, release.decision
    ):
        raise Stopped(
            Verdict.AWAITING_APPROVAL,
            f"Somebody has just decided about {plan.target} again: run the release again to see.",
        )
    done = await _applied(release, plan)
    for statement in plan.statements:
        if statement.sql.startswith("GRANT "):
            await release.book.execute(statement.sql)
    await release.book.plan_is(plan.digest, "applied")
    release.applied, release.current = True, plan.target
    return StageResult(
        f"{plan.target} in {done.seconds:.1f} s; the longest that anyone waited for us: "
        f"{done.worst_stall * 1_000:.0f} ms",
        {"seconds": done.seconds, "worstStall": done.worst_stall,
         "statements": len(done.statements), "revisions": plan.revisions},
    )  # fmt: skip


async def _applied(release: Release, plan: Plan) -> Applied:
    order = release.order
    texts = allowed_texts(plan.statements)
    # What an earlier run has done was followed by more, which may be half done now.
    earlier = revisions_up_to(release.current)

    async def noted(revision: str) -> None:
        await note_applied(release, revision)
        await _raise_if_rows_arrived(release, plan, revision)
        if revision not in earlier and _ends_a_table(plan, revision):
            await _look_between(release, plan, revision)

    return await apply(
        order.url,
        plan,
        release.book,
        MigrationLimits(stall_budget=order.stall_budget, wall_clock=order.wall_clock),
        predicted=release.predicted,
        approved=lambda sql: normalise(sql) in texts,
        applied=noted,
        say=release.tell.say,
        progress=release.tell.progress,
    )


def _ends_a_table(plan: Plan, revision: str) -> bool:
    """Return whether another table of the same release comes next."""
    tables = {each.name: each.table for each in history()}
    place = plan.revisions.index(revision)
    later = [tables[name] for name in plan.revisions[place + 1 :] if tables[name]]
    return bool(plan.tables and tables[revision] and later) and later[0] != tables[revision]


async def _look_between(release: Release, plan: Plan, revision: str) -> None:
    """Raise Stopped where the schema is not what it should be before the next table is begun."""
    found = (await inspected(release)).findings
    if found:
        for finding in found:
            release.tell.say(f"{finding.words}\n{finding.script}")
        raise Stopped(
            Verdict.UNVERIFIED,
            f"{revision} was applied, and the schema is not what it builds: {found[0].words} The "
            "tables after it were not begun. Run the SQL shown and python -m app release resume"
            f"{'' if plan.is_final else ', or go back: python -m app release rollback'}.",
            {"findings": as_json(found)},
        )
    release.tell.say(f"{revision} is done and looked at.")
    if plan.is_final:
        await raise_if_older_side_lives(release.book, release.order, plan.target)


async def _raise_if_changed(release: Release, plan: Plan) -> None:
    """Refuse a schema that is no longer the one which the plan was made for."""
    if release.inspection is None or release.resumed is not None:
        return
    async with open_connection(release.order.url) as connection:
        live = await read_snapshot(connection, release.order.service_role)
    if fingerprint(live.beside(release.inspection.expected)) != plan.fingerprint:
        raise Stopped(
            Verdict.CONTENDED,
            "Somebody has changed the live schema since this run looked at it; nothing was "
            "applied: run it again, and what is there now is looked at.",
        )


async def _raise_if_rows_arrived(release: Release, plan: Plan, revision: str) -> None:
    """Stop before the contracts of a plan that nobody approved, since there was nothing to lose."""
    if release.decision is not None or not release.empty:
        return
    following = plan.revisions[plan.revisions.index(revision) + 1 :]
    phases = {known.name: known.phase for known in history()}
    if following and phases[following[0]] == "contract" and await occupied(release.book):
        raise Stopped(
            Verdict.CONTENDED,
            f"The database was empty when this run looked, and rows have arrived since: "
            f"{following[0]} waits for an approval. Run the release again.",
        )

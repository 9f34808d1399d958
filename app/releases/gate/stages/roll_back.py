"""``release rollback``: back to before the last release, with the rows."""

from typing import Final

from app.releases.apply.apply import Applied, MigrationLimits, undo
from app.releases.gate.run import Release, StageResult
from app.releases.gate.stages.check_drift import inspected
from app.releases.migrations.revisions import history
from app.releases.plan.plan import Plan, from_json
from app.releases.verdict import Stopped, Verdict

NAME: Final = "rollback"


async def run(release: Release) -> StageResult:
    """Downgrade what the last release upgraded, finished or not. Raises Stopped from a contract.

    One that is stopped is finished by the same word; nothing else goes on meanwhile.
    """
    last, order, book = await _last(release), release.order, release.book
    _raise_unless_way_back(last)
    words = f"rolled back by {order.who}: {order.why}"
    await book.concerns(last.digest)
    # First of all: what approved it must not bring it back with the next deploy.
    await book.withhold(last.digest, order.who, f"rolled back: {order.why}")
    await book.plan_is(last.digest, "taking back")
    done = await _undone(release, last)
    await book.taken_back(last.digest, last.revisions, words)
    release.resumed, release.plan = None, None
    release.current, release.applied = last.before, True
    release.arrival = f"{last.target} was taken back; the database is at {last.before} again."
    return StageResult(
        f"{last.target} taken back in {done.seconds:.1f} s",
        {"digest": last.digest, "seconds": done.seconds, "worstStall": done.worst_stall},
    )


async def _last(release: Release) -> Plan:
    if release.resumed:
        return release.resumed
    row = await release.book.fetch_row(
        "SELECT plan FROM release_plans WHERE state = 'verified' ORDER BY changed_at DESC LIMIT 1"
    )
    last = row and from_json(row["plan"])
    if not last or last.target != release.current:
        raise Stopped(
            Verdict.REFUSED,
            f"The gate did not bring this database to {release.current}, so it knows no release "
            "to take back.",
        )
    return last


def _raise_unless_way_back(last: Plan) -> None:
    phases = {revision.name: revision.phase for revision in history()}
    if "contract" in {phases.get(name) for name in last.revisions}:
        raise Stopped(
            Verdict.REFUSED,
            f"{last.target} is a contract: the older columns are gone, and with them the way "
            "back. Restore a backup, or mend forward with a new revision.",
        )
    if last.before is None:
        raise Stopped(
            Verdict.REFUSED,
            "The last release built the whole schema: before it there was nothing to go back to.",
        )


async def _undone(release: Release, last: Plan) -> Applied:
    order = release.order
    begun = await _half_done(release, last)
    if begun:
        await _count_as_done(release, begun)
    try:
        return await undo(
            order.url,
            last.before or "base",
            release.book,
            MigrationLimits(stall_budget=order.stall_budget, wall_clock=order.wall_clock),
            say=release.tell.say,
            progress=release.tell.progress,
        )
    finally:
        if begun:
            await _count_as_before(release, begun)


async def _half_done(release: Release, last: Plan) -> str | None:
    """Give the revision of which something is there, though Alembic does not count it."""
    names = [revision.name for revision in history()]
    begun = next(iter(names[names.index(str(release.current)) + 1 :]), None)
    # Alembic's own transaction leaves nothing half done.
    steps = {s.revision for s in last.statements if s.way != "direct"}
    if begun not in last.revisions or begun not in steps:
        return None
    return begun if (await inspected(release)).findings else None


async def _count_as_done(release: Release, begun: str) -> None:
    """Let Alembic take back a revision that it does not count: its downgrade forgets what is there.

    That is noted first, so that a run that is killed here leaves no wrong word behind.
    """
    await release.book.set_fact("stamped", {"revision": begun, "was": release.current})
    await release.book.execute("UPDATE alembic_version SET version_num = $1", begun)


async def _count_as_before(release: Release, begun: str) -> None:
    await release.book.execute(
        "UPDATE alembic_version SET version_num = $1 WHERE version_num = $2",
        release.current, begun,
    )  # fmt: skip
    await release.book.set_fact("stamped", None)

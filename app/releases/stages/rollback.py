"""``release rollback``: back to before the last release, with the rows."""

from typing import Final

from app.releases.apply import Limits, undo
from app.releases.plan import Plan, from_json
from app.releases.release import Outcome, Release
from app.releases.revisions import history
from app.releases.verdict import Stopped, Verdict

NAME: Final = "rollback"


async def run(release: Release) -> Outcome:
    """Downgrade what the last release upgraded, finished or not. Raises Stopped from a contract."""
    last = await _last(release)
    _raise_unless_way_back(last)
    order = release.order
    await release.book.concerns(last.digest)
    await release.book.plan_is(last.digest, "applying")
    await _stamp_half_done(release, last)
    done = await undo(
        order.url,
        last.before or "base",
        release.book,
        Limits(stall_budget=order.stall_budget, wall_clock=order.wall_clock),
        say=release.tell.say,
        progress=release.tell.progress,
    )
    await release.book.do(
        "DELETE FROM release_revisions WHERE revision = ANY($1::text[])", list(last.revisions)
    )
    await release.book.plan_is(last.digest, "rolled back")
    # What approved it approves nothing any more: it must not come back with the next deploy.
    await release.book.do(
        "INSERT INTO release_decisions (digest, decision, who, why)"
        " VALUES ($1, 'withheld', $2, $3)",
        last.digest, order.who, f"rolled back: {order.why}",
    )  # fmt: skip
    await release.book.do(
        "UPDATE release_soaks SET ended_at = clock_timestamp(), ended = $2 WHERE digest = $1",
        last.digest, f"rolled back by {order.who}: {order.why}",
    )  # fmt: skip
    release.resumed, release.plan = None, None
    release.current, release.applied = last.before, True
    release.arrival = f"{last.target} was taken back; the database is at {last.before} again."
    return Outcome(
        f"{last.target} taken back in {done.seconds:.1f} s",
        {"digest": last.digest, "seconds": done.seconds, "worstStall": done.worst_stall},
    )


async def _last(release: Release) -> Plan:
    if release.resumed:
        return release.resumed
    row = await release.book.row(
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


async def _stamp_half_done(release: Release, last: Plan) -> None:
    """Alembic takes back only what it counts as done: count the revision that was begun.

    Its downgrade forgets whatever of it is there.
    """
    done = release.current if release.current in last.revisions else last.before
    names = [revision.name for revision in history()]
    begun = names[names.index(str(done)) + 1]
    if begun in last.revisions:
        await release.book.do("UPDATE alembic_version SET version_num = $1", begun)

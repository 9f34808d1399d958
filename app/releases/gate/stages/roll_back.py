"""``release rollback``: back to before the last release, with the rows."""

from typing import Final

from app.releases.apply.migration import undo
from app.releases.gate.run import Applied, Order, Position
from app.releases.gate.stages.check_drift import inspect_live
from app.releases.gate.stages.read_position import restore_version_row
from app.releases.ledger.ledger import Ledger
from app.releases.migrations.revisions import history
from app.releases.output import GateOutput
from app.releases.plan.plan import Plan, from_json
from app.releases.product import note
from app.releases.verdict import Stopped, Verdict

NAME: Final = "rollback"


async def run(order: Order, ledger: Ledger, output: GateOutput, position: Position) -> Applied:
    """Downgrade what the last release upgraded, finished or not. Raise Stopped from a contract.

    One that is stopped is finished by the same command; nothing else goes on meanwhile.
    """
    last = position.unfinished or await _last_release(ledger, position.revision)
    _raise_unless_way_back(last)
    await ledger.concerns(last.digest)
    # First of all: what approved it must not bring it back with the next deploy.
    await ledger.withhold(last.digest, order.who, f"rolled back: {order.why}")
    await ledger.plan_is(last.digest, "taking back")
    if half_done := await _half_done(order, ledger, position.revision, last):
        await _count_as_applied(ledger, half_done, position.revision)
    try:
        migration = await undo(
            order.url, last.before or "base", ledger, order.limits,
            say=output.say, progress=output.progress,
        )  # fmt: skip
    finally:
        if half_done:
            await restore_version_row(ledger)
    words = f"rolled back by {order.who}: {order.why}"
    await note(ledger, "release.rollback", order.who, plan=last.digest, why=order.why)
    await ledger.taken_back(last.digest, last.revisions, words)
    return Applied(
        f"{last.target} taken back in {migration.seconds:.1f} s",
        evidence={"digest": last.digest, "seconds": migration.seconds,
                  "worstStall": migration.worst_stall},
        revision=last.before, changed=True,
        final_words=f"{last.target} was taken back; the database is at {last.before} again.",
    )  # fmt: skip


async def _last_release(ledger: Ledger, revision: str | None) -> Plan:
    row = await ledger.fetch_row(
        "SELECT plan FROM release_plans WHERE state = 'verified' ORDER BY changed_at DESC LIMIT 1"
    )
    last = row and from_json(row["plan"])
    if not last or last.target != revision:
        raise Stopped(
            Verdict.REFUSED,
            f"The gate did not bring this database to {revision}, so it knows no release "
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


async def _half_done(order: Order, ledger: Ledger, revision: str | None, last: Plan) -> str | None:
    """Return the revision of which something is there, though Alembic does not count it."""
    names = [each.name for each in history()]
    following = next(iter(names[names.index(str(revision)) + 1 :]), None)
    # Alembic's own transaction leaves nothing half done.
    in_steps = {s.revision for s in last.statements if s.way != "direct"}
    if following not in last.revisions or following not in in_steps:
        return None
    return following if (await inspect_live(order, ledger)).findings else None


async def _count_as_applied(ledger: Ledger, revision: str, before: str | None) -> None:
    """Let Alembic take back a revision that it does not count; its downgrade drops what is there.

    The fact is stored first, so that after a killed run the version row is restored.
    """
    await ledger.set_fact("stamped", {"revision": revision, "was": before})
    await ledger.execute("UPDATE alembic_version SET version_num = $1", revision)

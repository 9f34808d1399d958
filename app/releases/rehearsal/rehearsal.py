"""The rehearsal of a release on a copy of the database, before the database itself is touched.

The copy is migrated, compared, tried with the statements of those who go on serving, taken back,
and compared again. Every check that fails is a finding, and the others are made all the same.
"""

import time

from app.releases.connection.open_connection import open_connection
from app.releases.migrations.alembic_runner import kept_connections
from app.releases.plan.plan import Plan
from app.releases.rehearsal.checks import ClientTrial, OtherClients, RehearsalChecks, Statements
from app.releases.rehearsal.copies import Progress, Say, copy_of
from app.releases.schema.scratch_database import expected_snapshot


async def rehearse(
    url: str, plan: Plan, *, previous: Statements, own: Statements,
    round_trip: ClientTrial | None, say: Say, progress: Progress, stall_budget: float = 0.5,
    half_done: bool = False, others: OtherClients | None = None,
) -> RehearsalChecks:  # fmt: skip
    """Rehearse the plan on a copy, which is gone afterwards; return the findings and the evidence.

    ``half_done`` where a release that was begun has left its work there: what it made so far is
    no part of what must come back.
    ``previous`` are the statements of the image that serves now, ``own`` this one's, and
    ``round_trip`` is what its clients do, None where its code is not that of the revisions.
    ``others`` tries the statements of other programs that use the database as it is now.
    ``stall_budget`` is in seconds. Raises NoScratch, Stopped and MigrationError when there is no
    copy to rehearse on, or when this image's revisions cannot even be run on an empty database.
    """
    began = time.monotonic()
    should = await expected_snapshot(url, plan.target)
    clean = await expected_snapshot(url, plan.before) if half_done and plan.before else None
    async with (
        copy_of(url, say, progress) as copy,
        kept_connections(copy.url),
        open_connection(copy.url) as connection,
    ):
        trial = RehearsalChecks(connection, copy, plan, should, say, progress)
        await trial.look_before(previous, clean, others)
        if round_trip:
            await round_trip.look_before(copy.url)
        if await trial.apply(stall_budget):
            schema = await trial.compare_schema()
            await trial.try_statements(own)
            if round_trip:
                await trial.try_sync(round_trip)
            await trial.compare_contents(f"After {plan.target}", schema=schema)
            await trial.go_back()
        else:
            await trial.compare_contents(f"After {plan.target} failed")
    trial.evidence |= {"seconds": round(time.monotonic() - began, 3), "findings": trial.findings}
    return trial

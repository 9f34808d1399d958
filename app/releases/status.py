"""The migration status: one answer for the terminal, the API and a console.

It must come while a migration runs, waits or hangs with everything locked: so it is read on a
connection of its own, from the gate's own tables and PostgreSQL's views, and nothing in it waits.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg

from app.database_url import DatabaseUrl
from app.db import translated
from app.releases import revisions, soak, status_runs
from app.releases.ledger import Ledger, Row
from app.releases.pending import next_release
from app.releases.soak import Clock, Standing, utc_now
from app.releases.status_running import living_run, running
from app.releases.status_shapes import (
    Drift,
    PendingRevision,
    Release,
    SignalSeen,
    SoakClock,
    Status,
)

_RUNS: Final = 20
_THERE: Final = """SELECT to_regclass('alembic_version') IS NOT NULL AS migrated,
  to_regclass('release_runs') IS NOT NULL AND to_regclass('release_facts') IS NOT NULL AS gated"""
_REVISION: Final = "SELECT version_num FROM alembic_version"
# One that was begun comes first; then the newest that starts where the database is.
_NEXT: Final = """SELECT * FROM release_plans WHERE state IN ('applying', 'applied')
    OR state = 'proposed' AND plan ->> 'before' IS NOT DISTINCT FROM $1
  ORDER BY state = 'proposed', proposed_at DESC LIMIT 1"""
# Nothing here may wait: whoever has locked one of the gate's own tables is not waited for.
_LIMITS: Final = {"lock_timeout": "100", "statement_timeout": "800"}  # milliseconds


@asynccontextmanager
async def reading(url: str | DatabaseUrl, within: float) -> AsyncIterator[Ledger]:
    """Lend the ledger for reading, ``within`` seconds in all.

    Raises DatabaseAway, Busy and SchemaMismatch, which say so in words.
    """
    address = url if isinstance(url, DatabaseUrl) else DatabaseUrl.parse(url)
    arguments = address.connect_args()
    named = {"application_name": "signalbook-status"}
    settings = {**arguments["server_settings"], **_LIMITS, **named}
    arguments |= {"timeout": within, "server_settings": settings}
    with translated():
        async with asyncio.timeout(within):
            connection = await asyncpg.connect(**arguments)
            try:
                yield Ledger(connection)
            finally:
                connection.terminate()


async def status(
    url: str | DatabaseUrl, *, within: float = 4.0, clock: Clock = utc_now
) -> dict[str, Any]:
    """Give the whole status as JSON values. Raises as ``reading`` does."""
    async with reading(url, within) as ledger:
        return (await _status(ledger, clock)).as_json()


async def is_gated(ledger: Ledger) -> bool:
    """Tell whether the gate ever ran on this database."""
    return bool((await _there(ledger))["gated"])


async def _there(ledger: Ledger) -> Row:
    row = await ledger.row(_THERE)
    assert row is not None
    return row


async def _status(ledger: Ledger, clock: Clock) -> Status:
    there = await _there(ledger)
    gated = there["gated"]
    revision = await ledger.value(_REVISION) if there["migrated"] else None
    drift = await _drift(ledger, revision) if gated else None
    standing = await soak.current(ledger, clock) if gated else None
    living = await living_run(ledger) if gated else None
    return Status(
        revision=revision,
        head=revisions.head(),
        needed=revisions.needed(),
        state=revisions.state(revision),
        pending=_pending(revision),
        next=await _next(ledger, revision, gated=gated),
        drift=[Drift(**finding) for finding in drift["findings"]] if drift else None,
        drift_checked_at=drift["at"] if drift else None,
        soak=_soak(standing) if standing else None,
        running=await running(ledger, recorded=gated),
        overrides=await status_runs.overrides(ledger) if gated else [],
        runs=await status_runs.runs(ledger, _RUNS, living) if gated else [],
    )


def _pending(revision: str | None) -> list[PendingRevision]:
    if revision is not None and not revisions.known(revision):
        return []
    every = revisions.history()
    names = [each.name for each in every]
    after = every[names.index(revision) + 1 if revision else 0 :]
    return [PendingRevision(revision=r.name, phase=r.phase, table=r.table) for r in after]


async def _next(ledger: Ledger, revision: str | None, *, gated: bool) -> Release | None:
    """Give the release that was begun, else the one that comes next, planned or not."""
    pending = _pending(revision)
    row = await ledger.row(_NEXT, revision) if gated else None
    if row and (pending or row["state"] != "proposed"):
        return await status_runs.described(ledger, row)
    if not pending:
        return None
    chosen = next_release(revision, everything=revision is None)
    own = [each for each in pending if each.revision in chosen]
    return Release(
        revisions=list(chosen),
        phase=own[-1].phase,
        table=next((each.table for each in own if each.table), None) if revision else None,
    )


async def _drift(ledger: Ledger, revision: str | None) -> dict[str, Any] | None:
    """Give the last look at the schema, if it was of the revision that is live."""
    fact: dict[str, Any] | None = await ledger.fact("drift")
    return fact if fact and fact.get("revision") == revision else None


def _soak(standing: Standing) -> SoakClock:
    watched = standing.soak
    return SoakClock(
        digest=watched.digest,
        table=watched.table,
        revisions=list(watched.revisions),
        state=standing.state,
        started_at=watched.started_at,
        seconds=watched.seconds,
        remaining_seconds=standing.remaining,
        reasons=list(standing.reasons),
        signals=[
            SignalSeen.model_validate(signal, from_attributes=True) for signal in standing.signals
        ],
    )

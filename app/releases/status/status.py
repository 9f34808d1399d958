"""The migration status: one answer for the terminal, the API and a console.

It must come while a migration runs, waits or hangs with everything locked. So it is read on a
connection of its own, from the gate's own tables and PostgreSQL's views, without waiting for any
lock, and it names what could not be read.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

from app.database.dial import dial
from app.database.driver_errors import translated
from app.database.url import DatabaseUrl
from app.releases.identity import BUILT_BY_REVISIONS, HOLDS_CORE_TABLES, HOLDS_FOREIGN_TABLES_ONLY
from app.releases.ledger import soak
from app.releases.ledger.ledger import QUESTION, Ledger, Row
from app.releases.ledger.soak import Clock, Standing, utc_now
from app.releases.migrations import revisions
from app.releases.migrations.revisions import next_release
from app.releases.migrations.version_row import BadVersionRow, live_revision
from app.releases.status import plan_schemas, run_history, schemas
from app.releases.status.next_command import TAKING_BACK, next_command
from app.releases.status.partial_reader import PartialReader
from app.releases.status.plan_schemas import Release
from app.releases.status.recheck import look_at
from app.releases.status.running import living_run, running
from app.releases.status.schemas import SoakClock, Status

_RUNS: Final = 20
_DATABASE_SQL: Final = f"""SELECT to_regclass('release_runs') IS NOT NULL
    AND to_regclass('release_looks') IS NOT NULL AS gated,
  CASE WHEN {BUILT_BY_REVISIONS} THEN 'lost'
    WHEN {HOLDS_CORE_TABLES} THEN 'adoptable'
    WHEN {HOLDS_FOREIGN_TABLES_ONLY} THEN 'strange' END AS content"""
# One that was begun comes first; then the newest that starts where the database is.
_NEXT: Final = """SELECT * FROM release_plans WHERE state IN ('applying', 'applied', 'taking back')
    OR state = 'proposed' AND plan ->> 'before' IS NOT DISTINCT FROM $1
  ORDER BY state = 'proposed', proposed_at DESC LIMIT 1"""
# Nothing here waits for somebody who has locked one of the gate's own tables.
_LIMITS: Final = {"lock_timeout": "50", "statement_timeout": "800"}  # milliseconds
_LOOK_PATIENCE: Final = "100ms"  # for a lock, where the live schema is looked at in bounded time
_OF_REVISION: Final = ("state", "pending", "next", "drift")
_OF_LEDGER: Final = ("soak", "overrides", "runs")


@asynccontextmanager
async def reading(url: str | DatabaseUrl, within: float) -> AsyncIterator[Ledger]:
    """Yield the ledger for reading, ``within`` seconds in all.

    Raise DatabaseAway, Busy and SchemaMismatch, which say so in words.
    """
    with translated():
        async with asyncio.timeout(within), _connected(url, within) as ledger:
            yield ledger


async def status(
    url: str | DatabaseUrl, *, within: float = 4.0, clock: Clock | None = None,
    look: bool = False, role: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return the whole status as JSON values, in ``within`` seconds, connecting included.

    What could not be read by then, or is locked, is null and named in ``unread``. With ``look``
    the live schema is compared now with what the gate stored of it; ``role`` is the one the service
    connects as, by default the connection's own. Raise as ``reading`` does where there is no
    connection.
    """
    reader = PartialReader(asyncio.get_running_loop().time() + within)
    with translated():
        async with _connected(url, within) as ledger:
            members = await _status(ledger, reader, clock)
            if look:
                members = members.model_copy(update=await _look_now(ledger, reader, role))
    return advised(members)


def advised(members: Status) -> dict[str, Any]:
    """Return the status as JSON values, with what to do next."""
    return members.model_copy(update={"next_command": next_command(members)}).as_json()


async def _look_now(ledger: Ledger, reader: PartialReader, role: str | None) -> dict[str, Any]:
    """Return the members about drift, looked at now; null and unread where that cannot be."""
    reader.unread[:] = [name for name in reader.unread if name != "drift"]
    look = None
    if (await reader.read("drift", ledger.fetch_row, _DATABASE_SQL) or {}).get("gated"):
        look = await reader.read("drift", look_at, ledger.connection, role, _LOOK_PATIENCE)
    if look is None and reader.has("drift"):
        reader.unread.append("drift")
    this_look = {"at": utc_now(), "by": QUESTION, "findings": look[1]} if look else None
    return _drift_members(this_look) | {"unread": reader.unread}


def _drift_members(look: dict[str, Any] | None) -> dict[str, Any]:
    """Return the members about drift of a look: who made it, when, and what it found."""
    if look is None:
        return dict.fromkeys(("drift", "drift_checked_at", "drift_checked_by"))
    drifts = [schemas.Drift.model_validate(finding) for finding in look["findings"]]
    return {"drift": drifts, "drift_checked_at": look["at"], "drift_checked_by": look.get("by")}


@asynccontextmanager
async def _connected(url: str | DatabaseUrl, within: float) -> AsyncIterator[Ledger]:
    address = url if isinstance(url, DatabaseUrl) else DatabaseUrl.parse(url)
    named = replace(address, application_name="signalbook-status", timeout=within)
    arguments = named.connect_args()
    arguments["server_settings"] |= _LIMITS
    async with asyncio.timeout(within):
        connection = await dial(arguments)
    try:
        yield Ledger(connection)
    finally:
        connection.terminate()


async def _status(ledger: Ledger, reader: PartialReader, clock: Clock | None) -> Status:
    members: dict[str, Any] = dict.fromkeys(Status.model_fields)
    members |= {"head": revisions.head(), "needed": revisions.needed(), "unread": reader.unread}
    database = await reader.read("revision", ledger.fetch_row, _DATABASE_SQL)
    if database is None:
        reader.unread += [*_OF_REVISION, *_OF_LEDGER, "running"]
        return Status(**members)
    members["running"] = await running(ledger, reader, recorded=database["gated"])
    members |= await _of_revision(ledger, reader, database)
    if not database["gated"]:
        return Status(**members | {"overrides": [], "runs": []})
    standing = await reader.read("soak", soak.current, ledger, clock)
    members["soak"] = _soak(standing, members["next"]) if standing else None
    members["overrides"] = await reader.read("overrides", run_history.read_overrides, ledger)
    members["runs"] = await reader.read("runs", _runs, ledger)
    return Status(**members)


async def _of_revision(ledger: Ledger, reader: PartialReader, database: Row) -> dict[str, Any]:
    """Return the members that depend on the database's revision."""
    try:
        revision = await reader.read("revision", live_revision, ledger.connection)
    except BadVersionRow as unclear:
        return {"unclear": str(unclear)}
    if not reader.has("revision"):
        reader.unread += _OF_REVISION
        return {}
    is_gated = database["gated"]
    look = await reader.read("drift", _drift, ledger, revision) if is_gated else None
    return {
        "revision": revision,
        "state": revisions.state(revision),
        "content": database["content"] if revision is None else None,
        "pending": _pending(revision),
        "next": await reader.read("next", _next, ledger, revision, is_gated=is_gated),
        **_drift_members(look),
    }


async def _runs(ledger: Ledger) -> list[schemas.Run]:
    return await run_history.read_runs(ledger, _RUNS, await living_run(ledger))


def _pending(revision: str | None) -> list[plan_schemas.PendingRevision]:
    if revision is not None and not revisions.has_revision(revision):
        return []
    every = revisions.history()
    names = [each.name for each in every]
    after = every[names.index(revision) + 1 if revision else 0 :]
    return [
        plan_schemas.PendingRevision(revision=r.name, phase=r.phase, table=r.table) for r in after
    ]


async def _next(ledger: Ledger, revision: str | None, *, is_gated: bool) -> Release | None:
    """Return the release that was begun, else the one that comes next, planned or not."""
    pending = _pending(revision)
    row = await ledger.fetch_row(_NEXT, revision) if is_gated else None
    if row and (pending or row["state"] != "proposed"):
        return await run_history.describe_plan(ledger, row)
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
    """Return the last look at the schema, if it was of the live revision."""
    look = await ledger.last_look()
    return look if look and look["revision"] == revision else None


def _soak(standing: Standing, release: Release | None) -> SoakClock:
    """Return the soak's clock; the time of a release that is being taken back counts no longer."""
    soak = standing.soak
    is_left = release and release.state == TAKING_BACK and release.digest == soak.digest
    return SoakClock.model_validate({
        **vars(soak),
        "state": TAKING_BACK if is_left else standing.state,
        "remaining_seconds": 0.0 if is_left else standing.remaining,
        "last_look_at": standing.looked_at,
        "reasons": standing.reasons,
        "signals": standing.signals,
    })  # fmt: skip

"""The migration status: one answer for the terminal, the API and a console.

It must come while a migration runs, waits or hangs with everything locked: so it is read on a
connection of its own, from the gate's own tables and PostgreSQL's views, nothing in it waits, and
what cannot be read is left out by name.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from app.database.dial import dial
from app.database.driver_errors import translated
from app.database.url import DatabaseUrl
from app.releases.identity import (
    BUILT_BY_REVISIONS,
    HOLDS_CORE_TABLES,
    HOLDS_FOREIGN_TABLES_ONLY,
)
from app.releases.ledger import soak
from app.releases.ledger.ledger import Ledger, Row
from app.releases.ledger.soak import Clock, Standing, utc_now
from app.releases.migrations import revisions
from app.releases.migrations.pending import next_release
from app.releases.migrations.version_row import (
    FORM,
    ROWS,
    BadVersionRow,
    raise_unless_fits,
    single_revision,
)
from app.releases.schema.recheck import QUESTION, last_look, look_at
from app.releases.status import runs as status_runs
from app.releases.status.next_command import TAKING_BACK, next_command
from app.releases.status.partial_reader import PartialReader
from app.releases.status.running import living_run, running
from app.releases.status.schemas import (
    Drift,
    PendingRevision,
    Release,
    Run,
    SignalSeen,
    SoakClock,
    Status,
)

_RUNS: Final = 20
_THERE: Final = f"""SELECT to_regclass('release_runs') IS NOT NULL
    AND to_regclass('release_looks') IS NOT NULL AS gated,
  CASE WHEN {BUILT_BY_REVISIONS} THEN 'lost'
    WHEN {HOLDS_CORE_TABLES} THEN 'adoptable'
    WHEN {HOLDS_FOREIGN_TABLES_ONLY} THEN 'strange' END AS content"""
# One that was begun comes first; then the newest that starts where the database is.
_NEXT: Final = """SELECT * FROM release_plans WHERE state IN ('applying', 'applied', 'taking back')
    OR state = 'proposed' AND plan ->> 'before' IS NOT DISTINCT FROM $1
  ORDER BY state = 'proposed', proposed_at DESC LIMIT 1"""
# Nothing here may wait: whoever has locked one of the gate's own tables is not waited for.
_LIMITS: Final = {"lock_timeout": "50", "statement_timeout": "800"}  # milliseconds
_LOOK_PATIENCE: Final = "100ms"  # for a lock, where the live schema is looked at in bounded time
_OF_REVISION: Final = ("state", "pending", "next", "drift")
_OF_LEDGER: Final = ("soak", "overrides", "runs")


@asynccontextmanager
async def reading(url: str | DatabaseUrl, within: float) -> AsyncIterator[Ledger]:
    """Lend the ledger for reading, ``within`` seconds in all.

    Raises DatabaseAway, Busy and SchemaMismatch, which say so in words.
    """
    with translated():
        async with asyncio.timeout(within), _connected(url, within) as ledger:
            yield ledger


async def status(
    url: str | DatabaseUrl,
    *,
    within: float = 4.0,
    clock: Clock | None = None,
    look: bool = False,
    role: str | None = None,
) -> dict[str, Any]:
    """Give the whole status as JSON values, in ``within`` seconds, connecting included.

    With ``look`` the live schema is looked at anew; ``role`` is the one the service connects as,
    by default the connection's own. Needs what the gate stored of the live revision.
    What could not be read by then, or is locked, is null and named in ``unread``. Raises as
    ``reading`` does where there is no connection.
    """
    parts = PartialReader(asyncio.get_running_loop().time() + within)
    with translated():
        async with _connected(url, within) as ledger:
            found = await _status(ledger, parts, clock)
            if look:
                found = found.model_copy(update=await _anew(ledger, parts, role))
    return found.model_copy(update={"next_command": next_command(found)}).as_json()


async def _anew(ledger: Ledger, parts: PartialReader, role: str | None) -> dict[str, Any]:
    """Return the members about drift, looked at now; null and unread where that cannot be."""
    parts.unread[:] = [name for name in parts.unread if name != "drift"]
    look = None
    if (await parts.read("drift", _there, ledger) or {}).get("gated"):
        look = await parts.read("drift", look_at, ledger.connection, role, _LOOK_PATIENCE)
    if look is None and parts.has("drift"):
        parts.unread.append("drift")
    at, by = (utc_now(), QUESTION) if look else (None, None)
    drifts = [Drift(**finding.as_json()) for finding in look[1]] if look else None
    return {"drift": drifts, "drift_checked_at": at, "drift_checked_by": by, "unread": parts.unread}


async def is_gated(ledger: Ledger) -> bool:
    """Tell whether the gate ever ran on this database."""
    return bool((await _there(ledger))["gated"])


async def _there(ledger: Ledger) -> Row:
    row = await ledger.fetch_row(_THERE)
    assert row is not None
    return row


@asynccontextmanager
async def _connected(url: str | DatabaseUrl, within: float) -> AsyncIterator[Ledger]:
    address = url if isinstance(url, DatabaseUrl) else DatabaseUrl.parse(url)
    arguments = address.connect_args()
    named = {"application_name": "signalbook-status"}
    settings = {**arguments["server_settings"], **_LIMITS, **named}
    arguments |= {"timeout": within, "server_settings": settings}
    async with asyncio.timeout(within):
        connection = await dial(arguments)
    try:
        yield Ledger(connection)
    finally:
        connection.terminate()


async def _status(ledger: Ledger, parts: PartialReader, clock: Clock | None) -> Status:
    found: dict[str, Any] = dict.fromkeys(Status.model_fields)
    found |= {"head": revisions.head(), "needed": revisions.needed(), "unread": parts.unread}
    there = await parts.read("revision", _there, ledger)
    if there is None:
        parts.unread += [*_OF_REVISION, *_OF_LEDGER, "running"]
        return Status(**found)
    gated = bool(there["gated"])
    found["running"] = await running(ledger, parts, recorded=gated)
    found |= await _of_revision(ledger, parts, there)
    found |= await _of_ledger(ledger, parts, clock) if gated else {"overrides": [], "runs": []}
    found["soak"] = _unless_leaving(found["soak"], found["next"])
    return Status(**found)


async def _of_ledger(ledger: Ledger, parts: PartialReader, clock: Clock | None) -> dict[str, Any]:
    """Give the members that only a database has on which the gate ever ran."""
    standing = await parts.read("soak", soak.current, ledger, clock)
    return {
        "soak": _soak(standing) if standing else None,
        "overrides": await parts.read("overrides", status_runs.overrides, ledger),
        "runs": await parts.read("runs", _runs, ledger),
    }


async def _of_revision(ledger: Ledger, parts: PartialReader, there: Row) -> dict[str, Any]:
    """Give the members of a status that depend on where the database is."""
    try:
        revision = await parts.read("revision", _revision, ledger)
    except BadVersionRow as unclear:
        return {"unclear": str(unclear)}
    if not parts.has("revision"):
        parts.unread += _OF_REVISION
        return {}
    gated = bool(there["gated"])
    look = await parts.read("drift", _drift, ledger, revision) if gated else None
    return {
        "revision": revision,
        "state": revisions.state(revision),
        "content": there["content"] if revision is None else None,
        "pending": _pending(revision),
        "next": await parts.read("next", _next, ledger, revision, gated=gated),
        "drift": [Drift(**finding) for finding in look["findings"]] if look else None,
        "drift_checked_at": look["at"] if look else None,
        "drift_checked_by": look.get("by") if look else None,
    }


def _unless_leaving(soak: SoakClock | None, begun: Release | None) -> SoakClock | None:
    """Stop the clock of a release that is being taken back: nobody watches what is to go."""
    if soak is None or begun is None or begun.state != TAKING_BACK or begun.digest != soak.digest:
        return soak
    return soak.model_copy(update={"state": TAKING_BACK, "remaining_seconds": 0.0})


async def _revision(ledger: Ledger) -> str | None:
    form = await ledger.fetch_row(FORM) or {"there": False, "fits": False}
    raise_unless_fits(**form)
    if not form["there"]:
        return None
    return single_revision([row["version_num"] for row in await ledger.fetch_rows(ROWS)])


async def _runs(ledger: Ledger) -> list[Run]:
    return await status_runs.runs(ledger, _RUNS, await living_run(ledger))


def _pending(revision: str | None) -> list[PendingRevision]:
    if revision is not None and not revisions.has_revision(revision):
        return []
    every = revisions.history()
    names = [each.name for each in every]
    after = every[names.index(revision) + 1 if revision else 0 :]
    return [PendingRevision(revision=r.name, phase=r.phase, table=r.table) for r in after]


async def _next(ledger: Ledger, revision: str | None, *, gated: bool) -> Release | None:
    """Give the release that was begun, else the one that comes next, planned or not."""
    pending = _pending(revision)
    row = await ledger.fetch_row(_NEXT, revision) if gated else None
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
    look = await last_look(ledger)
    return look if look and look["revision"] == revision else None


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
        last_look_at=standing.looked_at,
        reasons=list(standing.reasons),
        signals=[
            SignalSeen.model_validate(signal, from_attributes=True) for signal in standing.signals
        ],
    )

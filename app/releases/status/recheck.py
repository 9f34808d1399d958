"""Looks for drift while a soak runs: compares the live catalogue with what the gate stored.

No scratch database is built: the gate has stored what the live revision should look like.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

import asyncpg

from app.releases.ledger import soak
from app.releases.ledger.ledger import APP, Ledger, encoded
from app.releases.ledger.signals import write
from app.releases.ledger.soak import Clock, Signal, Standing
from app.releases.migrations.migration_session import GATE_LOCK, MIGRATION_LOCK, lock_holders_sql
from app.releases.schema.comparison.compare_snapshots import compare
from app.releases.schema.comparison.finding import Finding
from app.releases.schema.introspection.introspect import PATIENCE, read_snapshot
from app.releases.schema.snapshot import from_json

DRIFT: Final = "drift"
_SOURCE: Final = "the serving app's look at the live schema"
_REVISION: Final = "SELECT version_num FROM alembic_version"
THERE: Final = """SELECT to_regclass('alembic_version') IS NOT NULL
  AND to_regclass('release_looks') IS NOT NULL"""
HOLDERS: Final = lock_holders_sql(GATE_LOCK, MIGRATION_LOCK)
# One process gets the turn, and looks for all of them.
_TURN: Final = """INSERT INTO release_looks AS l (name, value, at) VALUES ('recheck', '{}', $1)
  ON CONFLICT (name) DO UPDATE SET at = excluded.at
  WHERE l.at <= excluded.at - make_interval(secs => $2) RETURNING 1"""
_LOOKED: Final = "UPDATE release_looks SET value = $1 WHERE name = 'recheck'"


async def recheck(
    connection: asyncpg.Connection, every: float, clock: Clock | None = None
) -> list[Finding] | None:
    """Compare, store the findings and return them; None where there was no reason to look.

    This is done at most once in ``every`` seconds, however many processes ask. Raise
    MigrationContended when the catalogue is locked.
    """
    ledger = Ledger(connection)
    if not await ledger.fetch_value(THERE):
        return None
    standing = await soak.current(ledger, clock)
    if standing is None or not standing.watched(await soak.time(ledger, clock)):
        return None
    if not await ledger.fetch_value(_TURN, await soak.time(ledger, clock), every * 0.9):
        return None
    look = await look_at(connection)
    if look is None:
        return None
    revision, findings = look
    now = await soak.time(ledger, clock)
    await ledger.keep_look(revision, findings, now, APP)
    await _signal_drift(connection, standing, findings, now)
    await ledger.execute(_LOOKED, encoded({"at": now.isoformat()}))
    return findings


async def look_at(
    connection: asyncpg.Connection, role: str | None = None, patience: str = PATIENCE
) -> tuple[str, list[Finding]] | None:
    """Compare the live schema, as it is now, with what the gate stored of its revision.

    Return the revision and what differs; None where nothing is stored of it, or while a release
    or a migration runs. Raise MigrationContended when the catalogue is locked.
    """
    ledger = Ledger(connection)
    expected = await _expected(ledger)
    if expected is None:
        return None
    live = await read_snapshot(connection, role, patience)
    if await _expected(ledger) != expected:
        return None  # a release began meanwhile
    should = from_json(expected["snapshot"])
    return expected["revision"], compare(should, live, await ledger.get_fact("acquainted"))


async def _expected(ledger: Ledger) -> Mapping[str, Any] | None:
    """Return what the gate expects of the live revision; None while somebody migrates."""
    if await ledger.fetch_rows(HOLDERS):
        return None
    expected: Mapping[str, Any] | None = await ledger.get_fact("expected")
    if expected is None or await ledger.fetch_value(_REVISION) != expected["revision"]:
        return None
    return expected


async def _signal_drift(
    connection: asyncpg.Connection, standing: Standing, findings: Sequence[Finding], now: datetime
) -> None:
    """Store a signal, which turns the soak red, once for the same findings."""
    differences = [finding.as_json() for finding in findings]
    code = sha256(json.dumps(differences, sort_keys=True).encode()).hexdigest()[:12]
    earlier = {signal.code for signal in standing.signals if signal.kind == DRIFT}
    if findings and code not in earlier:
        more = f" And {len(findings) - 1} more." if len(findings) > 1 else ""
        await write(connection, [
            Signal(kind=DRIFT, code=code, words=f"{findings[0].words}{more}", source=_SOURCE,
                   count=1, at=now, last_at=now),
        ])  # fmt: skip

"""Looks again for drift while a soak runs: the live catalogue beside what the gate expected.

No scratch database is built: the gate has stored what the live revision should look like.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

import asyncpg

from app.releases.ledger import soak
from app.releases.ledger.drift_looks import APP, keep_look
from app.releases.ledger.ledger import Ledger, encoded
from app.releases.ledger.signals import write
from app.releases.ledger.soak import Clock, Signal, Standing
from app.releases.migrations.migration_session import GATE_LOCK, MIGRATION_LOCK
from app.releases.schema.comparison.compare_snapshots import compare
from app.releases.schema.comparison.finding import Finding
from app.releases.schema.introspection.introspect import PATIENCE, read_snapshot
from app.releases.schema.snapshot import from_json

DRIFT: Final = "drift"
_SOURCE: Final = "the serving app's look at the live schema"
_REVISION: Final = "SELECT version_num FROM alembic_version"
_THERE: Final = """SELECT to_regclass('alembic_version') IS NOT NULL
  AND to_regclass('release_looks') IS NOT NULL"""
# PostgreSQL shows the key of an advisory lock in two halves.
HOLDERS: Final = f"""SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1
  AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (classid::bigint << 32) | objid::bigint IN ({GATE_LOCK}, {MIGRATION_LOCK})"""
# Whoever gets the turn does the work for all processes, and for this long.
_TURN: Final = """INSERT INTO release_looks AS l (name, value, at) VALUES ('recheck', '{}', $1)
  ON CONFLICT (name) DO UPDATE SET at = excluded.at
  WHERE l.at <= excluded.at - make_interval(secs => $2) RETURNING 1"""
_LOOKED: Final = "UPDATE release_looks SET value = $1 WHERE name = 'recheck'"


async def recheck(
    connection: asyncpg.Connection, every: float, clock: Clock | None = None
) -> list[Finding] | None:
    """Compare, note what is found, and give it; None where there was no reason to look.

    At most once in ``every`` seconds, however many processes ask. Raises MigrationContended when
    the catalogue is held.
    """
    ledger = Ledger(connection)
    if not await ledger.fetch_value(_THERE):
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
    await keep_look(ledger, revision, findings, now, APP)
    await _tell(connection, standing, findings, now)
    await ledger.execute(_LOOKED, encoded({"at": now.isoformat()}))
    return findings


async def look_at(
    connection: asyncpg.Connection, role: str | None = None, patience: str = PATIENCE
) -> tuple[str, list[Finding]] | None:
    """Compare the live schema, as it is now, with what the gate stored of its revision.

    Returns the revision and what differs; None where nothing is stored of it, or while a release
    or a migration runs. Raises MigrationContended when somebody holds the catalogue.
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
    """Give what the gate expects of the live revision; None while somebody migrates."""
    if await ledger.fetch_rows(HOLDERS):
        return None
    expected: Mapping[str, Any] | None = await ledger.get_fact("expected")
    if expected is None or await ledger.fetch_value(_REVISION) != expected["revision"]:
        return None
    return expected


async def _tell(
    connection: asyncpg.Connection, standing: Standing, findings: Sequence[Finding], now: datetime
) -> None:
    """Turn the soak red by what was found, once for the same findings."""
    told = [finding.as_json() for finding in findings]
    code = sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]
    known = {signal.code for signal in standing.signals if signal.kind == DRIFT}
    if findings and code not in known:
        more = f" And {len(findings) - 1} more." if len(findings) > 1 else ""
        await write(connection, [
            Signal(kind=DRIFT, code=code, words=f"{findings[0].words}{more}", source=_SOURCE,
                   count=1, at=now, last_at=now),
        ])  # fmt: skip

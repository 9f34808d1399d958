"""Looks again for drift while a soak runs: the live catalogue beside what the gate expected.

No scratch database is built: the gate has stored what the live revision should look like.
"""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

import asyncpg

from app.releases import soak
from app.releases.compare import compare
from app.releases.finding import Finding
from app.releases.ledger import GATE_LOCK, Ledger
from app.releases.session import MIGRATION_LOCK
from app.releases.signals import write
from app.releases.snapshot import from_json
from app.releases.soak import Clock, Signal, Standing
from app.releases.survey import snapshot

DRIFT: Final = "drift"
_SOURCE: Final = "the serving app's look at the live schema"
_REVISION: Final = "SELECT version_num FROM alembic_version"
_THERE: Final = """SELECT to_regclass('alembic_version') IS NOT NULL
  AND to_regclass('release_facts') IS NOT NULL"""
# PostgreSQL shows the key of an advisory lock in two halves.
HOLDERS: Final = f"""SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1
  AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (classid::bigint << 32) | objid::bigint IN ({GATE_LOCK}, {MIGRATION_LOCK})"""
# Whoever gets the turn does the work for all processes, and for this long.
_TURN: Final = """INSERT INTO release_facts AS f (name, value, at) VALUES ('recheck', '{}', $1)
  ON CONFLICT (name) DO UPDATE SET at = excluded.at
  WHERE f.at <= excluded.at - make_interval(secs => $2) RETURNING 1"""


async def recheck(
    connection: asyncpg.Connection, every: float, clock: Clock
) -> list[Finding] | None:
    """Compare, note what is found, and give it; None where there was no reason to look.

    At most once in ``every`` seconds, however many processes ask. Raises MigrationContended when
    the catalogue is held.
    """
    ledger = Ledger(connection)
    if not await ledger.value(_THERE):
        return None
    standing = await soak.current(ledger, clock)
    if standing is None or standing.state not in {"running", "red"}:
        return None
    if not await ledger.value(_TURN, clock(), every * 0.9):
        return None
    expected = await _expected(ledger)
    if expected is None:
        return None
    live = await snapshot(connection)
    if await _expected(ledger) != expected:
        return None  # a release began meanwhile
    should = from_json(expected["snapshot"])
    findings = compare(should, live.beside(should), await ledger.fact("acquainted"))
    await _note(ledger, connection, standing, expected["revision"], findings, clock)
    return findings


async def _expected(ledger: Ledger) -> Mapping[str, Any] | None:
    """Give what the gate expects of the live revision; None while somebody migrates."""
    if await ledger.rows(HOLDERS):
        return None
    expected: Mapping[str, Any] | None = await ledger.fact("expected")
    if expected is None or await ledger.value(_REVISION) != expected["revision"]:
        return None
    return expected


async def _note(
    ledger: Ledger,
    connection: asyncpg.Connection,
    standing: Standing,
    revision: str,
    findings: Sequence[Finding],
    clock: Clock,
) -> None:
    now = clock()
    told = [finding.as_json() for finding in findings]
    await ledger.note("drift", {"at": now.isoformat(), "revision": revision, "findings": told})
    code = sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]
    known = {signal.code for signal in standing.signals if signal.kind == DRIFT}
    if findings and code not in known:
        more = f" And {len(findings) - 1} more." if len(findings) > 1 else ""
        await write(connection, [
            Signal(kind=DRIFT, code=code, words=f"{findings[0].words}{more}", source=_SOURCE,
                   count=1, at=now, last_at=now),
        ])  # fmt: skip

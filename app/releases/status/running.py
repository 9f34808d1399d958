"""What the gate is doing at this moment, who it waits for, and who waits for it.

It is read from the ledger and from PostgreSQL's own views, none of which waits for a lock.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from app.releases.apply.backends import masked_query
from app.releases.ledger.ledger import Ledger, Row
from app.releases.migrations.migration_session import GATE_LOCK, lock_holders_sql
from app.releases.status.partial_reader import PartialReader
from app.releases.status.running_schemas import (
    Blocked,
    Progress,
    Running,
    RunningStatement,
    WaitedFor,
)

_QUERY_LENGTH: Final = 500  # characters of somebody's query
# Statements outside a transaction that may be cancelled, and what that leaves behind.
_TAKEN_UP_AGAIN: Final = tuple(
    (re.compile(rf"(?is)\s*(?:{pattern})\b"), words)
    for pattern, words in (
        (r"CREATE\s+(UNIQUE\s+)?INDEX\s+CONCURRENTLY",
         "the index is left INVALID, is dropped and built again"),
        (r"DROP\s+INDEX\s+CONCURRENTLY", "the index may be left INVALID, and is dropped again"),
        (r"ALTER\s+TABLE\s+\S+\s+VALIDATE\s+CONSTRAINT",
         "the constraint stays NOT VALID, and all rows are looked at again"),
        ("ANALYZE", "the statistics stay as they were, and are gathered again"),
        ("SELECT", "it is undone as if it had never begun, and runs again"),
        ("SET", "it changes only the gate's own session, and runs again"),
    )
)  # fmt: skip

HOLDER: Final = lock_holders_sql(GATE_LOCK)
# The gate's own connections, in this database: the ledger's, the migration's and the steps'. Who is
# of another role may not see what they do, but does see their names and locks.
_OURS: Final = f"""WITH ours AS (SELECT pid FROM pg_stat_activity
  WHERE datname = current_database() AND (pid IN ({HOLDER})
    OR application_name ~ '^signalbook-(gate|migrate|release|copy|rehearsal)$')),
waiting AS (SELECT a.*, pg_blocking_pids(a.pid) AS blockers FROM pg_stat_activity a
  WHERE a.datname = current_database()
    AND a.pid IN (SELECT pid FROM pg_locks WHERE NOT granted)) """
# A pid of 0 is a prepared transaction, which has no session.
_WAITS_FOR: Final = f"""{_OURS} SELECT DISTINCT blocker AS pid, b.state,
    coalesce(b.application_name, 'a prepared transaction') AS application,
    extract(epoch FROM clock_timestamp() - b.xact_start)::float8 AS transaction_seconds,
    coalesce(b.query, 'SELECT * FROM pg_prepared_xacts') AS query
  FROM waiting w CROSS JOIN unnest(w.blockers) AS blocker
  LEFT JOIN pg_stat_activity b ON b.pid = blocker
  WHERE w.pid IN (SELECT pid FROM ours) AND blocker NOT IN (SELECT pid FROM ours)
  ORDER BY blocker LIMIT 50"""
_BLOCKS: Final = f"""{_OURS} SELECT w.pid, coalesce(w.query, '') AS query,
    coalesce(extract(epoch FROM clock_timestamp() - (SELECT min(waitstart) FROM pg_locks l
      WHERE l.pid = w.pid AND NOT l.granted)), 0)::float8 AS seconds
  FROM waiting w WHERE w.pid NOT IN (SELECT pid FROM ours)
    AND w.blockers && ARRAY(SELECT pid FROM ours) ORDER BY seconds DESC LIMIT 50"""
_INDEXES: Final = f"""{_OURS} SELECT p.phase, p.blocks_done, p.blocks_total, p.tuples_done,
    p.tuples_total, coalesce(nullif(p.index_relid, 0)::regclass::text, 'an index') AS name,
    extract(epoch FROM clock_timestamp() - a.query_start)::float8 AS seconds
  FROM pg_stat_progress_create_index p JOIN pg_stat_activity a USING (pid)
  WHERE p.datname = current_database() AND p.pid IN (SELECT pid FROM ours)"""
_BACKFILLS: Final = """SELECT name, done, total,
    extract(epoch FROM updated_at - greatest(started_at, $1))::float8 AS seconds
  FROM release_backfill WHERE finished_at IS NULL AND updated_at >= $1 ORDER BY name"""
# A run that began before the session that holds the lock is of a gate that was killed. When that
# session began is hidden from a role that may not see what others do.
_RUN: Final = f"""SELECT r.id, r.word, r.who, r.digest, r.started_at AS run_started,
    s.stage, coalesce(s.started_at, r.started_at) AS since
  FROM release_runs r LEFT JOIN LATERAL (SELECT stage, started_at FROM release_stages
    WHERE run = r.id AND finished_at IS NULL ORDER BY position DESC LIMIT 1) s ON true
  WHERE r.finished_at IS NULL AND r.started_at >= coalesce((SELECT min(backend_start)
    FROM pg_stat_activity WHERE pid IN ({HOLDER})), '-infinity') ORDER BY r.id DESC LIMIT 1"""
# The column "blocker" came later: an older gate's ledger lacks it until the next run.
_STATEMENT: Final = """SELECT sql, kind, lock, predicted AS predicted_seconds, tries, stall,
    to_jsonb(release_statements) -> 'blocker' AS blocker,
    extract(epoch FROM clock_timestamp() - started_at)::float8 AS seconds
  FROM release_statements WHERE run = $1 AND seconds IS NULL AND error IS NULL
  ORDER BY position DESC LIMIT 1"""


_UNKNOWN: Final = "Not known: what it is at cannot be read now; look again before you stop it."


async def is_running(ledger: Ledger) -> bool:
    """Return whether a gate is at work on this database."""
    return bool(await ledger.fetch_rows(HOLDER))


async def living_run(ledger: Ledger) -> int | None:
    """Return the number of the run that is at work; the ledger's tables must be there."""
    row = await ledger.fetch_row(_RUN) if await is_running(ledger) else None
    return row["id"] if row else None


async def running(ledger: Ledger, reader: PartialReader, *, recorded: bool) -> Running | None:
    """Return what runs now, None for nothing. ``recorded``: the ledger's tables are there.

    Who waits for whom comes first: it is read from no table, and so is always there.
    """
    if not await reader.read("running", is_running, ledger):
        return None
    waits = await reader.read("running.waitsFor", ledger.fetch_rows, _WAITS_FOR)
    blocks = await reader.read("running.blocks", ledger.fetch_rows, _BLOCKS)
    run = (await reader.read("running.run", ledger.fetch_row, _RUN) if recorded else None) or {}
    statement = None
    if run:
        row = await reader.read("running.statement", ledger.fetch_row, _STATEMENT, run["id"])
        statement = RunningStatement(**row) if row else None
    safe, words = False, _UNKNOWN
    if reader.has("running.run", "running.statement"):
        safe, words = _cancelling(run.get("word"), run.get("stage"), statement)
    return Running(
        run=run.get("id"), word=run.get("word"), who=run.get("who"), stage=run.get("stage"),
        since=run.get("since"), statement=statement,
        waits_for=[WaitedFor(**_masked(row)) for row in waits or ()],
        blocks=[Blocked(**_masked(row)) for row in blocks or ()],
        progress=await reader.read("running.progress", _progress, ledger, run.get("run_started")),
        safe_to_cancel=safe, safe_words=words,
    )  # fmt: skip


async def _progress(ledger: Ledger, since: datetime | None) -> list[Progress]:
    indexes = [_building(row) for row in await ledger.fetch_rows(_INDEXES)]
    walks: Sequence[Row] = await ledger.fetch_rows(_BACKFILLS, since) if since else []
    return [
        *indexes,
        *(_towards(f"backfill of {w['name']}", w["done"], w["total"], w["seconds"]) for w in walks),
    ]


def _building(row: Row) -> Progress:
    """Return how far an index is; only while it scans, its rate predicts the end."""
    unit = "blocks" if row["blocks_total"] else "tuples"
    scanning = row["phase"] == "building index: scanning table"
    seconds = row["seconds"] if scanning else None
    what = f"{row['name']}: {row['phase']}"
    return _towards(what, row[f"{unit}_done"], row[f"{unit}_total"], seconds)


def _towards(what: str, units: int, total: int, seconds: float | None) -> Progress:
    rate = units / seconds if seconds and seconds > 0 and units else None
    rest = max(0, total - units) / rate if rate else None
    return Progress(what=what, units_done=units, total=total, rate=rate, remaining_seconds=rest)


def _cancelling(
    word: str | None, stage: str | None, statement: RunningStatement | None
) -> tuple[bool, str]:
    """Return whether the gate may be stopped now, and in words what that would do."""
    again = "rollback" if word == "rollback" else "resume"
    after = f"python -m app release {again} goes on from there."
    if statement is None:
        if stage in {"apply", "rollback", "verify", "contents", "soak"}:
            return True, f"Safe: it is between two statements, all before is committed; {after}"
        return True, "Safe: nothing of the live schema is being changed; run the release again."
    if statement.kind in {"batch", "backfill"}:
        return True, f"Safe: the batch at hand is undone, all before are kept; {after}"
    if statement.kind in {"brief", "direct"}:
        return True, f"Safe: its transaction is rolled back as if it had never begun; {after}"
    for pattern, effect in _TAKEN_UP_AGAIN:
        if pattern.match(statement.sql):
            return True, f"Safe: {effect}; {after}"
    return False, (
        "Let it end: this statement runs outside a transaction, and what it leaves behind when it "
        "is cancelled must be looked at by hand."
    )


def _masked(row: Row) -> dict[str, Any]:
    return row | {"query": masked_query(row["query"], _QUERY_LENGTH)}

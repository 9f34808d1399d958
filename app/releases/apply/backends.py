"""Other sessions of the database: those that block us, autovacuum, a killed gate's, foreign ones.

PostgreSQL hides from an ordinary role what other sessions do. Decisions are made from what every
role may see: locks, session users and names. Queries are shown where the role may see them.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Final

import asyncpg

from app.database.url import DatabaseUrl
from app.releases.ledger.ledger import Ledger, Row
from app.releases.migrations.migration_session import RELEASE_NAME
from app.releases.sql.text import masked
from app.releases.verdict import Stopped, Verdict

QUERY_LENGTH: Final = 200  # characters of a query that are shown
# Where a literal may be a secret.
_MAY_BE_SECRET: Final = re.compile(r"(?i)password|connection|://")
_UNTIL_GONE: Final = 10_000  # milliseconds for a terminated backend to go away

# To be shown with ``masked_query`` only; empty where our role may not see it.
QUERY: Final = "coalesce(nullif(left(a.query, 5000), '<insufficient privilege>'), '') AS query"
_STATE: Final = f"""coalesce(a.state, '') AS state,
  extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS age, {QUERY}"""
_COLUMNS: Final = f"a.pid, coalesce(a.application_name, '') AS application_name, {_STATE}"
# Background workers belong to no user. A role without pg_read_all_stats sees names, but neither
# states nor queries.
_FOREIGN: Final = f"""SELECT a.pid,
    coalesce(nullif(a.application_name, ''), a.usename) AS application_name, {_STATE}
  FROM pg_stat_activity a, coalesce(a.application_name, '') AS name
  WHERE a.datname = current_database() AND a.usesysid IS NOT NULL AND a.pid <> pg_backend_pid()
    AND NOT starts_with(name, 'signalbook') AND name <> ALL($1::text[])
    AND a.usename <> ALL($2::text[])
  ORDER BY a.backend_start LIMIT 20"""
_STILL_THERE: Final = "SELECT pid FROM pg_stat_activity WHERE pid = ANY($1::integer[])"

# Autovacuum belongs to no user, which everybody may see; its "backend_type" is hidden.
AUTOVACUUM: Final = "a.usesysid IS NULL"


@dataclass(frozen=True)
class Backend:
    """A session: its application name, what it does, and the age of its transaction in seconds.

    ``state`` and ``query`` are empty and ``age`` is None where they are hidden from our role. A
    ``pid`` of 0 is a prepared transaction, which has no session.
    """

    pid: int
    application_name: str = ""
    state: str = ""
    age: float | None = None
    query: str = ""

    def __str__(self) -> str:
        if not self.pid:
            return "a prepared transaction (SELECT * FROM pg_prepared_xacts)"
        age = "" if self.age is None else f"its transaction open for {self.age:.0f} s"
        about = ", ".join(filter(None, (self.application_name, self.state, age)))
        query = f": {self.query}" if self.query else ""
        return f"process {self.pid} ({about or 'of another role'}){query}"


async def connect(url: str, **settings: str) -> asyncpg.Connection:
    """Open a connection under the gate's name. Raise asyncpg's errors, OSError, TimeoutError."""
    arguments = DatabaseUrl.parse(url).connect_args()
    named = {"application_name": RELEASE_NAME, **settings}
    arguments["server_settings"] = {**arguments["server_settings"], **named}
    return await asyncpg.connect(**arguments)


async def blockers(connection: asyncpg.Connection, pid: int) -> list[Backend]:
    """Return the sessions that ``pid`` waits for, or queues behind; oldest transaction first."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM unnest(pg_blocking_pids($1)) AS b(pid)"
        " LEFT JOIN pg_stat_activity a USING (pid) WHERE a.pid IS NOT NULL OR b.pid = 0"
        " ORDER BY a.xact_start NULLS LAST",
        pid,
    )
    return [_to_backend(row) for row in rows]


async def autovacuum_workers(
    connection: asyncpg.Connection, tables: Collection[str]
) -> list[Backend]:
    """Return the autovacuum workers that vacuum or analyse one of the tables right now."""
    rows = await connection.fetch(
        f"SELECT DISTINCT {_COLUMNS} FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
        " WHERE l.locktype = 'relation' AND l.mode = 'ShareUpdateExclusiveLock' AND l.granted"
        " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        " AND l.relation = ANY(SELECT to_regclass(t)::oid FROM unnest($1::text[]) AS t)"
        f" AND {AUTOVACUUM}",
        list(tables),
    )
    return [replace(_to_backend(row), application_name="autovacuum") for row in rows]


async def foreign_sessions(ledger: Ledger, harmless: Collection[str] = ()) -> list[Backend]:
    """Return the sessions that are not ours, the oldest first, at most 20.

    A contract drops what they may still read and write. ``harmless`` are application names and
    roles that do not count.
    """
    roles = [name for name in harmless if name]
    rows = await ledger.fetch_rows(_FOREIGN, list(harmless), roles)
    return [_to_backend(row) for row in rows]


def masked_query(query: str, length: int = QUERY_LENGTH) -> str:
    """Return a query in one line of at most ``length`` characters, without a secret.

    Where a password or an address may stand in it, every literal is emptied, however it is quoted.
    """
    text = masked(query) if _MAY_BE_SECRET.search(query) else query
    return " ".join(text.split())[:length]


async def end_orphans(connection: asyncpg.Connection, say: Callable[[str], None]) -> list[Backend]:
    """End the sessions that a killed gate left in this database, and wait until they are gone.

    Call it while holding the gate's lock, before anything is applied: every session of the gate's
    name is then one of a gate that died. Raise Stopped when one cannot be ended.
    """
    try:
        rows = await connection.fetch(
            f"SELECT {_COLUMNS}, pg_terminate_backend(a.pid, {_UNTIL_GONE}) AS ended"
            " FROM pg_stat_activity a WHERE a.datname = current_database()"
            " AND a.application_name = $1 AND a.pid <> pg_backend_pid()",
            RELEASE_NAME,
        )
    except asyncpg.InsufficientPrivilegeError as denied:
        raise Stopped(
            Verdict.CONTENDED,
            "An earlier release left a session running that this role may not end; let an "
            "administrator run: SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
            f"application_name = '{RELEASE_NAME}', then run the release again.",
        ) from denied
    orphans = [_to_backend(row) for row in rows]
    for orphan in orphans:
        say(f"Ended what an earlier release left running: {orphan}")
    # A session that ended by itself after it was listed is not "ended" either.
    pids = [row["pid"] for row in rows if row["ended"] is False]
    present = {row["pid"] for row in await connection.fetch(_STILL_THERE, pids)}
    if stubborn := [_to_backend(row) for row in rows if row["pid"] in present]:
        raise Stopped(
            Verdict.CONTENDED,
            f"An earlier release's session does not go away: {stubborn[0]}. Nothing was changed; "
            "run the release again in a minute.",
        )
    return orphans


def _to_backend(row: asyncpg.Record | Row) -> Backend:
    query = masked_query(row["query"])
    return Backend(row["pid"] or 0, row["application_name"], row["state"], row["age"], query)

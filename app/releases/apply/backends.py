"""Other sessions of the database: who blocks us, which autovacuum works, what a killed gate left.

PostgreSQL hides from an ordinary role what others' sessions do. What is needed to decide is read
from what everybody may see: locks, session users and names. Queries are shown where they may be.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Final

import asyncpg

from app.database.url import DatabaseUrl
from app.releases.connection.migration_session import RELEASE_NAME
from app.releases.sql.text import masked
from app.releases.verdict import Stopped, Verdict

QUERY_LENGTH: Final = 200  # characters of a query that are shown
_TELLS: Final = re.compile(r"(?i)password|connection|://")  # where a literal may be a secret
_UNTIL_GONE: Final = 10_000  # milliseconds for a terminated backend to go away

# To be shown by way of ``shown``; PostgreSQL says so where our role may not see it.
QUERY: Final = "coalesce(nullif(left(a.query, 5000), '<insufficient privilege>'), '') AS query"
_SEEN: Final = f"""a.pid, coalesce(a.application_name, '') AS application_name,
  coalesce(a.state, '') AS state,
  extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS age,
  {QUERY}"""

# Autovacuum belongs to no user, which everybody may see; its "backend_type" is hidden.
AUTOVACUUM: Final = "a.usesysid IS NULL"

_NAME: Final = r'(?:"[^"]+"|[^\W\d]\w*)'
_NAMED: Final = re.compile(
    r"(?i)\b(?:TABLE(?: IF EXISTS)?|ON|REFERENCES|UPDATE|INTO|FROM|ANALYZE)"
    rf"\s+({_NAME}(?:\.{_NAME})?)"
)


@dataclass(frozen=True)
class Backend:
    """A session: what it calls itself, what it does, and for how many seconds its transaction.

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
        known = [self.application_name, self.state]
        if self.age is not None:
            known.append(f"its transaction open for {self.age:.0f} s")
        told = ", ".join(part for part in known if part)
        return f"process {self.pid} ({told or 'of another role'})" + (
            f": {self.query}" if self.query else ""
        )


async def connect(url: str, **settings: str) -> asyncpg.Connection:
    """Open a connection under the gate's name. Raises asyncpg's errors, OSError, TimeoutError."""
    arguments = DatabaseUrl.parse(url).connect_args()
    named = {"application_name": RELEASE_NAME, **settings}
    arguments["server_settings"] = {**arguments["server_settings"], **named}
    return await asyncpg.connect(**arguments)


async def blockers(connection: asyncpg.Connection, pid: int) -> list[Backend]:
    """Give the sessions that ``pid`` waits for, or queues behind; the oldest transaction first."""
    found = await connection.fetch(
        f"SELECT {_SEEN} FROM unnest(pg_blocking_pids($1)) AS b(pid)"
        " LEFT JOIN pg_stat_activity a USING (pid) WHERE a.pid IS NOT NULL OR b.pid = 0"
        " ORDER BY a.xact_start NULLS LAST",
        pid,
    )
    return [_backend(row) for row in found]


async def vacuums(connection: asyncpg.Connection, tables: Collection[str]) -> list[Backend]:
    """Give the autovacuum workers that vacuum or analyse one of the tables right now."""
    found = await connection.fetch(
        f"SELECT DISTINCT {_SEEN} FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
        " WHERE l.locktype = 'relation' AND l.mode = 'ShareUpdateExclusiveLock' AND l.granted"
        " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        " AND l.relation = ANY(SELECT to_regclass(t)::oid FROM unnest($1::text[]) AS t)"
        f" AND {AUTOVACUUM}",
        list(tables),
    )
    return [replace(_backend(row), application_name="autovacuum") for row in found]


def shown(query: str, length: int = QUERY_LENGTH) -> str:
    """Give somebody's query in one line of at most ``length`` characters, without a secret.

    Where a password or an address may stand in it, every literal is emptied, however it is quoted.
    """
    told = masked(query) if _TELLS.search(query) else query
    return " ".join(told.split())[:length]


def named_tables(statement: str) -> tuple[str, ...]:
    """Give the names in a statement that may be tables'; some may be no table at all."""
    return tuple(dict.fromkeys(_NAMED.findall(masked(statement))))


_LEFT: Final = "SELECT pid FROM pg_stat_activity WHERE pid = ANY($1::integer[])"


async def end_orphans(connection: asyncpg.Connection, say: Callable[[str], None]) -> list[Backend]:
    """End what a killed gate left running in this database, and wait until it is gone.

    Only for who holds the gate's lock, and has not begun to apply: every session of the gate's
    name is then one of a gate that died. Raises Stopped when one cannot be ended.
    """
    try:
        found = await connection.fetch(
            f"SELECT {_SEEN}, pg_terminate_backend(a.pid, {_UNTIL_GONE}) AS ended"
            " FROM pg_stat_activity a WHERE a.datname = current_database()"
            " AND a.application_name = $1 AND a.pid <> pg_backend_pid()",
            RELEASE_NAME,
        )
    except asyncpg.InsufficientPrivilegeError as refused:
        raise Stopped(
            Verdict.CONTENDED,
            "An earlier release left a session running that this role may not end; let an "
            "administrator run: SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
            f"application_name = '{RELEASE_NAME}', then run the release again.",
        ) from refused
    orphans = [_backend(row) for row in found]
    for orphan in orphans:
        say(f"Ended what an earlier release left running: {orphan}")
    # One that went by itself between being seen and being ended is not "ended" either.
    left = await connection.fetch(_LEFT, [row["pid"] for row in found if row["ended"] is False])
    present = {row["pid"] for row in left}
    if stubborn := [_backend(row) for row in found if row["pid"] in present]:
        raise Stopped(
            Verdict.CONTENDED,
            f"An earlier release's session does not go away: {stubborn[0]}. Nothing was changed; "
            "run the release again in a minute.",
        )
    return orphans


def _backend(row: asyncpg.Record) -> Backend:
    query = shown(row["query"])
    return Backend(row["pid"] or 0, row["application_name"], row["state"], row["age"], query)

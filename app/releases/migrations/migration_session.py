"""What migrations share: their connections' settings, the lock for one at a time, the cursors."""

import random
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from app.releases.verdict import MigrationContended

if TYPE_CHECKING:  # SQLAlchemy is slow to load, and those who only ask need none of it
    from sqlalchemy import Connection

APPLICATION_NAME: Final = "signalbook-migrate"

# What the gate's connections are called while it applies: a gate that was killed is told by it.
RELEASE_NAME: Final = "signalbook-release"

# What the connection is called that holds the gate's lock.
GATE_NAME: Final = "signalbook-gate"

# Two seconds: long enough that a waiting ALTER evicts autovacuum, which PostgreSQL does only after
# deadlock_timeout (1 s); short enough that the writers queued behind it do not time out.
LOCK_TIMEOUT: Final = "2s"

# For a transaction that locks several tables. No order of locking suits every writer (inserts go
# from child to parent, deletes from parent to child), so we may stand in each other's way: we give
# up within the stall budget, long before the deadlock check (1 s) could end the other transaction.
ACROSS_TABLES: Final = "250ms"

# A step that only touches the catalogue has no business running for longer.
BRIEF_STATEMENT_TIMEOUT: Final = "30s"

# Any numbers will do, as long as nothing else in the database uses them as advisory locks.
MIGRATION_LOCK: Final = 5_316_947_270_317
GATE_LOCK: Final = 5_316_947_270_318
LOCK_PATIENCE: Final = 600.0  # seconds to wait for another migration before giving up

# TimeZone: the older service wrote UTC without saying so, and the change to timestamptz reads it
# in the session's zone. The timeouts are off by default because an index build under lock_timeout
# leaves an INVALID index behind; every brief step sets its own.
SETTINGS: Final = {
    "TimeZone": "UTC",
    "lock_timeout": "0",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}

# So that the statement of a killed process ends by itself, also while it waits for a lock. A server
# on Windows cannot look whether its client is there, and refuses the setting.
_CHECK_CLIENT: Final = (
    "set_config('client_connection_check_interval',"
    " CASE WHEN version() ~* 'windows|mingw|visual c' THEN '0' ELSE '2s' END, false)"
)

# Where every backfill keeps how far it is. It is outside the revisions.
CURSORS: Final = """CREATE TABLE IF NOT EXISTS release_backfill (
  name text PRIMARY KEY,
  cursor text,
  done bigint NOT NULL DEFAULT 0,
  total bigint NOT NULL,
  started_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
  finished_at timestamptz
)"""


def set_up_sql(application_name: str = APPLICATION_NAME) -> str:
    """Return the statement that applies ``SETTINGS`` to a session."""
    settings = {**SETTINGS, "application_name": application_name}
    calls = (f"set_config('{name}', '{value}', false)" for name, value in settings.items())
    return "SELECT " + ", ".join([*calls, _CHECK_CLIENT])


def lock_holders_sql(*locks: int) -> str:
    """Return the query of the processes that hold one of these advisory locks of the session."""
    # PostgreSQL shows the key of an advisory lock in two halves.
    return f"""SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (classid::bigint << 32) | objid::bigint IN ({", ".join(map(str, locks))})"""


def holder_sql(lock: int) -> str:
    """Return the query that puts in words who holds this advisory lock of the session.

    No row where nobody does. PostgreSQL hides from an ordinary role what others' sessions do, so
    that the state may be missing.
    """
    return f"""SELECT format('process %s (%s)', a.pid, concat_ws(', ',
      nullif(a.application_name, ''), 'user ' || a.usename,
      'from ' || coalesce(host(a.client_addr), nullif(a.client_hostname, ''), 'a local socket'),
      'connected since ' || to_char(a.backend_start, 'YYYY-MM-DD HH24:MI:SS'),
      a.state || ' for ' || extract(epoch FROM clock_timestamp() - a.state_change)::int || ' s'
    )) || CASE WHEN a.application_name IN ('{APPLICATION_NAME}', '{GATE_NAME}', '{RELEASE_NAME}')
      THEN '; if that process is dead (its machine is gone, or a pooler kept its session), end it '
        'with ' ELSE '; it is no gate''s: a pooler kept the session of one that died. End it with '
      END || format('SELECT pg_terminate_backend(%s)', a.pid)
    FROM pg_stat_activity AS a WHERE a.pid IN ({lock_holders_sql(lock)}) LIMIT 1"""


def shorter(one: str, other: str) -> str:
    """Return the shorter of two timeouts in PostgreSQL's words ("250ms", "2s")."""
    return min(one, other, key=_milliseconds)


def _milliseconds(timeout: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(m?s)", timeout).groups()  # type: ignore[union-attr]  # ours
    return int(number) * (1 if unit == "ms" else 1000)


def jittered(seconds: float) -> float:
    """Spread a wait, so that two who collided do not collide again."""
    return seconds * random.uniform(0.5, 1.5)  # noqa: S311  # not a secret


def set_up(
    connection: "Connection", application_name: str = APPLICATION_NAME, timeout: str = LOCK_TIMEOUT
) -> None:
    """Prepare the connection on which Alembic keeps its version."""
    connection.exec_driver_sql(set_up_sql(application_name))
    connection.exec_driver_sql(f"SET lock_timeout = '{timeout}'")
    connection.commit()


def lock(
    connection: "Connection", pause: Callable[[float], None], say: Callable[[str], None]
) -> None:
    """Become the only migration, by polling.

    Waiting inside ``pg_advisory_lock`` would keep a snapshot, for which the other migration's
    CREATE INDEX CONCURRENTLY waits: a deadlock. Raises MigrationContended after ``LOCK_PATIENCE``.
    """
    waited = 0.0
    while not _value(connection, f"SELECT pg_try_advisory_lock({MIGRATION_LOCK})"):
        if waited == 0:
            say(
                "Another migration is running on this database; waiting for it to finish: "
                f"{_holder(connection)}."
            )
        if waited >= LOCK_PATIENCE:
            raise MigrationContended(
                f"Another migration still runs after {waited:.0f} s of waiting; nothing was "
                f"changed. It is {_holder(connection)}."
            )
        pause(seconds := jittered(0.5))
        waited += seconds


def unlock(connection: "Connection") -> None:
    """Let the next migration run; closing the connection would do the same."""
    connection.rollback()
    _value(connection, f"SELECT pg_advisory_unlock({MIGRATION_LOCK})")


def _holder(connection: "Connection") -> str:
    return str(_value(connection, holder_sql(MIGRATION_LOCK)) or "gone by now: run it again")


def _value(connection: "Connection", query: str) -> object:
    value: object = connection.exec_driver_sql(query).scalar()
    connection.commit()
    return value

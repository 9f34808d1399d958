"""Who may change a schema: the release gate, wherever there is something to lose.

Alembic's environment asks before it runs anything, whoever started it: the gate, the command
line, ``alembic`` itself or a test. So no entrance can forget to ask.
"""

import os
from collections.abc import Collection
from typing import Final

from alembic.util.exc import CommandError
from sqlalchemy import Connection

from app.releases.identity import HOLDS_CORE_TABLES, OLDER_SERVICE_TABLE
from app.releases.migrations.migration_session import GATE_LOCK, lock_holders_sql
from app.releases.migrations.observer import Observer
from app.releases.migrations.revisions import has_revision, head, needed, state
from app.releases.verdict import MigrationError

_STATE: Final = f"""SELECT current_database(),
  to_regclass('public.release_runs') IS NOT NULL,
  to_regclass('public.{OLDER_SERVICE_TABLE}') IS NOT NULL, {HOLDS_CORE_TABLES}"""
_HOLDS_GATE: Final = f"SELECT EXISTS ({lock_holders_sql(GATE_LOCK)} AND pid = %s)"
_TABLES: Final = """SELECT t FROM unnest(ARRAY[{}]) AS t
  WHERE to_regclass('public.' || t) IS NOT NULL"""
_STATUS: Final = "python -m app release status says where it stands"

# Databases that this process has made: nobody else's rows can be in them.
_own_databases: Final[set[str]] = set()


class Ungated(MigrationError, CommandError):
    """Only the release gate may change this database; the message says what to run instead."""


def note_made(database: str) -> None:
    """Remember that this process has created the database."""
    _own_databases.add(database)


def note_dropped(database: str) -> None:
    """Forget a database that this process has dropped."""
    _own_databases.discard(database)


def raise_unless_allowed(
    connection: Connection,
    observer: Observer,
    revision: str | None,
    *,
    pending: bool,
    protected: Collection[str],
) -> None:
    """Raise Ungated unless this migration may run on this database.

    ``revision`` is where the database stands; ``pending`` is false where the migration would
    change nothing. ``protected`` are the tables in which a row must not be lost.
    """
    database, released, shared, tables = connection.exec_driver_sql(_STATE).one()
    _raise_unless_placed(revision, strange=tables)
    if (pid := observer.gate_pid) is not None:
        if not connection.exec_driver_sql(_HOLDS_GATE % int(pid)).scalar_one():
            raise Ungated(
                "The session that held the gate's lock is gone, so another gate may be at work: "
                "nothing more was changed. Run the release again"
            )
    elif released and (pending or not observer.is_disposable):
        raise Ungated(
            "Nothing was changed: this database has release tables, so only the release gate "
            f"changes its schema. Run: python -m app release ({_STATUS})"
        )
    elif database not in _own_databases:
        if os.environ.get("ENVIRONMENT", "").lower() == "production":
            raise Ungated(
                "Nothing was changed: in production only the release gate changes the schema. Run: "
                "python -m app release (with --new where the database is new and empty)"
            )
        if shared:
            raise _older(revision)
        if pending and not observer.is_disposable:
            _raise_if_rows(connection, protected)


def raise_unless_deployable(revision: str | None) -> None:
    """Raise Ungated unless this version can serve, and load a show, at this revision."""
    _raise_unless_placed(revision, strange=False)
    if state(revision) not in {"ready", "head"}:
        raise Ungated(
            f"Nothing was changed: the database is at {revision or 'no revision'}, and this "
            f"version needs {needed()}. Run: python -m app release ({_STATUS})"
        )


def script_guard(protected: Collection[str]) -> str:
    """Return the statement that begins a rendered script: it ends the session where we refuse.

    An error alone would not do: psql goes on after one unless it is told otherwise.
    """
    names = ", ".join(f"'{name}'" for name in protected)
    return f"""DO $guard$ DECLARE found text; occupied boolean;
BEGIN
  occupied := to_regclass('public.release_runs') IS NOT NULL
    OR to_regclass('public.{OLDER_SERVICE_TABLE}') IS NOT NULL;
  FOR found IN {_TABLES.format(names)} LOOP
    EXIT WHEN occupied;
    EXECUTE format('SELECT EXISTS (SELECT FROM public.%I)', found) INTO occupied;
  END LOOP;
  IF occupied THEN
    RAISE WARNING 'Nothing was changed: this database holds something to lose, so only the'
      ' release gate changes its schema. Run: python -m app release';
    PERFORM pg_terminate_backend(pg_backend_pid());
  END IF;
END $guard$"""


def _raise_unless_placed(revision: str | None, *, strange: bool) -> None:
    """Raise where the schema is not one that this version can take further."""
    if revision is None and strange:
        raise _older(revision)
    if revision is not None and not has_revision(revision):
        raise Ungated(
            f"The database is ahead: revision {revision} is not known to this version, whose "
            f"newest is {head()}. Deploy the version that migrated it, or a newer one ({_STATUS})"
        )


def _older(revision: str | None) -> Ungated:
    if revision is not None:
        return Ungated(
            "Nothing was changed: an older service's tables stand in this database, so only the "
            f"release gate changes its schema. Run: python -m app release ({_STATUS})"
        )
    return Ungated(
        "The database holds tables of an older service and no history of ours: it must be adopted "
        "before it can be migrated. Run: python -m app release adopt --who NAME --why REASON"
    )


def _raise_if_rows(connection: Connection, protected: Collection[str]) -> None:
    quoted = ", ".join(f"'{name}'" for name in protected)
    for (name,) in connection.exec_driver_sql(_TABLES.format(quoted)).all():
        if connection.exec_driver_sql(f'SELECT EXISTS (SELECT FROM public."{name}")').scalar_one():
            raise Ungated(
                f"Nothing was changed: the table {name} holds rows that this process did not "
                "make, so only the release gate changes the schema. Run: python -m app release "
                f"({_STATUS})"
            )

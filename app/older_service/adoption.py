"""Adopts a live database of the older service: recognises it, checks all of it, and stamps it.

The first revision builds exactly that schema, so the two are compared. Until the stamp is set, a
lock keeps everybody from changing the schema of the ten tables; it does not block reads or writes
of rows. Tables that are not ours are not touched. The ledger stores their names, so that a new one
is noticed later.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, cast

import asyncpg
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.older_service import migration_history
from app.older_service.migration_history import OlderHistory, explain_drift, older_history
from app.releases.connection.open_connection import open_connection
from app.releases.identity import BUILT_BY_REVISIONS, OLDER_SERVICE_TABLE
from app.releases.ledger.ledger import Ledger
from app.releases.migrations.alembic_runner import current, make_engine
from app.releases.migrations.migration_session import LOCK_TIMEOUT, MIGRATION_LOCK
from app.releases.migrations.revisions import FOLDER, has_revision, head, history
from app.releases.migrations.version_row import LOST
from app.releases.plan.seals import hash_of
from app.releases.schema.comparison.compare_snapshots import compare
from app.releases.schema.comparison.finding import Finding
from app.releases.schema.introspection.introspect import read_snapshot
from app.releases.schema.scratch_database import expected_snapshot
from app.releases.schema.snapshot import Snapshot
from app.releases.verdict import Stopped, Verdict

ACQUAINTED: Final = "acquainted"
"""The fact under which the ledger names the tables that are not ours."""

# The weakest lock that blocks every change of a table's schema, and no read or write of rows.
_HOLD: Final = "LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE"


@dataclass(frozen=True)
class Adopted:
    """The database's revision after an adoption; ``acquainted`` are tables that are not ours."""

    revision: str
    acquainted: tuple[str, ...]
    words: str


async def adopt(
    url: str, ledger: Ledger, *, service_role: str | None, say: Callable[[str], None]
) -> Adopted:
    """Adopt a live older database; nothing is changed in it but our own tables.

    ``service_role`` is the role the service connects as, where it is another than that of ``url``.
    It may run again after it was killed, and on a database that was adopted before. The ledger's
    tables must be there.

    Raise Stopped: DRIFTED with every difference, REFUSED where this is no older service's
    database, CONTENDED where somebody changes the schema, AHEAD; and MigrationError.
    """
    if (at := await current(url)) is not None:
        return await _already_adopted(at, ledger)
    if await ledger.fetch_value(f"SELECT {BUILT_BY_REVISIONS}"):
        raise Stopped(Verdict.DRIFTED, LOST)
    first = history()[0].name
    say(f"Building what {first} is, in a scratch database, to compare with.")
    should = await expected_snapshot(url, first)
    older = await older_history(ledger.connection)
    async with open_connection(url) as connection:
        live = await _read(connection, service_role)
    if older is not None and older.unfinished:
        _refuse_state(older)
    _refuse_strange(should, live, older)
    async with _hold_schema(url, should.tables) as holder:
        say(f"Comparing {len(should.tables)} tables with it; their schema is held still meanwhile.")
        driver = (await holder.get_raw_connection()).driver_connection
        live = (await _read(cast("asyncpg.Connection", driver), service_role)).beside(should)
        _refuse_drift(first, compare(should, live, acquainted=live.others), older)
        await ledger.set_fact(ACQUAINTED, list(live.others))
        if older is not None:
            await ledger.set_fact(migration_history.FACT, older.as_json())
        await ledger.revision_applied(first, hash_of(first))
        say(f"Stamping the database as {first}.")
        await holder.run_sync(_stamp, first)
        if service_role:
            await holder.exec_driver_sql(f"GRANT SELECT ON alembic_version TO {live.role}")
    others = len(live.others)
    stay = f" {others} tables that are not ours stay as they are." if others else ""
    words = f"Adopted: the database is at {first} from now on.{stay} Next: release plan."
    return Adopted(first, live.others, words)


async def _already_adopted(at: str, ledger: Ledger) -> Adopted:
    if not has_revision(at):
        raise Stopped(
            Verdict.AHEAD,
            f"The database has a history already, and is ahead: revision {at} is not known to this "
            f"version, whose newest is {head()}. There is nothing to adopt.",
        )
    acquainted = tuple(await ledger.get_fact(ACQUAINTED) or ())
    moved = await explain_drift(ledger)
    words = f"The database is at revision {at} already: there is nothing to adopt."
    return Adopted(at, acquainted, f"{words} {moved}" if moved else words)


async def _read(connection: asyncpg.Connection, role: str | None) -> Snapshot:
    try:
        return await read_snapshot(connection, role)
    except asyncpg.UndefinedObjectError as unknown:
        raise Stopped(
            Verdict.REFUSED,
            f"PostgreSQL knows no role {role}, as which the service would connect: create it, "
            "or correct the service's DATABASE_URL.",
        ) from unknown


def _refuse_state(older: OlderHistory | None) -> None:
    """Raise Stopped where the older service's own history is in another state."""
    if older is not None and (words := older.other_state()):
        evidence = older.as_json() | {"unfinished": list(older.unfinished)}
        raise Stopped(Verdict.REFUSED, words, evidence)


def _refuse_strange(should: Snapshot, live: Snapshot, older: OlderHistory | None) -> None:
    """Raise Stopped where some of the ten tables are missing: this is another database."""
    others = live.beside(should).others
    missing = [name for name in should.tables if name not in live.tables]
    if not missing:
        return
    if len(missing) < len(should.tables):
        _refuse_state(older)
    there = f"{OLDER_SERVICE_TABLE} is there, but" if OLDER_SERVICE_TABLE in others else "It"
    words = (
        f"This is not the older service's database. {there} lacks {len(missing)} of its "
        f"{len(should.tables)} tables: {', '.join(missing)}. Check that DATABASE_URL names the "
        "right one; if tables were lost, bring them back from a backup first."
    )
    if len(missing) == len(should.tables) and not others:
        words = (
            "The database is empty, so there is nothing to adopt: run the release, which builds "
            "everything."
        )
    raise Stopped(Verdict.REFUSED, words, {"missing": missing, "others": list(others)})


def _refuse_drift(first: str, findings: list[Finding], older: OlderHistory | None) -> None:
    """Raise Stopped with every difference and its mend; without mends in another state."""
    if findings:
        _refuse_state(older)
        if older is None and (words := migration_history.without_history(findings)):
            raise Stopped(Verdict.REFUSED, words)
        listed = "\n".join(f"{finding.words}\n{finding.script}" for finding in findings)
        what = "differences keep" if len(findings) > 1 else "difference keeps"
        raise Stopped(
            Verdict.DRIFTED,
            f"{len(findings)} {what} this database from being adopted as {first}; nothing was "
            f"changed. Mend what follows and adopt again.\n{listed}",
            {"findings": [finding.as_json() for finding in findings]},
        )


@asynccontextmanager
async def _hold_schema(url: str, tables: Iterable[str]) -> AsyncIterator[AsyncConnection]:
    """Lock the schema of the tables, and keep migrations away, until the stamp is set.

    Read the catalogue on this connection: on another, reading would queue behind whoever waits
    for this lock to change the schema. Its snapshot begins with the first query after the lock.

    Raise Stopped when somebody has been changing the schema for longer than the lock timeout.
    """
    engine = make_engine(url).execution_options(isolation_level="REPEATABLE READ")
    try:
        async with engine.begin() as connection:
            await connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
            await connection.exec_driver_sql(_HOLD.format(", ".join(tables)))
            await _raise_unless_alone(connection)
            yield connection
    except DBAPIError as failed:
        if getattr(failed.orig, "sqlstate", None) == asyncpg.LockNotAvailableError.sqlstate:
            raise Stopped(
                Verdict.CONTENDED,
                "Somebody is changing the schema of the older tables, or vacuuming them by hand; "
                "nothing was adopted: look into pg_stat_activity, and adopt again when it is done.",
            ) from failed
        raise Stopped(Verdict.FAILED, f"PostgreSQL refused: {failed.orig}") from failed


async def _raise_unless_alone(connection: AsyncConnection) -> None:
    row = await connection.exec_driver_sql(
        f"SELECT pg_try_advisory_xact_lock({MIGRATION_LOCK}), to_regclass('alembic_version')"
    )
    is_alone, versions = tuple[Any, ...](row.one())
    stamped = versions and (await connection.exec_driver_sql(f"TABLE {versions}")).first()
    if stamped or not is_alone:
        raise Stopped(
            Verdict.CONTENDED,
            "Another adoption or migration runs on this database, or has just ended; nothing was "
            "done: look at its status and run this again.",
        )


def _stamp(connection: Connection, revision: str) -> None:
    MigrationContext.configure(connection).stamp(ScriptDirectory(str(FOLDER)), revision)

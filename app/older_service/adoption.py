"""Adopts a live database of the older service: recognises it, checks all of it, and stamps it.

The first revision builds exactly that schema, so the two are compared. Until the stamp is set, a
lock keeps everybody from changing the schema of its tables; it does not block reads or writes of
rows. What an earlier version of that service lacks is created, empty. Tables that are not ours are
not touched. The ledger stores their names, so that a new one is noticed later.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
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
from app.older_service.missing_tables import (
    Missing,
    add_foreign_keys,
    count,
    create,
    divide,
    without_foreign_keys,
)
from app.releases.connection.open_connection import open_connection
from app.releases.identity import BUILT_BY_REVISIONS, OLDER_SERVICE_TABLE
from app.releases.ledger.ledger import Ledger
from app.releases.migrations.alembic_runner import current, make_engine
from app.releases.migrations.further_tables import further_tables
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
CREATED: Final = "created at adoption"
"""The fact under which the ledger names the tables that the older service's version lacked."""

# How often tables that were created are compared and mended.
_ROUNDS: Final = 3
# The weakest lock that blocks every change of a table's schema, and no read or write of rows.
_HOLD: Final = "LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE"


@dataclass(frozen=True)
class Adopted:
    """The database's revision after an adoption; ``acquainted`` are tables that are not ours.

    ``created`` are tables that the older service's version lacked; they are empty.
    """

    revision: str
    acquainted: tuple[str, ...]
    created: tuple[str, ...]
    words: str


async def adopt(
    url: str, ledger: Ledger, *, service_role: str | None, say: Callable[[str], None]
) -> Adopted:
    """Adopt a live older database; nothing is changed in it but our own tables.

    Tables that an earlier version of the service lacks are created, empty. ``service_role`` is the
    role the service connects as, where it is another than that of ``url``. It may run again after
    it was killed, and on a database that was adopted before. The ledger's tables must be there.

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
    there = [name for name in should.tables if name in live.tables]
    async with _hold_schema(url, there) as holder:
        say(f"Comparing {len(there)} tables with it; their schema is held still meanwhile.")
        live = await _read_held(holder, service_role)
        others = live.beside(should).others
        missing, findings = divide(should, compare(should, live, acquainted=others))
        _refuse_drift(first, findings, older)
        if missing:
            _refuse_further(older)
            say(f"Creating {', '.join(missing.tables)}: the older service's version lacks them.")
            await create(holder, missing)
            await _mend_created(holder, should, missing, service_role)
        await ledger.set_fact(ACQUAINTED, list(others))
        await ledger.set_fact(CREATED, list(missing.tables))
        if older is not None:
            await ledger.set_fact(migration_history.FACT, older.as_json())
        await ledger.revision_applied(first, hash_of(first))
        say(f"Stamping the database as {first}.")
        if missing:
            await add_foreign_keys(holder, missing)
        await holder.run_sync(_stamp, first)
        if service_role:
            await holder.exec_driver_sql(f"GRANT SELECT ON alembic_version TO {live.role}")
    return Adopted(first, others, missing.tables, _words(first, others, missing.tables))


def _words(revision: str, others: Sequence[str], created: Sequence[str]) -> str:
    stay = f" {len(others)} tables that are not ours stay as they are." if others else ""
    also = ""
    if created:
        also = (
            f" {count(created)} that its version lacks were created, empty: {', '.join(created)}. "
            "Do not bring the older service up to date from here on: its own migrations would "
            "create them too."
        )
    return f"Adopted: the database is at {revision} from now on.{stay}{also} Next: release plan."


async def _read_held(holder: AsyncConnection, role: str | None) -> Snapshot:
    driver = (await holder.get_raw_connection()).driver_connection
    return await _read(cast("asyncpg.Connection", driver), role)


async def _mend_created(
    holder: AsyncConnection, should: Snapshot, missing: Missing, role: str | None
) -> None:
    """Bring tables that were just created in line, whatever default privileges made of them.

    What everybody may do is taken back, and after that the service's role is given its rights.
    Raise Stopped where they stay otherwise: nothing was changed then.
    """
    expected = without_foreign_keys(should, missing.tables)
    for _ in range(_ROUNDS):
        live = await _read_held(holder, role)
        findings = compare(expected, live, acquainted=live.beside(should).others)
        if not findings:
            return
        for statement in (statement for finding in findings for statement in finding.mend):
            if not statement.startswith("--"):
                await holder.exec_driver_sql(statement)
    listed = "\n".join(finding.words for finding in findings)
    raise Stopped(
        Verdict.REFUSED,
        "Tables that the older service's version lacks come out otherwise here than they should "
        "be, and cannot be mended; nothing was changed. Look at the database's default privileges "
        f"and event triggers, and adopt again.\n{listed}",
    )


def _refuse_further(older: OlderHistory | None) -> None:
    """Raise Stopped where tables are missing in a newer state: that service gave them up."""
    if older is not None and older.applied > migration_history.CARRIED:
        _refuse_state(older)


async def _already_adopted(at: str, ledger: Ledger) -> Adopted:
    if not has_revision(at):
        raise Stopped(
            Verdict.AHEAD,
            f"The database has a history already, and is ahead: revision {at} is not known to this "
            f"version, whose newest is {head()}. There is nothing to adopt.",
        )
    acquainted = tuple(await ledger.get_fact(ACQUAINTED) or ())
    created = tuple(await ledger.get_fact(CREATED) or ())
    moved = await explain_drift(ledger)
    words = f"The database is at revision {at} already: there is nothing to adopt."
    return Adopted(at, acquainted, created, f"{words} {moved}" if moved else words)


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
    """Raise Stopped where a table is missing that every version has: this is another database."""
    others = live.beside(should).others
    required = [name for name in should.tables if name not in further_tables()]
    missing = [name for name in required if name not in live.tables]
    if not missing:
        return
    if len(missing) < len(required):
        _refuse_state(older)
    there = f"{OLDER_SERVICE_TABLE} is there, but" if OLDER_SERVICE_TABLE in others else "It"
    words = (
        f"This is not the older service's database. {there} lacks {len(missing)} of the "
        f"{len(required)} tables that every version of it has: {', '.join(missing)}. Check that "
        "DATABASE_URL names the right one; if tables were lost, bring them back from a backup "
        "first."
    )
    if not others and not any(name in live.tables for name in should.tables):
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

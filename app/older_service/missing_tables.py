"""Creates the tables that an earlier version of the older service lacks, while it is adopted.

All of it happens in the transaction that compares and stamps: it is done as a whole, or not at all.
Only a foreign key locks a table that somebody uses, so these come last, and give up rather than
let others wait.
"""

import asyncio
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.releases.migrations.further_tables import further_tables, further_types
from app.releases.migrations.migration_session import jittered
from app.releases.schema.comparison.finding import Finding
from app.releases.schema.snapshot import Snapshot, Table
from app.releases.verdict import Stopped, Verdict

_PARENT: Final = re.compile(r"FOREIGN KEY .* REFERENCES (\w+)\(")
# Who waits behind us for a lock waits no longer than this; between two tries nobody waits.
_LOCK_TIMEOUT: Final = "100ms"
_TRIES: Final = 20
_PAUSE: Final = 0.1  # seconds

_MAY_CREATE: Final = """SELECT has_schema_privilege(current_user, 'public', 'CREATE')"""


@dataclass(frozen=True)
class Missing:
    """The tables and types that are missing since the older service's version lacks them."""

    tables: tuple[str, ...] = ()
    types: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.tables)


def divide(should: Snapshot, findings: Sequence[Finding]) -> tuple[Missing, list[Finding]]:
    """Return what the service's version lacks, and what else differs from what should be.

    A table that others of the older service refer to was there before, and is lost: it is among
    the findings, with all that creates it.
    """
    missing = {f.table for f in findings if f.kind == "table_missing" and f.table}
    types = {f.object for f in findings if f.kind == "enum_missing"} & further_types().keys()
    there = should.tables.keys() - missing
    lost = missing & {parent for name in there for parent in _parents(should.tables[name])}
    if not missing or lost:
        return Missing(), list(findings)
    others = [f for f in findings if f.table not in missing and f.object not in types]
    tables = tuple(name for name in further_tables() if name in missing)
    return Missing(tables, tuple(name for name in further_types() if name in types)), others


def _parents(table: Table) -> Iterator[str]:
    for key in table.constraints_of("foreign key").values():
        if match := _PARENT.match(key.definition):
            yield match[1]


def without_foreign_keys(should: Snapshot, tables: Collection[str]) -> Snapshot:
    """Return the schema as it is before the tables got their foreign keys."""
    changed = {name: _without_foreign_keys(should.tables[name]) for name in tables}
    return replace(should, tables={**should.tables, **changed})


def _without_foreign_keys(table: Table) -> Table:
    keys = table.constraints_of("foreign key").keys()
    others = {name: c for name, c in table.constraints.items() if name not in keys}
    return replace(table, constraints=others)


async def create(connection: AsyncConnection, missing: Missing) -> None:
    """Create types and tables with their indexes, without a lock that anybody could wait for.

    Raise Stopped where the role may not, or where somebody else creates one meanwhile.
    """
    if not (await connection.exec_driver_sql(_MAY_CREATE)).scalar_one():
        raise await _may_not_create(connection, missing)
    statements = [further_types()[name] for name in missing.types]
    statements += [each for each in _statements(missing) if not _is_foreign_key(each)]
    try:
        for statement in statements:
            await connection.exec_driver_sql(statement)
    except DBAPIError as failed:
        if getattr(failed.orig, "sqlstate", None) not in _TAKEN:
            raise
        raise Stopped(
            Verdict.CONTENDED,
            f"A table that the older service lacks could not be created, since something has its "
            f"name or just got it ({failed.orig}); nothing was adopted. Is the older service being "
            "migrated? Adopt again when that is done.",
        ) from failed


_TAKEN: Final = (
    asyncpg.DuplicateTableError.sqlstate,
    asyncpg.DuplicateObjectError.sqlstate,
    asyncpg.UniqueViolationError.sqlstate,
)


async def add_foreign_keys(connection: AsyncConnection, missing: Missing) -> None:
    """Add the foreign keys of the tables that were created. Raise Stopped: CONTENDED, REFUSED.

    From here on the tables that they refer to take no writes until the transaction ends, which is
    to be soon.
    """
    statements = [each for each in _statements(missing) if _is_foreign_key(each)]
    for _ in range(_TRIES):
        try:
            async with connection.begin_nested():
                await connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
                for statement in statements:
                    await connection.exec_driver_sql(statement)
        except DBAPIError as failed:
            state = getattr(failed.orig, "sqlstate", None)
            if state == asyncpg.InsufficientPrivilegeError.sqlstate:
                raise await _may_not_create(connection, missing) from failed
            if state != asyncpg.LockNotAvailableError.sqlstate:
                raise
            await asyncio.sleep(jittered(_PAUSE))
        else:
            return
    raise Stopped(
        Verdict.CONTENDED,
        "The tables that the older service lacks refer to tables in which somebody writes, in a "
        f"transaction that stays open; no lock was to be had in {_TRIES} tries, and nothing was "
        "adopted: look into pg_stat_activity, and adopt again when it is done.",
    )


def _statements(missing: Missing) -> list[str]:
    return [statement for name in missing.tables for statement in further_tables()[name]]


def _is_foreign_key(statement: str) -> bool:
    return statement.startswith("ALTER TABLE")


async def _may_not_create(connection: AsyncConnection, missing: Missing) -> Stopped:
    role = (await connection.exec_driver_sql("SELECT quote_ident(current_user)")).scalar_one()
    return Stopped(
        Verdict.REFUSED,
        f"The older service's version lacks {count(missing.tables)} that this one needs "
        f"({', '.join(missing.tables)}), and the role {role} may not create them; nothing was "
        "changed. Adopt as the role that owns the older service's tables, which needs the right: "
        f"GRANT CREATE ON SCHEMA public TO {role}.",
        {"missing": list(missing.tables)},
    )


def count(tables: Sequence[str]) -> str:
    """Return how many tables these are, in words: "1 table", "3 tables"."""
    return f"{len(tables)} table{'s' * (len(tables) != 1)}"

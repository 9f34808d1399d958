"""Tries on a copy the statements of versions that go on serving, and rolls all of them back.

Each probe returns what failed. It runs before and after the migration, so that what had failed
before is not blamed on the migration.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from app.releases.connection.server_faults import raise_if_server_fault
from app.releases.schema.probe_rows import Rows
from app.releases.schema.snapshot import Snapshot

# What was tried on which table, and the error.
Failures = dict[tuple[str, str], str]
Probe = Callable[[asyncpg.Connection], Awaitable[Failures]]
Tried = Callable[[asyncpg.Connection], Awaitable[object]]

_ERRORS: Final = (asyncpg.PostgresError, asyncpg.InterfaceError)
_PATIENCE: Final = "SET LOCAL statement_timeout = '30s'"
_SHOWN: Final = 300  # characters of a statement in a finding

# A value at the edge of each type, and the same for what is written with a length.
_EDGES: Final[Mapping[str, Sequence[str]]] = {
    "text": ("repeat('x', 10000)", "''"),
    "character varying": ("repeat('x', 10000)",),
    "smallint": ("32767", "-32768"),
    "integer": ("2147483647", "-2147483648"),
    "bigint": ("9223372036854775807", "-9223372036854775808"),
    "real": ("3.4e38",),
    "double precision": ("1.7e308", "0.5"),
    "numeric": ("1e1000", "0.5"),
    "boolean": ("true",),
    "jsonb": ("'{\"a\": [1]}'", "'\"x\"'"),
    "timestamp without time zone": ("'9999-12-31 23:59:59.999'", "'0001-01-01 00:00:00.001'"),
    "timestamp(3) without time zone": ("'9999-12-31 23:59:59.999'", "'0001-01-01 00:00:00.001'"),
    "timestamp with time zone": ("'9999-12-31 23:59:59.999999Z'",),
}


async def every_table(
    connection: asyncpg.Connection, schema: Snapshot, columns: Mapping[str, Sequence[str]]
) -> Failures:
    """Read a row of each table by ``columns``, write one like it under a new key, change, delete.

    ``schema`` is what stood when the statements were written.
    """
    failed: Failures = {}
    for table, names in columns.items():
        if names:
            async with rolled_back(connection):
                await _like_another(connection, Rows(schema, table, names), failed)
    return failed


async def prepared(
    connection: asyncpg.Connection, statements: Mapping[str, Iterable[str]]
) -> Failures:
    """Prepare statements, given by the table or topic that they belong to."""
    failed: Failures = {}
    for name, each in statements.items():
        for sql in each:
            try:
                await connection.prepare(sql, name="")  # nothing has to be closed then
            except _ERRORS as error:
                raise_if_server_fault(error)
                failed[name, f"statement {_short(sql)}"] = _error_words(error)
    return failed


async def narrowed(connection: asyncpg.Connection, before: Snapshot, after: Snapshot) -> Failures:
    """Find columns and enums that no longer take what they took."""
    failed: Failures = {}
    for name, table in before.tables.items():
        now = after.tables[name].columns if name in after.tables else {}
        for column, was in table.columns.items():
            if column in now and now[column].type != was.type:
                what = f"a write to {column}, {was.type} before and {now[column].type} now,"
                for edge in _EDGES.get(was.type, ()):
                    tried = _edge(f"({edge})::{was.type}", now[column].type)
                    async with rolled_back(connection):
                        await attempt(connection, failed, (name, what), tried)
    for name, labels in before.enums.items():
        for label in set(labels).difference(after.enums.get(name, ())):
            failed[name, f"a write of the label {label}"] = "the label is gone"
    return failed


async def attempt(
    connection: asyncpg.Connection, failed: Failures, key: tuple[str, str], tried: Tried
) -> bool:
    """Try something behind a savepoint; note an error, and go on."""
    await connection.execute("SAVEPOINT attempt")
    try:
        await tried(connection)
        await connection.execute("SET CONSTRAINTS ALL IMMEDIATE; RELEASE SAVEPOINT attempt")
    except _ERRORS as error:
        raise_if_server_fault(error)
        await connection.execute("ROLLBACK TO SAVEPOINT attempt; RELEASE SAVEPOINT attempt")
        failed.setdefault(key, _error_words(error))
        return False
    return True


async def _like_another(connection: asyncpg.Connection, rows: Rows, failed: Failures) -> None:
    if not await attempt(connection, failed, (rows.table, "SELECT"), rows.look):
        return
    await attempt(connection, failed, (rows.table, "SELECT"), _script(rows.select()))
    if await attempt(connection, failed, (rows.table, "INSERT"), _script(rows.insert())):
        await attempt(connection, failed, (rows.table, "UPDATE"), _script(rows.update()))
        await attempt(connection, failed, (rows.table, "DELETE"), _script(rows.delete()))


def _script(sql: str) -> Tried:
    """Run SQL as one message, without preparing it."""

    async def run(connection: asyncpg.Connection) -> None:
        await connection.execute(sql)

    return run


def _edge(value: str, kind: str) -> Tried:
    async def assign(connection: asyncpg.Connection) -> None:
        await connection.execute(f"CREATE TEMPORARY TABLE rehearsed (value {kind})")
        await connection.execute(f"INSERT INTO rehearsed SELECT {value}")

    return assign


@asynccontextmanager
async def rolled_back(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """Open a transaction that is rolled back, whatever happens in it."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(_PATIENCE)
        yield
    finally:
        await transaction.rollback()


def _short(sql: str) -> str:
    line = " ".join(sql.split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"


def _error_words(error: Exception) -> str:
    code = getattr(error, "sqlstate", None)
    return f"{error} ({code})" if code else str(error)

"""Which columns an older image leaves empty, although the database wants them filled.

PostgreSQL plans an INSERT that leaves such a column out, and refuses it only when it runs; and a
trigger may fill it before it is looked at. So where a table has such columns, a row is inserted as
the image does, in a transaction that is rolled back.
"""

from collections.abc import Sequence
from typing import Any, Final

import asyncpg
from sqlmodel import SQLModel

from app.releases.connection.open_connection import open_connection
from app.releases.connection.server_faults import raise_if_server_fault
from app.releases.schema.introspection.introspect import read_snapshot
from app.releases.schema.probe_rows import Rows
from app.releases.schema.snapshot import Snapshot

_LIMITS: Final = "SET LOCAL lock_timeout = '2s'; SET LOCAL statement_timeout = '10s'"
# NOT NULL without a default, and whatever a CHECK looks at.
_UNKNOWN: Final = """SELECT attname::text AS name, attnotnull AS required FROM pg_attribute
  WHERE attrelid = to_regclass('public.' || quote_ident($1)) AND attnum > 0 AND NOT attisdropped
    AND NOT atthasdef AND attidentity = '' AND attname <> ALL($2::text[])
    AND (attnotnull OR EXISTS (SELECT FROM pg_constraint
      WHERE conrelid = attrelid AND contype = 'c' AND attnum = ANY(conkey)))
  ORDER BY attnum"""
# Row triggers before INSERT: bits 0 and 1 of the type, and 2.
_TRIGGERED: Final = """SELECT EXISTS (SELECT FROM pg_trigger
  WHERE tgrelid = to_regclass('public.' || quote_ident($1)) AND NOT tgisinternal
    AND tgtype & 7 = 7)"""


async def find_unfilled_columns(url: str) -> dict[str, str]:
    """Return words for each table whose new rows lack what must be filled, by table."""
    async with open_connection(url) as connection:
        columns = {
            table.name: [column.name for column in table.columns]
            for table in SQLModel.metadata.sorted_tables
        }
        candidates = {
            name: await _unknown_columns(connection, name, names) for name, names in columns.items()
        }
        if not any(candidates.values()):
            return {}
        schema = await read_snapshot(connection)
        trial = connection.transaction()
        await trial.start()
        try:
            await connection.execute(_LIMITS)
            return await _try_tables(connection, schema, columns, candidates)
        finally:
            await trial.rollback()


async def _unknown_columns(
    connection: asyncpg.Connection, table: str, names: Sequence[str]
) -> list[asyncpg.Record]:
    return await connection.fetch(_UNKNOWN, table, names)


async def _try_tables(
    connection: asyncpg.Connection,
    schema: Snapshot,
    columns: dict[str, list[str]],
    candidates: dict[str, list[asyncpg.Record]],
) -> dict[str, str]:
    """Insert parents before children, so that a child of an empty database has its parent."""
    refused_tables = {}
    for table, names in columns.items():
        if table not in schema.tables:
            continue
        there = [name for name in names if name in schema.tables[table].columns]
        if words := await _try_insert(connection, schema, table, there, candidates[table]):
            refused_tables[table] = words
    return refused_tables


async def _try_insert(
    connection: asyncpg.Connection,
    schema: Snapshot,
    table: str,
    names: list[str],
    candidates: list[asyncpg.Record],
) -> str | None:
    required = [row["name"] for row in candidates if row["required"]]
    if required and not await connection.fetchval(_TRIGGERED, table):
        return _lacks(required)  # nothing could fill them
    rows = Rows(schema, table, names)
    try:
        async with connection.transaction():
            await rows.look(connection)
            if not candidates and not rows.empty:
                return None  # there is a parent for those that are tried
            place = await connection.fetchval(rows.insert())
    except asyncpg.PostgresError as error:
        raise_if_server_fault(error)
        return _words(error, required) if candidates else None
    return None if place or not candidates else "a trigger takes its new rows away"


def _words(error: asyncpg.PostgresError, required: list[str]) -> str:
    column: Any = getattr(error, "column_name", None)
    if isinstance(error, asyncpg.NotNullViolationError) and column in required:
        return _lacks([column])
    return f"a new row as this image writes it is refused: {str(error).partition(chr(10))[0]}"


def _lacks(columns: Sequence[str]) -> str:
    return f"must be filled and is not known to it: {', '.join(columns)}"

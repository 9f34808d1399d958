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
    tables = SQLModel.metadata.sorted_tables
    columns = {table.name: [column.name for column in table.columns] for table in tables}
    async with open_connection(url) as connection:
        candidates = {
            name: await connection.fetch(_UNKNOWN, name, names) for name, names in columns.items()
        }
        if not any(candidates.values()):
            return {}
        schema = await read_snapshot(connection)
        trial = connection.transaction()
        await trial.start()
        try:
            await connection.execute(_LIMITS)
            refused_tables = {}
            # Parents before children, so that a child of an empty database has its parent.
            for name in [name for name in columns if name in schema.tables]:
                there = [each for each in columns[name] if each in schema.tables[name].columns]
                rows = Rows(schema, name, there)
                if words := await _try_insert(connection, rows, candidates[name]):
                    refused_tables[name] = words
            return refused_tables
        finally:
            await trial.rollback()


async def _try_insert(
    connection: asyncpg.Connection, rows: Rows, candidates: list[asyncpg.Record]
) -> str | None:
    required = [row["name"] for row in candidates if row["required"]]
    if required and not await connection.fetchval(_TRIGGERED, rows.table):
        return _lacks(required)  # nothing could fill them
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

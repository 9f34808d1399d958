"""What the tables hold: row counts and hashes, the same however the rows are ordered or stored.

Only columns are compared that a plan neither drops nor changes on purpose.
A row counts as its columns' texts. Times are read as instants in UTC, and numbers in their widest
type, so that a column may change from ``timestamp`` to ``timestamptz``, from ``integer`` to
``bigint`` or from ``real`` to ``double precision`` without a difference.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import asyncpg
from alembic.script import ScriptDirectory

from app.releases.migrations import revisions
from app.releases.plan.plan import Plan
from app.releases.schema.snapshot import Snapshot

Columns = dict[str, list[str]]
Contents = dict[str, tuple[int, str]]

# The record's text tells NULL, '' and 'NULL' apart. A sum does not depend on the order, and notices
# a row that came twice. Of SHA-256 it would take three times as long, and nobody forges rows here.
_HASHED: Final = """SELECT count(*) AS count, coalesce(
    sum(hashtextextended(ROW({columns})::text COLLATE "C", 0)), 0)::text AS hash
  FROM public.{table} t"""

_TYPES: Final = """SELECT quote_ident(attname) AS name, typname FROM pg_attribute
  JOIN pg_type t ON t.oid = atttypid
  WHERE attrelid = to_regclass('public.' || $1::text) AND attnum > 0 AND NOT attisdropped"""

_READ_AS: Final = {
    "timestamptz": "(t.{} AT TIME ZONE 'UTC')::text",
    "float4": "t.{}::float8::text",
}


def standing(columns: Columns, there: Snapshot) -> Columns:
    """Return those of the columns that still exist."""
    return {
        table: [name for name in names if name in there.tables[table].columns]
        for table, names in columns.items()
        if table in there.tables
    }


def lasting(columns: Columns, should: Snapshot, changing: Columns) -> Columns:
    """Return the columns that the plan neither drops nor changes on purpose."""
    return {
        table: [
            name
            for name in names
            if name not in changing.get(table, ())
            and (table not in should.tables or name in should.tables[table].columns)
        ]
        for table, names in columns.items()
    }


def changed_on_purpose(plan: Plan) -> Columns:
    """Return the columns whose values the revisions declare to change (``changes_values``)."""
    scripts = ScriptDirectory(str(revisions.FOLDER))
    changing: Columns = {}
    for name in plan.revisions:
        declared = getattr(scripts.get_revision(name).module, "changes_values", {})
        for table, columns in declared.items():
            changing.setdefault(table, []).extend(columns)
    return changing


async def read_contents(
    connection: asyncpg.Connection, tables: Mapping[str, Sequence[str]]
) -> Contents:
    """Return each table's row count and a hash of the columns given, in one pass over each.

    Names are quoted where PostgreSQL would quote them. The session's zone must be UTC, as every
    connection of ours is. Raises asyncpg.PostgresError for a column that is not there.
    """
    return {table: await _content(connection, table, columns) for table, columns in tables.items()}


def describe_changes(before: Contents, after: Contents) -> dict[str, str]:
    """Return how each table that differs does: other rows, or as many with other values."""
    return {
        table: _difference(was, after[table])
        for table, was in before.items()
        if table in after and after[table] != was
    }


def as_json(tables: Contents) -> dict[str, dict[str, int | str]]:
    """Return contents as JSON values."""
    return {table: {"rows": rows, "hash": hashed} for table, (rows, hashed) in tables.items()}


async def _content(
    connection: asyncpg.Connection, table: str, columns: Iterable[str]
) -> tuple[int, str]:
    types = {row["name"]: row["typname"] for row in await connection.fetch(_TYPES, table)}
    read = [_READ_AS.get(types.get(name, ""), "t.{}::text").format(name) for name in columns]
    query = _HASHED.format(columns=", ".join(read), table=table)
    row = await connection.fetchrow(query)
    assert row is not None
    return row["count"], row["hash"]


def _difference(was: tuple[int, str], now: tuple[int, str]) -> str:
    if was[0] == now[0]:
        return f"has {now[0]} rows as before, but other values"
    return f"had {was[0]} rows and has {now[0]}"

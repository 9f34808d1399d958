"""The older service's statements, tried on a copy of the database in a rehearsal.

They go by text keys, with every column of the schema that the first revision builds. Until the
contracts they must work on every table, whatever a release does.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from graphlib import TopologicalSorter
from typing import Any, Final

import asyncpg

from app.releases.migrations.revisions import history
from app.releases.rehearsal.probes import Failures, Probe, attempt, rolled_back
from app.releases.schema.scratch_database import expected_snapshot
from app.releases.schema.snapshot import Snapshot

_WRITING: Final = frozenset({"INSERT", "upsert", "UPDATE", "DELETE"})

KEY: Final = "id"
_SCOPE: Final = "production_id"
_FOREIGN_KEY: Final = re.compile(r"FOREIGN KEY \((\w+)\) REFERENCES (\w+)\((\w+)\)")

# The value written into a column of each type; a text names its column.
_VALUES: Final[Mapping[str, Any]] = {
    "integer": 7,
    "bigint": 1_767_225_600_000,
    "double precision": 59.94,
    "boolean": True,
    "jsonb": '{"a": [1, null, "ü"]}',
    "timestamp(3) without time zone": datetime(  # noqa: DTZ001  # it writes UTC without saying so
        2026, 3, 29, 2, 30, 0, 123_000
    ),
}


@dataclass(frozen=True)
class Query:
    """One statement: what it is called in a finding, its SQL, and its parameters."""

    name: str
    sql: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Work:
    """All that it does with one row of a table; ``row`` is what must be read back."""

    table: str
    row: Mapping[str, Any]
    queries: tuple[Query, ...]
    read: Query
    delete: Query


async def make_probe(url: str, schema: Snapshot) -> Probe:
    """Return the probe of the tables in ``schema`` that have all that the first revision builds."""
    older = await expected_snapshot(url, history()[0].name)
    return partial(_try_all, _works(older, schema))


async def _try_all(tables: Sequence[Work], connection: asyncpg.Connection) -> Failures:
    """Write, list, read back and delete one row of each table; return what failed."""
    failed: Failures = {}
    async with rolled_back(connection):
        for work in tables:
            for query in work.queries:
                key = (work.table, query.name)
                await attempt(connection, failed, key, partial(_run, query))
            key = (work.table, work.read.name)
            await attempt(connection, failed, key, partial(_read_back, work))
        for work in reversed(tables):
            key = (work.table, work.delete.name)
            await attempt(connection, failed, key, partial(_run, work.delete))
    return failed


async def _run(query: Query, connection: asyncpg.Connection) -> None:
    sql = f"{query.sql} RETURNING 1" if query.name in _WRITING else query.sql
    if not await connection.fetch(sql, *query.values):
        raise asyncpg.InterfaceError("it found nothing")


async def _read_back(work: Work, connection: asyncpg.Connection) -> None:
    row = await connection.fetchrow(work.read.sql, *work.read.values)
    pairs = zip(work.row.items(), row or (), strict=False)
    changed = [name for (name, value), stored in pairs if value != stored]
    if row is None or changed:
        raise asyncpg.InterfaceError(f"what was written reads otherwise: {', '.join(changed)}")


def _works(older: Snapshot, there: Snapshot) -> list[Work]:
    """Return its work on each table that still has all older columns, parents before children.

    ``older`` is its own schema, ``there`` the one that stands now.
    """
    standing = {
        name
        for name, table in older.tables.items()
        if name in there.tables and table.columns.keys() <= there.tables[name].columns.keys()
    }
    order = TopologicalSorter({name: _parents(older, name).values() for name in older.tables})
    return [_work(older, name) for name in order.static_order() if name in standing]


def _parents(older: Snapshot, table: str) -> dict[str, str]:
    """Return the parent table of each column that refers to one."""
    keys = older.tables[table].constraints_of("foreign key").values()
    matches = [_FOREIGN_KEY.match(key.definition) for key in keys]
    return {match[1]: match[2] for match in matches if match}


def _work(older: Snapshot, table: str) -> Work:
    row = _row(older, table)
    columns, values = ", ".join(row), tuple(row.values())
    places = ", ".join(f"${place}" for place in range(1, len(row) + 1))
    assignments = ", ".join(f"{name} = excluded.{name}" for name in row)
    changed = ", ".join(f"{name} = ${place}" for place, name in enumerate(row, 1))
    insert = f"INSERT INTO {table} ({columns}) VALUES ({places})"
    key = row[KEY]
    return Work(
        table=table,
        row=row,
        queries=(
            Query("INSERT", insert, values),
            Query("upsert", f"{insert} ON CONFLICT ({KEY}) DO UPDATE SET {assignments}", values),
            Query(
                "UPDATE", f"UPDATE {table} SET {changed} WHERE {KEY} = ${len(row) + 1}",
                (*values, key),
            ),
            *_lists(older, table, row),
        ),
        read=Query("SELECT", f"SELECT {columns} FROM {table} WHERE {KEY} = $1", (key,)),
        delete=Query("DELETE", f"DELETE FROM {table} WHERE {KEY} = $1", (key,)),
    )  # fmt: skip


def _row(older: Snapshot, table: str) -> dict[str, Any]:
    parents = {KEY: table} | _parents(older, table)
    row: dict[str, Any] = {}
    for name, column in older.tables[table].columns.items():
        if name in parents:
            row[name] = f"rehearsed in {parents[name]}"
        elif column.type in older.enums:
            row[name] = older.enums[column.type][0]
        else:
            row[name] = _VALUES.get(column.type, f"text of {name}")
    return row


def _lists(older: Snapshot, table: str, row: Mapping[str, Any]) -> Iterator[Query]:
    columns = ", ".join(f"t.{name}" for name in row)
    if _SCOPE in row:
        listed = f"SELECT {columns} FROM {table} t WHERE t.{_SCOPE} = $1 ORDER BY t.{KEY}"
        yield Query("list by production", listed, (row[_SCOPE],))
    for column, parent in _parents(older, table).items():
        others = ", ".join(f"p.{name}" for name in older.tables[parent].columns)
        joined = (
            f"SELECT {columns}, {others} FROM {table} t JOIN {parent} p ON p.{KEY} = t.{column}"
            f" WHERE t.{KEY} = $1"
        )
        yield Query(f"join with {parent}", joined, (row[KEY],))

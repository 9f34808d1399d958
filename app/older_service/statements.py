"""The older service's statements: by text keys, with every column that it has.

They are made from the schema that the first revision builds. Until the contracts they must work on
every table, whatever a release does.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from graphlib import TopologicalSorter
from typing import Any, Final

from app.releases.schema.snapshot import Snapshot

KEY: Final = "id"
_SCOPE: Final = "production_id"
_FOREIGN_KEY: Final = re.compile(r"FOREIGN KEY \((\w+)\) REFERENCES (\w+)\((\w+)\)")

# The value written into a column of each type; a text names its column.
_WRITES: Final[Mapping[str, Any]] = {
    "integer": 7,
    "bigint": 1_767_225_600_000,
    "double precision": 59.94,
    "boolean": True,
    "jsonb": '{"a": [1, null, "ü"]}',
    "timestamp(3) without time zone": datetime(2026, 3, 29, 2, 30, 0, 123_000),  # noqa: DTZ001  # it writes UTC without saying so
}


@dataclass(frozen=True)
class Query:
    """One statement: what it is called in a finding, its SQL, and its parameters."""

    name: str
    sql: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Work:
    """Everything it does with one row of a table; ``row`` is what must be read back."""

    table: str
    row: Mapping[str, Any]
    writes: tuple[Query, ...]
    read: Query
    lists: tuple[Query, ...]
    delete: Query


def works(older: Snapshot, there: Snapshot) -> list[Work]:
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
        writes=(
            Query("INSERT", insert, values),
            Query("upsert", f"{insert} ON CONFLICT ({KEY}) DO UPDATE SET {assignments}", values),
            Query(
                "UPDATE", f"UPDATE {table} SET {changed} WHERE {KEY} = ${len(row) + 1}",
                (*values, key),
            ),
        ),
        read=Query("SELECT", f"SELECT {columns} FROM {table} WHERE {KEY} = $1", (key,)),
        lists=tuple(_lists(older, table, row)),
        delete=Query("DELETE", f"DELETE FROM {table} WHERE {KEY} = $1", (key,)),
    )  # fmt: skip


def _row(older: Snapshot, table: str) -> dict[str, Any]:
    parents = _parents(older, table)
    return {
        name: _key(parents[name]) if name in parents else _value(older, table, name, column.type)
        for name, column in older.tables[table].columns.items()
    }


def _value(older: Snapshot, table: str, name: str, kind: str) -> Any:
    if name == KEY:
        return _key(table)
    return older.enums[kind][0] if kind in older.enums else _WRITES.get(kind, f"text of {name}")


def _key(table: str) -> str:
    return f"rehearsed in {table}"


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

"""SQL that inserts a row like an existing one under a new key, made from the catalogue."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import asyncpg

from app.releases.schema.snapshot import Snapshot
from app.releases.sql.effects import foreign_key

# One row for each unique index and column: where a clone must differ.
_UNIQUE: Final = """SELECT indexrelid::text AS index, quote_ident(attname) AS name,
    EXISTS (SELECT FROM pg_constraint WHERE conrelid = indrelid AND contype = 'f'
      AND attnum = ANY(conkey)) AS refers
  FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY(indkey)
  WHERE indrelid = to_regclass('public.' || $1::text) AND indisunique"""

# A write notes the place (``ctid``) of its row for the next one in its transaction. A trigger may
# swallow the row: then there is none.
_NOTING: Final = "RETURNING set_config('probe.place', ctid::text, true)"
_AT_PLACE: Final = "WHERE ctid = nullif(current_setting('probe.place', true), '')::tid"
_NEXT: Final = "(SELECT max({0}) + 1 FROM {1})"
_FRESH: Final[Mapping[str, str]] = {
    "text": "'rehearsed ' || gen_random_uuid()",
    "character": "gen_random_uuid()::text",
    "uuid": "gen_random_uuid()",
    **dict.fromkeys(("smallint", "integer", "bigint", "numeric"), _NEXT),
    "timestamp": "clock_timestamp()",
    "bytea": "uuid_send(gen_random_uuid())",
}
# For a row of a table that has none.
_FIRST: Final[Mapping[str, str]] = {
    **dict.fromkeys(("smallint", "integer", "bigint", "numeric", "real", "double"), "1"),
    "text": "'rehearsed'",
    "character": "'r'",
    "boolean": "false",
    "timestamp": "clock_timestamp()",
    "date": "CURRENT_DATE",
    "json": "'{}'",
    "jsonb": "'{}'",
    "uuid": "gen_random_uuid()",
    "bytea": "''",
}


class Rows:
    """Statements on one table: its columns as they were when the statements were written."""

    def __init__(self, schema: Snapshot, table: str, columns: Sequence[str]) -> None:
        self.table = table
        self._name = f"public.{table}"
        self._schema, self._table = schema, schema.tables[table]
        self._read = columns
        kinds = self._table.columns
        self._writable = [
            n for n in columns if not kinds[n].generated and kinds[n].identity != "ALWAYS"
        ]
        self._fresh: set[str] = set()
        self.empty = False

    async def look(self, connection: asyncpg.Connection) -> None:
        """Read which columns a new row must differ in, and whether there is a row to copy."""
        self.empty = not await connection.fetchval(f"SELECT EXISTS (SELECT FROM {self._name})")
        indexes: dict[str, list[tuple[bool, str]]] = {}
        for row in await connection.fetch(_UNIQUE, self.table):
            indexes.setdefault(row["index"], []).append((row["refers"], row["name"]))
        for members in indexes.values():
            able = [name for _, name in sorted(members) if name in self._read and self._new(name)]
            if all(name in self._writable for _, name in members) and able:
                self._fresh.add(able[0])

    def select(self) -> str:
        """Return the SQL that reads some row by every column."""
        return f"SELECT {', '.join(self._read)} FROM {self._name} LIMIT 1"

    def insert(self) -> str:
        """Return the SQL that inserts a row, and notes and returns its place."""
        values = ", ".join(self._value(name) for name in self._writable)
        source = "" if self.empty else f" FROM {self._name} t LIMIT 1"
        columns = ", ".join(self._writable)
        return f"INSERT INTO {self._name} ({columns}) SELECT {values}{source} {_NOTING}"

    def update(self) -> str:
        """Return the SQL that writes every column of the row that was noted, and notes it anew."""
        values = ", ".join(f"{name} = {name}" for name in self._writable)
        return f"UPDATE {self._name} SET {values} {_AT_PLACE} {_NOTING}"

    def delete(self) -> str:
        """Return the SQL that deletes the row that was noted."""
        return f"DELETE FROM {self._name} {_AT_PLACE}"

    def _value(self, name: str) -> str:
        if self.empty:
            return self._first(name)
        return self._new(name) if name in self._fresh else f"t.{name}"

    def _new(self, name: str) -> str:
        kind = self._table.columns[name].type
        value = _FRESH.get(_plain(kind))
        return f"({value.format(name, self._name)})::{kind}" if value else ""

    def _first(self, name: str) -> str:
        column = self._table.columns[name]
        if parent := self._parent(name):
            return parent
        if column.default or not column.not_null:
            return column.default or "NULL"
        if column.type in self._schema.enums:
            return f"(enum_range(NULL::{column.type}))[1]"
        value = _FIRST.get(_plain(column.type))
        return f"({value})::{column.type}" if value else "NULL"

    def _parent(self, name: str) -> str:
        for key in self._table.constraints_of("foreign key").values():
            own, parent, columns = foreign_key(key.definition)
            if own == [name] and len(columns) == 1:
                return f"(SELECT {columns[0]} FROM {parent} LIMIT 1)"
        return ""


def _plain(kind: str) -> str:
    """Return the first word of a type: "character varying(64)" is filled like "character"."""
    return re.split(r"[ (]", kind)[0]

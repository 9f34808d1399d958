"""The rows that an older writer had acknowledged, and whether the database still holds them."""

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import asyncpg

from tests import legacy
from tests.older_rows import INSTALLATION
from tests.older_service import LINKS

Values = dict[str, Any]
_GOES_ALONG: Final = {
    "source_outputs", "equipment_cards", "equipment_io_ports", "equipment_card_io",
}  # fmt: skip
"""Children that are deleted with a parent other than the production. Others lose their link."""
_OWNED: Final = {
    "source_outputs": ("source_id", "sources"),
    "equipment_cards": ("equipment_id", "equipment_specs"),
    "equipment_io_ports": ("equipment_id", "equipment_specs"),
    "equipment_card_io": ("card_id", "equipment_cards"),
}
"""Tables whose rows are found by a parent other than the production."""


class Journal:
    """The rows of one writer as they must be; deletes and renames cascade as in the database."""

    def __init__(self) -> None:
        self.rows: defaultdict[str, dict[str, Values]] = defaultdict(dict)
        self.acknowledged = 0

    def wrote(self, table: str, key: str, values: Values) -> None:
        """Record an insert, an upsert or an update."""
        self.acknowledged += 1
        self.rows[table].setdefault(key, {}).update(values)

    def renamed(self, table: str, key: str, new: str) -> None:
        """Record a new key; children follow."""
        self.acknowledged += 1
        self.rows[table][new] = self.rows[table].pop(key) | {"id": new}
        for _, link, row in self._children(table, key):
            row[link] = new

    def deleted(self, table: str, key: str) -> None:
        """Record a delete: parts go too, other children lose their link to the row."""
        self.acknowledged += 1
        self._delete(table, key)

    def _delete(self, table: str, key: str) -> None:
        del self.rows[table][key]
        for child, link, row in list(self._children(table, key)):
            if child in _GOES_ALONG or table == "productions":
                self._delete(child, row["id"])
            else:
                row[link] = None

    def _children(self, table: str, key: str) -> Iterator[tuple[str, str, Values]]:
        for child, stem, parent in LINKS:
            if parent == table:
                for row in self.rows[child].values():
                    if row.get(f"{stem}_id") == key:
                        yield child, f"{stem}_id", row

    async def faults(self, connection: asyncpg.Connection) -> list[str]:
        """Compare every row, value by value, and return what is lost, wrong or too much."""
        faults: list[str] = []
        now = await legacy.columns(connection)
        for table, rows in self.rows.items():
            there = await self._there(connection, table, now[table])
            faults += [f"{table} {key!r} is lost" for key in rows.keys() - there.keys()]
            faults += [f"{table} {key!r} is too much" for key in there.keys() - rows.keys()]
            for key in rows.keys() & there.keys():
                faults += _apart(f"{table} {key!r}", rows[key], there[key])
        return faults

    async def _there(
        self, connection: asyncpg.Connection, table: str, now: dict[str, str]
    ) -> dict[str, Values]:
        """Read this writer's rows; a text key that was dropped is read through its uuid."""
        names_written = {name for row in self.rows[table].values() for name in row} | {"id"}
        names = sorted(names_written & (now.keys() | legacy.SUCCEEDED.keys()))
        chosen = ", ".join(
            f"{f't.{name}' if name in now else legacy.SUCCEEDED[name]} AS {name}" for name in names
        )
        owner, owners = self._owners(table)
        rows = await connection.fetch(
            f"SELECT * FROM (SELECT {chosen} FROM {table} t) r WHERE r.{owner} = ANY($1)", owners
        )
        assert len({row["id"] for row in rows}) == len(rows), f"{table}: a label twice"
        return {
            row["id"]: {name: _plain(row[name], now.get(name)) for name in names} for row in rows
        }

    def _owners(self, table: str) -> tuple[str, list[str]]:
        """Return the column by which a writer's rows are found, and its values."""
        if table in ("productions", *INSTALLATION) and table not in _OWNED:
            return "id", list(self.rows[table])
        link, parent = _OWNED.get(table, ("production_id", "productions"))
        return link, list(self.rows[parent])


def _plain(value: Any, kind: str | None) -> Any:
    if isinstance(value, datetime) and value.tzinfo:
        return value.astimezone(UTC).replace(tzinfo=None)
    return json.loads(value) if kind == "jsonb" and value is not None else value


def _apart(place: str, expected: Values, there: Values) -> Iterator[str]:
    for name in expected.keys() & there.keys():
        if expected[name] != there[name]:
            yield f"{place}: {name} is {there[name]!r}, and {expected[name]!r} was written"

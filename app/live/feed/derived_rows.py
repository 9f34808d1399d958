"""Rows that were not written but read differently, since what they name got another label.

Which rows show a label of another one, the declarations say: references, places that name a device
of any type, and the production, whose label all its rows carry. A deleted device keeps its label,
and what a delete clears has entries of its own. One that is restored under another label, or made
with a uuid that an older row names already, is as good as renamed.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from uuid import UUID

from pydantic_core import from_json

from app.database.database import Database, DatabaseConnection
from app.entities import discovered, root
from app.live.feed.entries import Derived, FeedEntry
from app.model.entity import Entity, Row
from app.sql.projection import live, projection, table
from app.sql.reads import statements
from app.sql.registry import statement


@dataclass(frozen=True)
class Pointer:
    """A field by which rows of one type name rows of another: of ``collection``, or of any type."""

    entity: type[Row]
    field: str
    collection: str | None

    @property
    def sql(self) -> str:
        """The live rows of production $1 whose field holds one of the uuids $2."""
        own = table(self.entity)
        named = f"{own}.production_uuid = $1 AND {own}.{self.field} = ANY($2::uuid[])"
        rows = projection(self.entity, f"{named} AND {live(self.entity)}")
        return f"SELECT row_to_json(entity) AS body FROM ({rows}) AS entity"


@cache
def pointers() -> tuple[Pointer, ...]:
    """Give every field whose row shows the label of what it names."""
    kept = [entity for entity in discovered().values() if issubclass(entity, Entity)]
    references = [
        Pointer(entity, field, reference.collection)
        for entity in kept
        for field, reference in entity.references().items()
    ]
    ends = [
        Pointer(entity, end.uuid, None)
        for entity in kept
        for end in entity.device_references
        if end.uuid
    ]
    return (*references, *ends)


for _pointer in pointers():
    statement(_pointer.sql)


async def with_derived(
    database: Database, production: UUID, entries: Sequence[FeedEntry]
) -> Sequence[FeedEntry]:
    """Give the entries of a page, those that changed labels with the rows that show them.

    The rows are as they are now, which may be later than the entry; of several entries that change
    what one row shows, the last has it. Raises what the database does.
    """
    labelled = {entry.entity: entry for entry in entries if _labels(entry)}
    if not labelled:
        return entries
    found: dict[int, dict[str, Derived]] = defaultdict(dict)
    async with database.connection() as connection:
        for entry in labelled.values():
            if entry.collection == root().collection and _again(entry):
                rows = await _whole(connection, production)
                found[entry.seq] |= {derived.uuid: derived for derived in rows}
        for pointer in pointers():
            named = [e for e in labelled.values() if _may_be_named(pointer, e)]
            for seq, derived in await _pointing(connection, production, pointer, named):
                found[seq][derived.uuid] = derived
    return [
        replace(entry, derived=tuple(found[entry.seq].values())) if entry.seq in found else entry
        for entry in entries
    ]


def _labels(entry: FeedEntry) -> bool:
    return "id" in entry.changes and entry.operation != "DELETE"


def _again(entry: FeedEntry) -> bool:
    """Tell whether the row was there before: a restored one is logged as created."""
    return entry.operation != "CREATE" or "isDeleted" in entry.changes


def _may_be_named(pointer: Pointer, entry: FeedEntry) -> bool:
    if pointer.collection is None:
        return entry.collection != root().collection
    return pointer.collection == entry.collection and _again(entry)


async def _pointing(
    connection: DatabaseConnection, production: UUID, pointer: Pointer, named: Sequence[FeedEntry]
) -> Iterable[tuple[int, Derived]]:
    if not named:
        return []
    seqs = {entry.entity: entry.seq for entry in named}
    rows = await connection.fetch(pointer.sql, production, [UUID(uuid) for uuid in seqs])
    bodies = [from_json(row["body"]) for row in rows]
    member = pointer.entity.wire(pointer.field)
    return [(seqs[body[member]], _derived(pointer.entity, body)) for body in bodies]


async def _whole(connection: DatabaseConnection, production: UUID) -> list[Derived]:
    """Give every live row of the production."""
    found = []
    for entity in discovered().values():
        if issubclass(entity, Entity):
            rows = from_json(await connection.fetchval(statements(entity).list, production))
            found += [_derived(entity, body) for body in rows]
    return found


def _derived(entity: type[Row], body: Mapping[str, Any]) -> Derived:
    return Derived(entity.collection, entity.entity_type, body["uuid"], body)

"""Derived rows: rows that were not written, but show the label of a row that has a new one.

The declarations say which rows show another row's label: those with a reference to it, those that
name a device of any type, those that name a part (a source's output), and all rows of a production,
which show its label. A deleted device
stays under its label, and what a delete clears has entries of its own. A row that is restored under
another label counts as renamed, and so does a new row with a uuid that an older row names already.
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
from app.model.secret_fields import public
from app.sql.projection import live, projection, table
from app.sql.reads import statements
from app.sql.registry import statement


@dataclass(frozen=True)
class Pointer:
    """A field that names rows: of ``collection``, or of any type if that is None.

    With ``parts`` it names elements of that list of theirs.
    """

    entity: type[Row]
    field: str
    collection: str | None
    parts: str = ""

    @property
    def sql(self) -> str:
        """The live rows of production $1 whose field holds one of the uuids $2."""
        own = table(self.entity)
        matches = f"{own}.production_uuid = $1 AND {own}.{self.field} = ANY($2::uuid[])"
        rows = projection(self.entity, f"{matches} AND {live(self.entity)}")
        return f"SELECT row_to_json(entity) AS body FROM ({rows}) AS entity"


@cache
def pointers() -> tuple[Pointer, ...]:
    """Return every field whose row shows the label of the row that it names."""
    entities = [entity for entity in discovered().values() if issubclass(entity, Entity)]
    references = [
        Pointer(entity, field, reference.collection)
        for entity in entities
        for field, reference in entity.references().items()
    ]
    devices = [
        Pointer(entity, device.uuid, None)
        for entity in entities
        for device in entity.device_references
    ]
    parts = [
        Pointer(entity, field, entity.references()[part.reference].collection, part.parts)
        for entity in entities
        for field, part in entity.part_references.items()
    ]
    return (*references, *devices, *parts)


for _pointer in pointers():
    statement(_pointer.sql)


async def with_derived(
    database: Database, production: UUID, entries: Sequence[FeedEntry]
) -> Sequence[FeedEntry]:
    """Return the entries of a page; those that changed a label get the rows that show it.

    The rows are as they are now, which may be later than the entry. If several entries change what
    one row shows, the last entry gets it. Raises what the database does.
    """
    relabelling = [
        entry
        for entry in entries
        if entry.operation != "DELETE"
        and not entry.changes.keys().isdisjoint({"id", *_lists(entry)})
    ]
    if not relabelling:
        return entries
    derived: dict[int, dict[str, Derived]] = defaultdict(dict)
    async with database.connection() as connection:
        of_show = [
            entry
            for entry in relabelling
            if "id" in entry.changes
            and entry.collection == root().collection
            and _existed_before(entry)
        ]
        for entry in of_show[-1:]:
            rows = await _all_rows(connection, production)
            derived[entry.seq] |= {row.uuid: row for row in rows}
        for pointer in pointers():
            seqs = {
                uuid: entry.seq
                for entry in relabelling
                if _may_be_named(pointer, entry)
                for uuid in _renamed(pointer, entry)
            }
            for seq, row in await _rows_naming(connection, production, pointer, seqs):
                derived[seq][row.uuid] = row
    return [replace(entry, derived=tuple(derived[entry.seq].values())) for entry in entries]


def _lists(entry: FeedEntry) -> Iterable[str]:
    kind = discovered().get(entry.collection)
    return kind.parts if kind else ()


def _renamed(pointer: Pointer, entry: FeedEntry) -> Iterable[str]:
    """Return the uuids of what has another label since an entry: the row's, or its parts'."""
    if not pointer.parts:
        return [entry.entity] if "id" in entry.changes else []
    pair = [elements or [] for elements in entry.changes.get(pointer.parts, ())]
    before, after = ({e["uuid"]: e["id"] for e in elements} for elements in pair or ([], []))
    return [uuid for uuid in {**before, **after} if before.get(uuid) != after.get(uuid)]


def _existed_before(entry: FeedEntry) -> bool:
    """Return whether the row is not new: a restored one is logged as created."""
    return entry.operation != "CREATE" or "isDeleted" in entry.changes


def _may_be_named(pointer: Pointer, entry: FeedEntry) -> bool:
    if pointer.collection is None:
        return entry.collection != root().collection
    return pointer.collection == entry.collection and _existed_before(entry)


async def _rows_naming(
    connection: DatabaseConnection, production: UUID, pointer: Pointer, seqs: Mapping[str, int]
) -> Iterable[tuple[int, Derived]]:
    if not seqs:
        return []
    rows = await connection.fetch(pointer.sql, production, [UUID(uuid) for uuid in seqs])
    bodies = [from_json(row["body"]) for row in rows]
    member = pointer.entity.wire(pointer.field)
    return [(seqs[body[member]], _derived(pointer.entity, body)) for body in bodies]


async def _all_rows(connection: DatabaseConnection, production: UUID) -> list[Derived]:
    """Return every live row of the production."""
    derived: list[Derived] = []
    for entity in discovered().values():
        if issubclass(entity, Entity):
            rows = from_json(await connection.fetchval(statements(entity).list, production))
            derived += [_derived(entity, body) for body in rows]
    return derived


def _derived(entity: type[Row], body: Mapping[str, Any]) -> Derived:
    row = public(entity, body)
    return Derived(entity.collection, entity.entity_type, body["uuid"], row)

"""The whole list of what a device owns, read and written at once: its ports.

A row of the list is one that is there by its uuid, else by what the declaration calls the same.
What the list leaves out is deleted, but for what another row of the show names: that is marked.
"""

from collections import defaultdict, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from pydantic_core import from_json

from app.changelog.log import Actor
from app.database.database import Database, DatabaseConnection
from app.entities import discovered
from app.errors import Invalid, NotFound
from app.installation.formats import format_of
from app.model.entity import LABEL_NUMBER, LABEL_PREFIX, DeviceReference, Entity, Row
from app.model.schemas import known_uuid, update_schema
from app.rules.merge import Start
from app.sql.projection import all_devices, live, projection, table
from app.sql.registry import statements_of_entities
from app.store.create import create_in
from app.store.delete import delete
from app.store.edit import Edit, creation_from, edit_from
from app.store.history import RestoreBody, restore
from app.store.many_writes import lock_production
from app.store.owned_rows import owner_of
from app.store.update import update
from app.store.write_context import StoredRow, WriteContext

Members = Mapping[str, Any]
FORMAT: Final = 'entity."formatUuid"'
UNLISTED: Final = "is_unlisted"
"""The field that marks a row which the last list left out though another row names it."""


@dataclass(frozen=True)
class ListStatements:
    """The statements of a type that devices own; $1 is the device's uuid.

    $2 are the productions to look into, NULL for all; of ``device`` it is one.
    """

    whole: Mapping[str, str]
    """``list``: the live rows as JSON, inputs first, in the order of their labels. ``used``: the
    uuids of those that another row names. ``device``: its label in production $2."""


@statements_of_entities
def list_statements(entity: type[Row]) -> ListStatements:
    """Return the statements of a type; none where no device owns its rows."""
    owner, own = owner_of(entity), table(entity)
    if owner is None:
        return ListStatements({})
    order = f" ORDER BY direction, {LABEL_PREFIX}, {LABEL_NUMBER}, id, uuid".replace(
        "(id", f"({own}.id"
    )
    # Clients make uuids: a device of another production may have the same.
    within = f"($2::uuid[] IS NULL OR {own}.production_uuid = ANY ($2))"
    condition = f"{own}.{owner.uuid} = $1 AND {within} AND {live(entity)}"
    rows = projection(entity, condition, order=order)
    devices = all_devices("id, uuid, production_uuid, is_deleted", owner.likely)
    return ListStatements({
        "list": "SELECT coalesce(json_agg(row_to_json(owned)), '[]') FROM (SELECT entity.*, "
        f"{format_of(FORMAT)} AS format FROM ({rows}) AS entity) AS owned",
        "used": f"SELECT uuid FROM {own} WHERE {owner.uuid} = $1 AND {within} "
        f"AND NOT is_deleted AND ({' OR '.join(_uses(own, owner))})",
        "device": f"SELECT id FROM ({devices}) AS device WHERE uuid = $1 AND production_uuid = $2 "
        "AND NOT is_deleted LIMIT 1",
    })  # fmt: skip


def _uses(own: str, owner: DeviceReference) -> Iterator[str]:
    """Yield the conditions under which a row of another type names one of these rows."""
    for other in discovered().values():
        names = [
            f"{own}.direction = '{name.direction}' AND other.{name.device} = {own}.{owner.uuid} "
            f"AND other.{field} IN ({own}.id, {own}.port_label, {own}.uuid::text)"
            for field, name in other.port_names.items()
        ]
        names += [
            f"EXISTS (SELECT FROM {parts.model.__tablename__} AS leg WHERE leg.{parts.owner} = "
            f"other.uuid AND {own}.uuid IN (leg.from_port_uuid, leg.to_port_uuid))"
            for parts in other.parts.values()
            if parts.is_path
        ]
        if names:
            yield (
                f"EXISTS (SELECT FROM {table(other)} AS other WHERE other.production_uuid = "
                f"{own}.production_uuid AND NOT other.is_deleted AND ({' OR '.join(names)}))"
            )


async def read_list(
    database: Database, entity: type[Row], device: str, shows: Collection[UUID] | None = None
) -> bytes:
    """Return what a device owns, in some productions or in all, as a JSON array."""
    uuid = known_uuid(device)
    if uuid is None:
        return b"[]"
    own = None if shows is None else list(shows)
    row = await database.row(list_statements(entity).whole["list"], uuid, own)
    return bytes(row[0]) if row else b"[]"


async def write_list(
    context: WriteContext, entity: type[Entity], device: str, production: str,
    items: Sequence[Members], actor: Actor,
) -> bytes:  # fmt: skip
    """Make the items the whole list of what a device owns; return it as JSON.

    All of it or nothing. Raises NotFound for the production and the device, and for an item what a
    create or an update of it raises, an Invalid with the item's place.
    """
    show = await lock_production(context, production)
    owner = await _find_device(context.connection, entity, device, show)
    sql = list_statements(entity).whole
    own = [show.uuid]
    before = from_json(await context.connection.fetchval(sql["list"], owner, own))
    writer = _ListWriter(context, entity, show, owner, actor)
    pairs = list(match(entity, before, items))
    listed = {row["uuid"] for row, _ in pairs if row}
    left_out = [row for row in before if row["uuid"] not in listed]
    used = {str(row["uuid"]) for row in await context.connection.fetch(sql["used"], owner, own)}
    for row in left_out:
        await writer.leave_out(row, is_used=row["uuid"] in used)
    for place, (matching, item) in enumerate(pairs):
        try:
            await writer.write(matching, item)
        except Invalid as error:
            raise _at_place(error, place) from None
    body: bytes = await context.connection.fetchval(sql["list"], owner, own)
    return body


def match(
    entity: type[Row], before: Sequence[Members], items: Sequence[Members]
) -> Iterator[tuple[Members | None, Members]]:
    """Yield each item with the row that it is, each row once: by uuid, else by what is the same."""
    by_place: dict[int, Members] = {}
    keys: list[tuple[str, ...]] = [
        ("uuid",), *(tuple(map(entity.wire, names)) for names in entity.same_by),
    ]  # fmt: skip
    for names in keys:
        matched = {row["uuid"] for row in by_place.values()}
        same: dict[tuple[Any, ...], deque[Members]] = defaultdict(deque)
        for row in before:
            if row["uuid"] not in matched:
                same[tuple(row[name] for name in names)].append(row)
        for place, item in enumerate(items):
            key = tuple(item.get(name) for name in names)
            if place in by_place or not all(value and isinstance(value, str) for value in key):
                continue
            if rows := same[key]:
                by_place[place] = rows.popleft()
    return ((by_place.get(place), item) for place, item in enumerate(items))


def _at_place(error: Invalid, place: int) -> Invalid:
    faults = error.members["errors"]
    return Invalid([{**fault, "path": f"ports.{place}.{fault['path']}"} for fault in faults])


async def _find_device(
    connection: DatabaseConnection, entity: type[Row], key: str, production: StoredRow
) -> UUID:
    uuid = known_uuid(key)
    label = uuid and await connection.fetchval(
        list_statements(entity).whole["device"], uuid, production.uuid
    )
    if uuid is None or label is None:
        raise NotFound(
            f"No device of {production.label!r} has the uuid {key!r}: save the device first.",
            error="Device not found",
        )
    return uuid


@dataclass(frozen=True)
class _ListWriter:
    """Writes the rows of one device, in its locked production."""

    context: WriteContext
    entity: type[Entity]
    production: StoredRow
    device: UUID
    actor: Actor

    async def leave_out(self, row: Members, *, is_used: bool) -> None:
        """Delete a row that the list leaves out, or mark it where another row names it."""
        if not is_used:
            await delete(self.context, self.entity, row["uuid"], self.actor)
        elif not row[self.entity.wire(UNLISTED)]:
            await self._update(row["uuid"], row["version"], {UNLISTED: True})

    async def write(self, row: Members | None, item: Members) -> None:
        """Write an item as the row that it is, or as a new one. Raises what these raise."""
        if row is None:
            row = await self._deleted_row(item)
        if row is None:
            edit, _ = creation_from(
                self.entity, str(self.production.uuid), {**item, **self._owner()}, self.actor
            )
            await create_in(self.context, self.entity, self.production, edit)
            return
        edit, _ = edit_from(self.entity, update_schema(self.entity), item, self.actor)
        owner = owner_of(self.entity)
        own = {"id", owner.kind, owner.label, owner.uuid} if owner else set()
        values = {name: value for name, value in edit.values.items() if name not in own}
        await self._update(row["uuid"], row["version"], {**values, UNLISTED: False})

    def _owner(self) -> Members:
        owner = owner_of(self.entity)
        names = (owner.kind, owner.label, owner.uuid) if owner else ()
        return {"id": None} | {
            self.entity.wire(name): str(self.device) if owner and name == owner.uuid else None
            for name in names
        }

    async def _deleted_row(self, item: Members) -> Members | None:
        """Bring the row of the device back that was deleted under an item's uuid, if any."""
        uuid, owner = known_uuid(str(item.get("uuid") or "")), owner_of(self.entity)
        if uuid is None or owner is None:
            return None
        try:
            row = await self.context.read_any(self.entity, str(uuid))
        except NotFound:
            return None
        if not row.is_deleted or row.members[self.entity.wire(owner.uuid)] != str(self.device):
            return None
        body = await restore(self.context, self.entity, str(uuid), RestoreBody(), self.actor)
        members: Members = from_json(body)
        return members

    async def _update(self, uuid: str, version: int, values: Members) -> None:
        edit = Edit(values, self.actor, Start(version=version))
        await update(self.context, self.entity, uuid, edit)

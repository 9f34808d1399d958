"""Rows that live with a device, as its ports do: deleted, restored and relabelled with it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from app.changelog.log import Actor
from app.entities import device_types, discovered
from app.model.entity import DeviceReference, Row
from app.rules import labels
from app.sql.projection import all_devices, table
from app.sql.registry import statements_of_entities
from app.sql.writes import write_statements
from app.store.write_context import StoredRow, WriteContext, log_values

Follower = tuple[type[Row], UUID, str]
"""A row that follows a device: its type, its uuid, and its label from now on."""


@dataclass(frozen=True)
class OwnedStatements:
    """The statements of a type whose rows have an owner; none for any other type.

    $1 is the device's uuid and $2 the production's, but for those that set.
    """

    owned: Mapping[str, str]
    """``live``: its rows with their labels. ``dead``: those that were deleted with it. ``label``:
    the ``label`` of the device and the labels that are ``taken``. ``mark``: the rows $2 were
    deleted with the device $1. ``clear``: the row $1 is back."""


@statements_of_entities
def owned_statements(entity: type[Row]) -> OwnedStatements:
    """Return the statements of a type."""
    owner, own = owner_of(entity), table(entity)
    if owner is None:
        return OwnedStatements({})
    of_device = f"FROM {own} WHERE {owner.uuid} = $1 AND production_uuid = $2"
    devices = all_devices("id, uuid, production_uuid, is_deleted", owner.likely)
    return OwnedStatements({
        "live": f"SELECT uuid, id {of_device} AND NOT is_deleted ORDER BY created_at, uuid",
        "dead": f"SELECT uuid, id {of_device} AND is_deleted AND deleted_with_uuid = $1 "
        "ORDER BY created_at, uuid",
        "label": f"SELECT (SELECT id FROM ({devices}) AS device WHERE uuid = $1 AND "
        "production_uuid = $2 AND NOT is_deleted LIMIT 1) AS label, "
        f"ARRAY(SELECT id {of_device} AND NOT is_deleted) AS taken",
        "mark": f"UPDATE {own} SET deleted_with_uuid = $1 WHERE uuid = ANY($2::uuid[])",
        "clear": f"UPDATE {own} SET deleted_with_uuid = NULL WHERE uuid = $1",
    })  # fmt: skip


def owner_of(entity: type[Row]) -> DeviceReference | None:
    """Return the reference to the device that the rows of a type live with."""
    return next((device for device in entity.device_references if device.is_owner), None)


def owned_types() -> list[type[Row]]:
    """Return the types whose rows live with a device."""
    return [entity for entity in discovered().values() if owner_of(entity)]


async def label_of(
    context: WriteContext, entity: type[Row], production: UUID, values: Mapping[str, Any]
) -> str | None:
    """Return the next label of a device's row ("CCU 1_out_2"); None where no device owns it."""
    owner = owner_of(entity)
    if owner is None or not values.get(owner.uuid):
        return None
    sql = owned_statements(entity).owned["label"]
    device = await context.connection.fetchrow(sql, UUID(str(values[owner.uuid])), production)
    way = "in" if values.get("direction") == "INPUT" else "out"
    stem = f"{_stem(device['label'] or str(values[owner.uuid]))}{way}_"
    numbers = [labels.parse(label)[1] for label in device["taken"] if label.startswith(stem)]
    return f"{stem}{max((number or 0 for number in numbers), default=0) + 1}"


async def followers(
    context: WriteContext, entity: type[Row], row: StoredRow, label: str
) -> list[Follower]:
    """Return the rows whose label begins with that of their device, which gets another."""
    rows = await _rows(context, entity, row, "live")
    following = [each for each in rows if _follows(each, row.label)]
    if following:
        context.require_lock()
    return [_renamed(each, row.label, label) for each in following]


async def delete_with(
    context: WriteContext, entity: type[Row], row: StoredRow, actor: Actor
) -> StoredRow:
    """Delete the rows that live with a device, each logged; return it with its new seq."""
    owned_now = await _rows(context, entity, row, "live")
    for kind in owned_types():
        rows = [uuid for owned, uuid, _ in owned_now if owned is kind]
        for uuid in rows:
            context.require_lock()
            owned = await context.read(kind, str(uuid))
            await context.write(
                write_statements(kind).delete,
                owned.production, owned.seq, owned.uuid, owned.version, actor.row_value,
                *log_values({"isDeleted": [False, True]}, actor),
            )  # fmt: skip
            row = replace(row, seq=owned.seq + 1)
        if rows:
            mark = owned_statements(kind).owned["mark"]
            await context.connection.execute(mark, row.uuid, rows)
    return row


async def deleted_with(
    context: WriteContext, entity: type[Row], row: StoredRow, label: str
) -> list[Follower]:
    """Return the rows that were deleted with a device, which is back under a label.

    A row that is back itself is no longer one that its device takes with it.
    """
    if owner_of(entity):
        await context.connection.execute(owned_statements(entity).owned["clear"], row.uuid)
    dead = await _rows(context, entity, row, "dead")
    return [
        _renamed(each, row.label, label) if _follows(each, row.label) else each for each in dead
    ]


async def _rows(
    context: WriteContext, entity: type[Row], row: StoredRow, name: str
) -> list[Follower]:
    """Return what a device owns; what is no device owns nothing."""
    if entity not in device_types():
        return []
    return [
        (kind, owned["uuid"], owned["id"])
        for kind in owned_types()
        for owned in await context.connection.fetch(
            owned_statements(kind).owned[name], row.uuid, row.production
        )
    ]


def _stem(label: str) -> str:
    """Return how the labels of a device's rows begin; the way and the number need 10 characters."""
    return f"{label[:53]}_"


def _follows(follower: Follower, label: str) -> bool:
    return follower[2].startswith(_stem(label))


def _renamed(follower: Follower, before: str, after: str) -> Follower:
    kind, uuid, label = follower
    return kind, uuid, f"{_stem(after)}{label.removeprefix(_stem(before))}"

"""What a write names: references by label or uuid, and devices of any type, all of which must
live in the same production. Only what a write changes is looked up: what an older row dangles
to stays readable and does not stand in the way of editing the rest."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pydantic.alias_generators import to_camel

from app.changelog.log import FORMER_LABEL
from app.database.database import DatabaseConnection
from app.entities import discovered
from app.errors import Invalid
from app.model.entity import DeviceReference, Entity, PartReference, Reference, Row
from app.model.schemas import known_uuid, label_field
from app.sql.reads import part_lookup, statements

Values = Mapping[str, Any]


async def resolve(
    connection: DatabaseConnection,
    entity: type[Row],
    production: UUID,
    current: Values | None,
    submitted: dict[str, Any],
) -> None:
    """Turn what ``submitted`` names into uuids, in place.

    ``current`` holds the stored row's values by field, labels included; None on create. Of a
    label and a uuid for the same reference, the one that repeats what is stored is an echo of
    the client's form, and gives way to the other.

    Raises Invalid naming the member, for what is not in the production.
    """
    for field, reference in entity.references().items():
        await _resolve_reference(
            connection, entity, production, current, submitted, field, reference
        )
    for end in entity.device_references:
        await _resolve_end(connection, entity, production, current or {}, submitted, end)
    for field, named in entity.part_references.items():
        await _resolve_part(connection, entity, production, current or {}, submitted, field, named)


async def _resolve_reference(
    connection: DatabaseConnection,
    entity: type[Row],
    production: UUID,
    current: Values | None,
    submitted: dict[str, Any],
    field: str,
    reference: Reference,
) -> None:
    by_uuid, by_label = (
        _said(current, submitted, field),
        _said(current, submitted, label_field(field)),
    )
    submitted.pop(label_field(field), None)
    if by_uuid is None and by_label is None:
        submitted.pop(field, None)
        return
    target = discovered()[reference.collection]
    if by_uuid is None and by_label and current and submitted.get(field):
        linked = str(current[field])
        if await _was_called(connection, target, production, linked, by_label, label_field(field)):
            submitted.pop(field)
            return
    found = {
        await _one(connection, target, production, key, entity.wire(name))
        for name, key in ((field, by_uuid), (to_camel(label_field(field)), by_label))
        if key is not None
    }
    if len(found) > 1:
        raise Invalid.at(
            entity.wire(field), f"names another {target.noun} than the label beside it"
        )
    value = found.pop()
    submitted[field] = str(value) if value else None


async def _was_called(
    connection: DatabaseConnection,
    kind: type[Row],
    production: UUID,
    linked: str,
    label: str,
    member: str,
) -> bool:
    """Tell whether a form's label is only the one that the linked row had before a renaming.

    Raises Invalid where another live row is called that now: which of the two is meant, only the
    client knows.
    """
    if not await connection.fetchval(FORMER_LABEL, production, UUID(linked), label):
        return False
    if await lookup(connection, kind, production, label):
        words = f"{label!r} was the label of what is linked and is now another's: send the uuid"
        raise Invalid.at(to_camel(member), words)
    return True


def _said(current: Values | None, submitted: Values, name: str) -> str | None:
    """Give what the client says of a member: None for nothing, "" for unlinking."""
    if name not in submitted:
        return None
    value = submitted[name]
    if current is None:
        return value if value is None else str(value)
    return None if value == current.get(name) else str(value or "")


async def _one(
    connection: DatabaseConnection, target: type[Row], production: UUID, key: str, member: str
) -> UUID | None:
    """Find the one live row of the production under a uuid or a label; "" is no row."""
    if key == "":
        return None
    found = await lookup(connection, target, production, key)
    if len(found) == 1:
        return found[0]
    many = f"{len(found)} rows are called {key!r}: send the uuid"
    raise Invalid.at(member, many if found else f"no {target.noun} {key!r} in this production")


async def lookup(
    connection: DatabaseConnection, target: type[Row], production: UUID, key: str
) -> list[UUID]:
    """Give the live rows of a production under a key: the uuid's, else the label's."""
    as_uuid = known_uuid(key)
    rows = await connection.fetch(
        statements(target).candidates, production, [as_uuid] if as_uuid else [], [key]
    )
    exact = [row["uuid"] for row in rows if row["uuid"] == as_uuid]
    return exact or [row["uuid"] for row in rows]


def kept_types() -> list[type[Row]]:
    """Give the types of device that live in a production."""
    return [entity for entity in discovered().values() if issubclass(entity, Entity)]


def kept_type(word: str) -> type[Row] | None:
    """Give the entity type that a word such as "SEND", "cableSnake" or "cable-snakes" means."""
    for entity in kept_types():
        names = (entity.entity_type, entity.collection, entity.event_type, *entity.path_aliases)
        if _plain(word) in {plain for name in names for plain in _spellings(name)}:
            return entity
    return None


def _spellings(name: str) -> tuple[str, str]:
    return _plain(name), _plain(name).removesuffix("s")


def _plain(word: str) -> str:
    return "".join(filter(str.isalnum, word)).lower()


async def _resolve_end(
    connection: DatabaseConnection,
    entity: type[Row],
    production: UUID,
    current: Values,
    submitted: dict[str, Any],
    end: DeviceReference,
) -> None:
    members = [m for m in (end.kind, end.label, end.uuid) if m]
    changed = {m for m in members if m in submitted and submitted[m] != current.get(m)}
    if not changed:
        return
    after = {m: submitted.get(m, current.get(m)) for m in members}
    # A label changed beside a uuid that only repeats what is stored decides; else the uuid does.
    relabelled = end.label in changed and end.uuid not in changed
    kind = kept_type(after[end.kind] or "")
    linked = submitted.get(end.uuid) if end.uuid else None
    if kind and relabelled and linked and end.kind not in changed and after[end.label]:
        named, label = str(linked), str(after[end.label])
        if await _was_called(connection, kind, production, named, label, end.label):
            submitted.pop(end.label)
            return
    if end.uuid in changed and not linked and end.label not in changed:
        submitted[end.label] = after[end.label] = None
    member = end.uuid if end.uuid and after[end.uuid] and not relabelled else end.label
    key = str(after[member] or "")
    if kind is None and member == end.label:
        found = None  # a router, a switcher: the frontend's own words
    else:
        kinds = [kind] if kind else kept_types()
        found = await _device(connection, kinds, production, key, entity.wire(member))
    if end.uuid:
        submitted[end.uuid] = str(found) if found else None


async def _device(
    connection: DatabaseConnection, kinds: list[type[Row]], production: UUID, key: str, member: str
) -> UUID | None:
    """Find the one device of these types under a key; "" is no device."""
    if len(kinds) == 1:
        return await _one(connection, kinds[0], production, key, member)
    for kind in kinds:
        if found := await lookup(connection, kind, production, key):
            return found[0]
    raise Invalid.at(member, f"no device {key!r} in this production")


async def _resolve_part(
    connection: DatabaseConnection,
    entity: type[Row],
    production: UUID,
    current: Values,
    submitted: dict[str, Any],
    field: str,
    named: PartReference,
) -> None:
    key = submitted.get(field, current.get(field))
    owner = submitted.get(named.reference, current.get(named.reference))
    echo = key == current.get(field)
    if not key or (echo and owner == current.get(named.reference)):
        return
    owners = discovered()[entity.references()[named.reference].collection]
    sql = part_lookup(owners, owners.parts[named.parts])
    if await connection.fetchval(sql, production, key, UUID(owner) if owner else None):
        return
    if echo:
        submitted[field] = None  # it was the former owner's
    else:
        where = f"of that {owners.noun}" if owner else "in this production"
        raise Invalid.at(entity.wire(field), f"{key!r} is none of the {named.parts} {where}")

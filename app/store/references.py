"""What a write names: other rows by label or uuid, all of which must be in the same production.

Only what a write changes is looked up. What an older row names in vain stays readable, and does not
stand in the way of editing the rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic.alias_generators import to_camel

from app.changelog.log import FORMER_LABEL
from app.database.database import DatabaseConnection
from app.entities import discovered
from app.errors import Invalid
from app.model.entity import DeviceReference, Entity, PartReference, Reference, Row, label_field
from app.model.schemas import known_uuid
from app.sql.reads import statements

Values = Mapping[str, Any]


async def resolve(
    connection: DatabaseConnection, entity: type[Row], production: UUID, stored: Values | None,
    values: dict[str, Any],
) -> None:  # fmt: skip
    """Turn what ``values`` name into uuids, in place.

    ``stored`` holds the row by field, labels included; None on create. Where a label and a uuid
    are sent for one reference, the one that repeats what is stored is an echo of the client's form
    and gives way to the other. Raises Invalid naming the member, for what is not in the production.
    """
    resolver = _Resolver(connection, entity, production, stored or {}, values, stored is None)
    for field, reference in entity.references().items():
        await resolver.resolve_reference(field, reference)
    for device in entity.device_references:
        await resolver.resolve_device(device)
    for field, part in entity.part_references.items():
        await resolver.resolve_part(field, part)


@dataclass(frozen=True)
class _Resolver:
    """The values of one write, and the stored row; empty where the row is new."""

    connection: DatabaseConnection
    entity: type[Row]
    production: UUID
    stored: Values
    values: dict[str, Any]
    is_new: bool

    async def resolve_reference(self, field: str, reference: Reference) -> None:
        label = label_field(field)
        by_uuid, by_label = self._key(field), self._key(label)
        self.values.pop(label, None)
        if by_uuid is None and by_label is None:
            self.values.pop(field, None)
            return
        target = discovered()[reference.collection]
        if by_uuid is None and by_label and self.stored and self.values.get(field):
            linked = str(self.stored[field])
            if await self._is_former_label(target, linked, by_label, label):
                self.values.pop(field)
                return
        keys = (self.entity.wire(field), by_uuid), (to_camel(label), by_label)
        uuids = {await self._find(target, key, name) for name, key in keys if key is not None}
        if len(uuids) > 1:
            words = f"names another {target.noun} than the label beside it"
            raise Invalid.at(self.entity.wire(field), words)
        uuid = uuids.pop()
        self.values[field] = str(uuid) if uuid else None

    def _key(self, field: str) -> str | None:
        """Return the key that the client sends: None for nothing or an echo, "" for unlinking."""
        if field not in self.values:
            return None
        value = self.values[field]
        if self.is_new:
            return value if value is None else str(value)
        return None if value == self.stored.get(field) else str(value or "")

    async def _is_former_label(self, kind: type[Row], linked: str, label: str, member: str) -> bool:
        """Return whether a form's label is only the one that the linked row had before a renaming.

        Raises Invalid where another live row has that label now: which of the two is meant, only
        the client knows.
        """
        former = FORMER_LABEL, self.production, UUID(linked), label
        if not await self.connection.fetchval(*former):
            return False
        if await find_uuids(self.connection, kind, self.production, label):
            words = f"{label!r} was the label of what is linked and is now another's: send the uuid"
            raise Invalid.at(to_camel(member), words)
        return True

    async def _find(self, target: type[Row], key: str, member: str) -> UUID | None:
        """Find the one live row of the production under a uuid or a label; "" is no row."""
        if key == "":
            return None
        uuids = await find_uuids(self.connection, target, self.production, key)
        if len(uuids) == 1:
            return uuids[0]
        many = f"{len(uuids)} rows are called {key!r}: send the uuid"
        raise Invalid.at(member, many if uuids else f"no {target.noun} {key!r} in this production")

    async def resolve_device(self, device: DeviceReference) -> None:
        kind_field, label, uuid = device.kind, device.label, device.uuid
        stored, values = self.stored, self.values
        fields = [field for field in (kind_field, label, uuid) if field]
        changed = {f for f in fields if f in values and values[f] != stored.get(f)}
        if not changed:
            return
        after = {field: values.get(field, stored.get(field)) for field in fields}
        # A label that changed beside a uuid that did not decides; else the uuid does.
        relabelled = label in changed and uuid not in changed
        kind = device_type(after[kind_field] or "")
        linked = values.get(uuid) if uuid else None
        may_be_former = relabelled and linked and kind_field not in changed and after[label]
        if (
            kind
            and may_be_former
            and await self._is_former_label(kind, str(linked), str(after[label]), label)
        ):
            values.pop(label)
            return
        if uuid in changed and not linked and label not in changed:
            values[label] = after[label] = None
        field = uuid if uuid and after[uuid] and not relabelled else label
        device_uuid = None
        # The label of a type that is not ours (a router, a switcher) is the client's own text.
        if kind or field != label:
            key = str(after[field] or "")
            device_uuid = await self._find_device(kind, key, self.entity.wire(field))
        if uuid:
            values[uuid] = str(device_uuid) if device_uuid else None

    async def _find_device(self, kind: type[Row] | None, key: str, member: str) -> UUID | None:
        """Find the one device of a type, or of any, under a key; "" is no device of a type."""
        if kind:
            return await self._find(kind, key, member)
        for entity in device_types():
            if uuids := await find_uuids(self.connection, entity, self.production, key):
                return uuids[0]
        raise Invalid.at(member, f"no device {key!r} in this production")

    async def resolve_part(self, field: str, part: PartReference) -> None:
        stored, values, owner_field = self.stored, self.values, part.reference
        key = values.get(field, stored.get(field))
        owner = values.get(owner_field, stored.get(owner_field))
        is_echo = key == stored.get(field)
        if not key or (is_echo and owner == stored.get(owner_field)):
            return
        owners = discovered()[self.entity.references()[owner_field].collection]
        sql = statements(owners).find_part[part.parts]
        arguments = self.production, key, UUID(owner) if owner else None
        if await self.connection.fetchval(sql, *arguments):
            return
        if is_echo:
            values[field] = None  # it was the former owner's
        else:
            where = f"of that {owners.noun}" if owner else "in this production"
            words = f"{key!r} is none of the {part.parts} {where}"
            raise Invalid.at(self.entity.wire(field), words)


async def find_uuids(
    connection: DatabaseConnection, target: type[Row], production: UUID, key: str
) -> list[UUID]:
    """Return the live rows of a production under a key: the uuid's, else the label's."""
    as_uuid = known_uuid(key)
    rows = await connection.fetch(
        statements(target).candidates, production, [as_uuid] if as_uuid else [], [key]
    )
    exact = [row["uuid"] for row in rows if row["uuid"] == as_uuid]
    return exact or [row["uuid"] for row in rows]


def device_types() -> list[type[Row]]:
    """Return the types of device that live in a production."""
    return [entity for entity in discovered().values() if issubclass(entity, Entity)]


def device_type(word: str) -> type[Row] | None:
    """Return the entity type that a word such as "SEND", "cableSnake" or "cable-snakes" means."""
    for entity in device_types():
        names = (entity.entity_type, entity.collection, entity.event_type, *entity.path_aliases)
        if _plain(word) in {spelling for name in names for spelling in _spellings(name)}:
            return entity
    return None


def _spellings(name: str) -> tuple[str, str]:
    return _plain(name), _plain(name).removesuffix("s")


def _plain(word: str) -> str:
    return "".join(filter(str.isalnum, word)).lower()

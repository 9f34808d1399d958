"""What a write names: other rows by label or uuid, all of which must be in the same production.

Only what a write changes is looked up. What an older row names in vain stays readable, and does not
stand in the way of editing the rest.
"""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final
from uuid import UUID

from pydantic.alias_generators import to_camel

from app.changelog.log import FORMER_LABEL
from app.database.database import DatabaseConnection
from app.entities import device_types, discovered
from app.errors import Invalid
from app.model.entity import (
    DeviceReference,
    Entity,
    PartReference,
    Reference,
    Row,
    label_field,
)
from app.model.schemas import known_uuid
from app.rules.labels import tidy_label
from app.sql.reads import statements

Values = Mapping[str, Any]
# How many labels an error names.
_NAMED: Final = 5


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
        if by_uuid is None and await self._is_former_label([target], field, label, by_label):
            self.values.pop(field, None)
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

    async def _is_former_label(
        self, kinds: Iterable[type[Row]], field: str, member: str, label: str | None
    ) -> bool:
        """Return whether a form's label is only the one that the linked row had before a renaming.

        Where another live row has that label now, a label alone means that row. Raises Invalid for
        one beside the uuid as it is stored: which of the two is meant, only the client knows.
        """
        linked = self.stored.get(field)
        if not label or not linked:
            return False
        former = FORMER_LABEL, self.production, UUID(linked), label
        if not await self.connection.fetchval(*former):
            return False
        for kind in kinds:
            if await find_uuids(self.connection, kind, self.production, label):
                if not self.values.get(field):
                    return False
                words = f"{label!r} was the label of what is linked and is now another's"
                raise Invalid.at(to_camel(member), f"{words}: send the uuid")
        return True

    async def _find(self, target: type[Row], key: str, member: str) -> UUID | None:
        """Find the one live row of the production under a uuid or a label; "" is no row."""
        if key == "":
            return None
        uuids = await find_uuids(self.connection, target, self.production, key)
        if len(uuids) == 1:
            return uuids[0]
        if uuids:
            raise Invalid.at(member, f"{len(uuids)} rows are called {key!r}: send the uuid")
        live, *_ = await self.connection.fetchrow(statements(target).labels, self.production)
        words = f"no {target.noun} {key!r} in this production: {_there_are(live)}"
        raise Invalid.at(member, words)

    async def resolve_device(self, device: DeviceReference) -> None:
        label, uuid = device.label, device.uuid
        stored, values, fields = self.stored, self.values, (device.kind, label, uuid)
        changed = {f for f in fields if f in values and values[f] != stored.get(f)}
        if not changed:
            return
        after = {field: values.get(field, stored.get(field)) for field in fields}
        word = after[device.kind] or ""
        kind = device_type(word)
        # A label that changed beside a uuid that did not decides; else the uuid does.
        relabelled = label in changed and uuid not in changed
        if relabelled and device.kind not in changed:
            kinds = [kind] if kind else device_types()
            if (kind or not word) and await self._is_former_label(kinds, uuid, label, after[label]):
                values.pop(label)
                return
        if uuid in changed and not after[uuid] and label not in changed:
            values[label] = after[label] = None
        if word and not kind and not (uuid in changed and after[uuid]):
            # The label of a type that is not ours (a router, a switcher) is the client's own text.
            values |= {uuid: None, label: after[label]}
            return
        by_uuid = after[uuid] and not relabelled
        key, member = (
            after[uuid if by_uuid else label],
            self.entity.wire(uuid if by_uuid else label),
        )
        target = await self._find_device(kind, str(key or ""), member, by_uuid=bool(by_uuid))
        values[uuid] = str(target) if target else None

    async def _find_device(
        self, kind: type[Row] | None, key: str, member: str, *, by_uuid: bool
    ) -> UUID | None:
        """Find the one device of a type, or of any, under a key; "" is no device.

        A label without a type, which is not exactly one device's, is the client's own text.
        """
        if kind or not key:
            return await self._find(kind, key, member) if kind else None
        uuids: list[UUID] = []
        for entity in device_types():
            uuids += await find_uuids(self.connection, entity, self.production, key)
            if uuids and by_uuid:
                return uuids[0]
        if by_uuid:
            raise Invalid.at(member, f"no device {key!r} in this production")
        return uuids[0] if len(uuids) == 1 else None

    async def resolve_part(self, field: str, part: PartReference) -> None:
        stored, values, label = self.stored, self.values, label_field(field)
        by_uuid, by_label = self._key(field), self._key(label)
        owner = values.get(part.reference, stored.get(part.reference))
        is_echo = by_uuid is None and by_label is None
        key = by_uuid or by_label
        if is_echo:
            values.pop(field, None)
            values.pop(label, None)
            key = stored.get(label)
            if not key or not owner or owner == stored.get(part.reference):
                return
        if not key:
            values |= {field: None, label: None}
            return
        rows = await self._find_parts(part, str(key), UUID(owner) if owner else None)
        if len(rows) == 1:
            values |= {field: str(rows[0]["uuid"]), label: rows[0]["id"]}
        elif is_echo:
            values |= {field: None, label: None}  # it was the former owner's
        else:
            member = self.entity.wire(field if by_uuid else label)
            raise Invalid.at(member, await self._no_part(part, str(key), owner, len(rows)))

    async def _find_parts(self, part: PartReference, key: str, owner: UUID | None) -> Any:
        """Return the parts under a uuid or an id; of an owner's, else those that once had the id.

        A form may still say "SRC 8-OUT1" where the source is called SRC 7 by now.
        """
        sql = statements(self._owners(part))
        rows = await self.connection.fetch(sql.find_part[part.parts], self.production, key, owner)
        if rows or owner is None:
            exact = [row for row in rows if str(row["uuid"]) == key.lower()]
            return exact or rows
        return await self.connection.fetch(sql.former_part[part.parts], self.production, owner, key)

    def _owners(self, part: PartReference) -> type[Row]:
        return discovered()[self.entity.references()[part.reference].collection]

    async def _no_part(self, part: PartReference, key: str, owner: str | None, many: int) -> str:
        owners = self._owners(part)
        where = f"of that {owners.noun}" if owner else "in this production"
        if many:
            return f"{many} of the {part.parts} {where} are called {key!r}: send the uuid"
        arguments = self.production, UUID(owner) if owner else None
        ids = await self.connection.fetchval(statements(owners).part_ids[part.parts], *arguments)
        return f"{key!r} is none of the {part.parts} {where}: {_there_are(ids)}"


def _there_are(labels: Iterable[str]) -> str:
    """Name what exists, in words for a person."""
    every = sorted(set(labels), key=lambda label: (len(label), label))
    named = ", ".join(repr(label[:64]) for label in every[:_NAMED])
    more = f" and {len(every) - _NAMED} more" if len(every) > _NAMED else ""
    return f"there are {named}{more}" if every else "there is none"


async def find_uuids(
    connection: DatabaseConnection, target: type[Row], production: UUID, key: str
) -> list[UUID]:
    """Return the live rows of a production under a key: the uuid's, else the label's.

    Where none has exactly that label, those whose label counts as the same.
    """
    as_uuid = known_uuid(key)
    rows = await connection.fetch(
        statements(target).candidates, production, [as_uuid] if as_uuid else [], [key]
    )
    if not rows and issubclass(target, Entity):
        rows = await connection.fetch(statements(target).alike, production, tidy_label(key))
    exact = [row["uuid"] for row in rows if row["uuid"] == as_uuid]
    return exact or [row["uuid"] for row in rows]


def device_type(word: str) -> type[Row] | None:
    """Return the type that a word means in any spelling: "SEND", "cableSnake", "SNAKE", "ccus"."""
    return _types_by_word().get(_plain(word))


@cache
def _types_by_word() -> Mapping[str, type[Row]]:
    types: dict[str, type[Row]] = {}
    for entity in device_types():
        names = (
            entity.entity_type, entity.collection, entity.event_type, entity.prefix, entity.noun,
            *entity.path_aliases,
        )  # fmt: skip
        for one in (_plain(name).removesuffix("s") for name in names):
            types.setdefault(one, entity)
            types.setdefault(f"{one}s", entity)
    return types


def _plain(word: str) -> str:
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", word))).casefold()

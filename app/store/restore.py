"""Brings a row back to what it was at an earlier version, or a deleted one back to life.

What it was, the change log tells. It is written as any edit is, by the same rules, logged and
numbered: nothing is ever taken out of the history.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from pydantic.alias_generators import to_camel
from pydantic_core import from_json, to_json

from app.changelog.log import Actor
from app.entities import root
from app.errors import Conflict, Invalid, LogTrimmed
from app.model.entity import Row
from app.model.schemas import known_uuid, label_field
from app.rules.merge import Start, differing
from app.sql.writes import write_statements
from app.store import parts, references
from app.store import update as store
from app.store.form_values import on_wire, refuse_unbounded
from app.store.history import history_statements
from app.store.label_assignment import assign_label, find_target
from app.store.read import find
from app.store.update import Edit
from app.store.write_context import WriteContext

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Wish:
    """Which version to restore, of it which members by wire name, and who asks.

    Without a version a deleted row comes back as it was last. Without members all are meant.
    """

    version: int | None = None
    members: Sequence[str] | None = None
    actor: Actor = field(default_factory=Actor)


@dataclass(frozen=True)
class Kept:
    """A row as it was read, deleted or not, and its production."""

    uuid: UUID
    production: UUID
    seq: int
    deleted: bool
    closed: bool
    """Whether its production is deleted."""
    body: bytes
    row: Values


async def restore(context: WriteContext, entity: type[Row], key: str, wish: Wish) -> bytes:
    """Write what differs from the wished version, log it, and give the row as JSON.

    Raises NotFound, AmbiguousId, LogTrimmed, Conflict for a row of a deleted production,
    DuplicateId (with ``suggestedId``), and Invalid for what may not be written today.
    """
    context.require_lock()
    names = _fields(entity, wish.members)
    kept = await _kept(context, entity, key)
    _refuse_partly(kept, wish)
    if entity is not root() and kept.closed:
        raise Conflict(
            f"This {entity.noun} belongs to a deleted production: restore the production "
            f"{kept.production} first."
        )
    stored = _values(entity, kept.row)
    was = await _at(context, entity, kept, wish.version)
    if kept.deleted:
        return await _undelete(context, entity, kept, {**stored, **was}, wish.actor)
    if not was:
        return kept.body
    echoes = _echoes(entity, was, stored)
    values = {name: was[name] for name in names if name in was and name not in echoes}
    edit = Edit(values, wish.actor, Start(version=kept.row["version"]))
    return await store.update(context, entity, str(kept.uuid), edit)


def _fields(entity: type[Row], members: Sequence[str] | None) -> list[str]:
    """Give the fields that members name; the label of a reference names the reference."""
    own = [*entity.editable(), *entity.parts]
    if members is None:
        return own
    named = {entity.wire(name): name for name in own}
    named |= {word: name for word, name in entity.synonyms.items() if name in own}
    named |= {to_camel(label_field(name)): name for name in entity.references()}
    for place, member in enumerate(members):
        if member not in named:
            raise Invalid.at(f"fields.{place}", f"a {entity.noun} has no such field to restore")
    return [named[member] for member in members]


async def _kept(context: WriteContext, entity: type[Row], key: str) -> Kept:
    """Read the row with a uuid, deleted or not, else the live one that a label names."""
    sql = write_statements(entity).kept

    async def read() -> Any:
        uuid = known_uuid(key)
        if uuid and (row := await context.connection.fetchrow(sql, uuid)):
            return row
        return await context.connection.fetchrow(sql, await find(context.connection, entity, key))

    found = await context.current(read)
    row = from_json(found["body"])
    context.remember_key(key, found["production"])
    return Kept(
        UUID(row["uuid"]), found["production"], found["seq"], found["deleted"], found["closed"],
        found["body"], row,
    )  # fmt: skip


def _refuse_partly(kept: Kept, wish: Wish) -> None:
    if wish.members is None:
        return
    if kept.deleted:
        raise Invalid.at("fields", "a deleted row comes back whole: leave this out")
    if wish.version is None:
        raise Invalid.at("version", "say which version these fields had")


def _values(entity: type[Row], row: Values) -> dict[str, Any]:
    """Give an answer's values by field; one from before a field was declared lacks it."""
    own = {name: entity.wire(name) for name in (*entity.editable(), *entity.parts)}
    return {name: row[wire] for name, wire in own.items() if wire in row}


async def _at(context: WriteContext, entity: type[Row], kept: Kept, version: int | None) -> Values:
    """Give the values at a version; none where that is the row's own, or not said."""
    now = kept.row["version"]
    if version is None or version == now:
        return {}
    if version > now:
        raise Invalid.at("version", f"this {entity.noun} is at version {now}")
    sql = history_statements(entity).version
    found = await context.connection.fetchrow(sql, kept.uuid, version)
    if found["entity"] is None:
        oldest = found["oldest"]
        rest = f"the oldest it holds is {oldest}" if oldest else "it holds none"
        raise LogTrimmed(
            f"The log does not hold version {version} of this {entity.noun}, {rest}: "
            "choose a version of its history.",
            oldestVersion=oldest,
            currentVersion=now,
        )
    return _values(entity, from_json(found["entity"]))


def _echoes(entity: type[Row], was: Values, stored: Values) -> set[str]:
    """Give the labels of devices that are still the same: they follow the device's own label."""
    return {
        end.label
        for end in entity.device_references
        if end.uuid
        and was.get(end.uuid)
        and all(was.get(name) == stored.get(name) for name in (end.uuid, end.kind))
    }


async def _undelete(
    context: WriteContext, entity: type[Row], kept: Kept, values: dict[str, Any], actor: Actor
) -> bytes:
    """Write a deleted row as a live one with these values, what they name looked up anew."""
    stored = _values(entity, kept.row)
    place = await find_target(context, entity, str(kept.production), values["id"], kept.uuid)
    await references.resolve(context.connection, entity, kept.production, None, values)
    values = {**dict.fromkeys(entity.references()), **values}
    # An older service's index, while it is there, also counts this row's own label.
    if not (place.everywhere and values["id"] == stored["id"]):
        values["id"] = await assign_label(context, entity, place, values["id"])
    entity.before_write(None, values)
    lists = parts.prepare(entity, values, stored, {})
    wanted = differing(stored, {**values, **lists})
    refuse_unbounded(entity, wanted)
    changed = on_wire(entity, {name: [stored.get(name), new] for name, new in wanted.items()})
    own = {name: value for name, value in wanted.items() if name not in lists}
    return await context.write(
        write_statements(entity).undelete,
        kept.production, kept.seq, kept.uuid, kept.row["version"], to_json(own), actor.row_value,
        *store.logged({"isDeleted": [True, False], **changed}, actor), list(changed),
        *(parts.rows(entity, name, kept.uuid, lists.get(name) or []) for name in entity.parts),
    )  # fmt: skip

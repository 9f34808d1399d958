"""Brings a row back to what it was at an earlier version, or a deleted one back to life.

What it was, the change log says. It is written as any edit is, by the same rules, logged and
numbered: nothing is ever taken out of the history.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field
from pydantic.alias_generators import to_camel
from pydantic_core import from_json, to_json

from app.changelog.log import Actor
from app.entities import root
from app.errors import Conflict, Invalid, LogTrimmed
from app.model.entity import Row, label_field
from app.model.schemas import DeleteBody, refuse_unbounded
from app.rules.merge import Start, differing
from app.sql.writes import write_statements
from app.store import parts, references
from app.store.edit import Edit
from app.store.history import history_statements
from app.store.label_assignment import assign_label, find_target
from app.store.update import update
from app.store.write_context import StoredRow, WriteContext, log_values

Values = Mapping[str, Any]


class RestoreBody(DeleteBody):
    """What to bring back, and who does. Without ``version`` a deleted row comes back as it was."""

    version: Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)] | None = None
    fields: Annotated[list[str], Field(min_length=1, max_length=1_000)] | None = None


async def restore(
    context: WriteContext, entity: type[Row], key: str, request: RestoreBody, actor: Actor
) -> bytes:
    """Write what differs from the version asked for, log it, and return the row as JSON.

    Raises NotFound, AmbiguousId, LogTrimmed, Conflict for a row of a deleted production,
    DuplicateId (with ``suggestedId``), and Invalid for what may not be written today.
    """
    context.require_lock()
    names = _fields(entity, request.fields)
    row = await context.read_any(entity, key)
    _refuse_partly(row, request)
    if entity is not root() and row.in_deleted_production:
        raise Conflict(
            f"This {entity.noun} belongs to a deleted production: restore the production "
            f"{row.production} first."
        )
    stored = _values(entity, row.members)
    earlier = await _values_at(context, entity, row, request.version)
    if row.is_deleted:
        return await _undelete(context, entity, row, {**stored, **earlier}, actor)
    if not earlier:
        return row.body
    echoes = _echoes(entity, earlier, stored)
    values = {name: earlier[name] for name in names if name in earlier and name not in echoes}
    edit = Edit(values, actor, Start(version=row.version))
    return await update(context, entity, str(row.uuid), edit)


def _fields(entity: type[Row], members: Sequence[str] | None) -> list[str]:
    """Return the fields that members name; the label of a reference names the reference."""
    own = [*entity.editable(), *entity.parts]
    if members is None:
        return own
    fields = {entity.wire(name): name for name in own}
    fields |= {word: name for word, name in entity.synonyms.items() if name in own}
    fields |= {to_camel(label_field(name)): name for name in entity.references()}
    for index, member in enumerate(members):
        if member not in fields:
            raise Invalid.at(f"fields.{index}", f"a {entity.noun} has no such field to restore")
    return [fields[member] for member in members]


def _refuse_partly(row: StoredRow, request: RestoreBody) -> None:
    """Raise Invalid for some members of a deleted row, or of no version."""
    if request.fields is None:
        return
    if row.is_deleted:
        raise Invalid.at("fields", "a deleted row comes back whole: leave this out")
    if request.version is None:
        raise Invalid.at("version", "say which version these fields had")


def _values(entity: type[Row], members: Values) -> dict[str, Any]:
    """Return a row's values by field; a row from before a field was declared lacks it."""
    wires = {name: entity.wire(name) for name in (*entity.editable(), *entity.parts)}
    return {name: members[wire] for name, wire in wires.items() if wire in members}


async def _values_at(
    context: WriteContext, entity: type[Row], row: StoredRow, version: int | None
) -> Values:
    """Return the values at a version; none where that is the row's own, or not said."""
    if version is None or version == row.version:
        return {}
    if version > row.version:
        raise Invalid.at("version", f"this {entity.noun} is at version {row.version}")
    sql = history_statements(entity).version
    logged = await context.connection.fetchrow(sql, row.uuid, version)
    if logged["entity"] is None:
        oldest = logged["oldest"]
        rest = f"the oldest it holds is {oldest}" if oldest else "it holds none"
        raise LogTrimmed(
            f"The log does not hold version {version} of this {entity.noun}, {rest}: "
            "choose a version of its history.",
            oldestVersion=oldest,
            currentVersion=row.version,
        )
    return _values(entity, from_json(logged["entity"]))


def _echoes(entity: type[Row], earlier: Values, stored: Values) -> set[str]:
    """Return the labels of devices that are still the same: they follow the device's own label."""
    return {
        device.label
        for device in entity.device_references
        if device.uuid
        and earlier.get(device.uuid)
        and all(earlier.get(name) == stored.get(name) for name in (device.uuid, device.kind))
    }


async def _undelete(
    context: WriteContext, entity: type[Row], row: StoredRow, values: dict[str, Any], actor: Actor
) -> bytes:
    """Write a deleted row as a live one with these values, what they name looked up again."""
    stored = _values(entity, row.members)
    target = await find_target(context, entity, str(row.production), values["id"], row.uuid)
    await references.resolve(context.connection, entity, row.production, None, values)
    values = {**dict.fromkeys(entity.references()), **values}
    # An older service's index, while it is there, also counts this row's own label.
    if not (target.everywhere and values["id"] == stored["id"]):
        values["id"] = await assign_label(context, entity, target, values["id"])
    entity.before_write(None, values)
    lists = parts.complete(entity, values, stored, {})
    new = differing(stored, {**values, **lists})
    refuse_unbounded(entity, new)
    changes = entity.on_wire({name: [stored.get(name), value] for name, value in new.items()})
    own = {name: value for name, value in new.items() if name not in lists}
    return await context.write(
        write_statements(entity).undelete,
        row.production, row.seq, row.uuid, row.version, to_json(own), actor.row_value,
        *log_values({"isDeleted": [True, False], **changes}, actor), list(changes),
        *parts.rows(entity, row.uuid, lists),
    )  # fmt: skip

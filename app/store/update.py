"""Create, update and delete any entity: the only place that writes entities.

Each reads its row and its production's change number first, decides, and writes in one statement
(``app.store.write_context`` says why that is safe). Values travel by field name in the form they
have on the wire.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from pydantic_core import from_json, to_json
from uuid_utils.compat import uuid7

from app.changelog.log import FORMER_LABEL, Actor
from app.database.database import DatabaseConnection
from app.entities import discovered, root
from app.errors import AmbiguousId, NotFound, PreconditionFailed, VersionMissing, WrongProduction
from app.model.entity import Row
from app.model.schemas import can_be_stored, known_uuid
from app.rules.etags import allows, entity_tag
from app.rules.merge import Start, merge, touched
from app.sql.reads import statements
from app.sql.writes import write_statements
from app.store import parts, references
from app.store.conflicts import changed_since, refuse
from app.store.form_values import by_field, on_wire, one_spelling, refuse_unbounded
from app.store.label_assignment import assign_label, find_target
from app.store.part_order import sorted_parts
from app.store.read import find, not_found
from app.store.write_context import WriteContext


@dataclass(frozen=True)
class Edit:
    """What a client submits: values by field, what it started from, and the row's production.

    ``alternate_values`` holds the other value of fields that were sent in both of their spellings.
    ``match`` holds the tags of which the row must have one (RFC 9110, If-Match).
    """

    values: Mapping[str, Any]
    actor: Actor = field(default_factory=Actor)
    start: Start = field(default_factory=Start)
    production: str | None = None
    uuid: UUID | None = None
    alternate_values: Mapping[str, Any] = field(default_factory=dict)
    match: bytes = b""

    @property
    def is_blind(self) -> bool:
        """Whether it says nothing of what it started from."""
        return self.start == Start() and not self.match


@dataclass(frozen=True)
class StoredRow:
    """A live row as it was read, its production, and the production's change number."""

    uuid: UUID
    production: UUID
    seq: int
    body: bytes
    row: Mapping[str, Any]


# Creating


async def create(context: WriteContext, entity: type[Row], edit: Edit) -> bytes:
    """Insert a row, log it, and give it as JSON.

    Raises ProductionNotFound, DuplicateId (with ``suggestedId``), DuplicateUuid, and Invalid for
    a reference to what is not in the production.
    """
    uuid = edit.uuid or uuid7()
    place = await find_target(context, entity, edit.production, edit.values.get("id"), uuid)
    values = dict(edit.values)
    await references.resolve(context.connection, entity, place.production, None, values)
    values["id"] = await assign_label(context, entity, place, values.get("id"))
    entity.before_write(None, values)
    await parts.forget_foreign(context.connection, entity, values)
    lists = parts.prepare(entity, values, {}, {})
    made = {name: [None, value] for name, value in {**values, **lists}.items() if value is not None}
    context.remember_key(str(uuid), place.production)
    return await context.write(
        write_statements(entity).create,
        place.production, place.seq, uuid, to_json(values), edit.actor.row_value,
        *logged(on_wire(entity, made), edit.actor),
        *(parts.rows(entity, name, uuid, lists.get(name) or []) for name in entity.parts),
    )  # fmt: skip


def logged(changed: Mapping[str, Any], actor: Actor, *, blind: bool = False) -> tuple[Any, ...]:
    """Give what the log says, in the order of parameters; ``changed`` maps wire names to
    ``[before, after]``. An update is ``blind`` when it did not say what it started from.
    """
    changes = to_json(changed).decode()
    who = (actor.user_id or "system", actor.user_name or "System")
    return (changes, *who, actor.request_id, uuid7(), blind)


# Updating


async def update(context: WriteContext, entity: type[Row], key: str, edit: Edit) -> bytes:
    """Write what the client changed, log it, and give the row as JSON.

    What others have changed meanwhile stays, unless the client changed it too, to something else.
    What differs in nothing writes nothing. Raises NotFound, AmbiguousId, WrongProduction,
    VersionConflict, VersionMissing, PreconditionFailed, and Invalid as ``create`` does.
    """
    if entity.version_required and edit.start == Start():
        raise VersionMissing("Send version or fieldVersions: what this edit started from.")
    seen = await _seen(context, entity, key)
    _refuse_other_than(edit.match, entity, seen)
    await _refuse_another_production(context, edit.production, seen)
    current = by_field(entity, seen.row)
    known = await changed_since(
        context.connection, entity, edit.start, seen.row, (seen.production, seen.uuid), edit.values
    )
    was = current | {name: base.value for name, base in known.items() if base.known}
    submitted = touched(known, one_spelling(entity, was, edit.values, edit.alternate_values))
    await references.resolve(context.connection, entity, seen.production, current, submitted)
    own = {name: base for name, base in known.items() if name in submitted}
    entity.before_write(current, submitted)
    submitted |= parts.prepare(entity, submitted, current, was)
    wanted, conflicts = merge(own, current, submitted)
    wanted = sorted_parts(entity, wanted, current)
    refuse_unbounded(entity, wanted)
    refuse(entity, edit.start, seen.row, wanted, conflicts, known)
    if not wanted:
        return seen.body
    return await _write(context, entity, seen, current, wanted, edit)


async def _write(
    context: WriteContext,
    entity: type[Row],
    seen: StoredRow,
    current: Mapping[str, Any],
    wanted: Mapping[str, Any],
    edit: Edit,
) -> bytes:
    lists = {name: wanted.get(name, current.get(name)) or [] for name in entity.parts}
    values = {name: value for name, value in wanted.items() if name not in lists}
    changed = on_wire(entity, {name: [current.get(name), new] for name, new in wanted.items()})
    sql, rows = write_statements(entity).update, []
    if not lists.keys().isdisjoint(wanted):
        sql = write_statements(entity).update_lists
        rows = [parts.rows(entity, name, seen.uuid, given) for name, given in lists.items()]
    return await context.write(
        sql,
        seen.production, seen.seq, seen.uuid, seen.row["version"], to_json(values),
        edit.actor.row_value, *logged(changed, edit.actor, blind=edit.is_blind),
        list(changed), *rows,
    )  # fmt: skip


async def _seen(context: WriteContext, entity: type[Row], key: str) -> StoredRow:
    """Read the row under a key. Raises NotFound and AmbiguousId."""

    async def read() -> Any:
        sql = write_statements(entity)
        uuid = known_uuid(key)
        if uuid and (row := await context.connection.fetchrow(sql.seen, uuid)):
            return row
        rows = await context.connection.fetch(sql.seen_by_label, key) if can_be_stored(key) else []
        if len(rows) > 1:
            await find(context.connection, entity, key)
        return rows[0] if rows else None

    found = await context.current(read)
    if found is None:
        raise not_found(entity, key)
    row = from_json(found["body"])
    context.remember_key(key, found["production"])
    context.remember_key(row["uuid"], found["production"])
    return StoredRow(UUID(row["uuid"]), found["production"], found["seq"], found["body"], row)


def _refuse_other_than(match: bytes, entity: type[Row], seen: StoredRow) -> None:
    if not allows(match, entity_tag(seen.body)):
        raise PreconditionFailed(
            f"This {entity.noun} is no longer the one that If-Match names: look at it again.",
            currentVersion=seen.row["version"],
            serverData=seen.row,
        )


async def _refuse_another_production(
    context: WriteContext, named: str | None, seen: StoredRow
) -> None:
    """Raise WrongProduction; a label from before a renaming is an echo, if it is no other's now."""
    own = seen.row.get("productionId")
    if named is None or named == own or known_uuid(named) == seen.production:
        return
    try:
        if can_be_stored(named):
            await find(context.connection, root(), named)
    except AmbiguousId:
        pass
    except NotFound:
        place = seen.production, seen.production
        if await context.connection.fetchval(FORMER_LABEL, *place, named):
            return
    raise WrongProduction(
        f"This row belongs to production {own!r} and does not move: create a copy there instead."
    )


# Deleting


async def delete(
    context: WriteContext, entity: type[Row], key: str, actor: Actor, match: bytes = b""
) -> None:
    """Mark a row deleted and log it, clearing what points at it where that is declared.

    Raises NotFound, AmbiguousId, and PreconditionFailed where it has none of the tags in ``match``.
    """
    try:
        seen = await _seen(context, entity, key)
    except NotFound:
        if entity.delete_is_idempotent and await _was_deleted(context.connection, entity, key):
            return
        raise
    _refuse_other_than(match, entity, seen)
    for other in discovered().values():
        seen = await _clear(context, other, entity, seen, actor)
    await context.write(
        write_statements(entity).delete,
        seen.production, seen.seq, seen.uuid, seen.row["version"], actor.row_value,
        *logged({"isDeleted": [False, True]}, actor),
    )  # fmt: skip


async def _was_deleted(connection: DatabaseConnection, entity: type[Row], key: str) -> bool:
    if not can_be_stored(key):
        return False
    sql = statements(entity).deleted
    return bool(await connection.fetchval(sql, known_uuid(key), key))


async def _clear(
    context: WriteContext, other: type[Row], target: type[Row], seen: StoredRow, actor: Actor
) -> StoredRow:
    """Clear the references of ``other`` to a row that is about to be deleted, with their log.

    Gives the row with the production's number as it is then.
    """
    for name, reference in other.references().items():
        if reference.collection != target.collection or not reference.cleared:
            continue
        pointing = statements(other).pointing[name]
        for row in await context.connection.fetch(pointing, seen.uuid, seen.production):
            context.require_lock()
            linked = await _seen(context, other, str(row["uuid"]))
            current, wanted = {name: str(seen.uuid)}, {name: None}
            edit = Edit(wanted, actor, Start(version=linked.row["version"]))
            await _write(context, other, linked, current, wanted, edit)
            seen = replace(seen, seq=linked.seq + 1)
    return seen

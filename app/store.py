"""Get, list, create, update and delete any entity: the only place that writes entities.

A write takes the lock of its production first, so that labels, numbers in the change log and
references are decided by one writer at a time; every later statement sees what the one before
it committed. Values travel by field name in the form they have on the wire.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from pydantic_core import from_json, to_json
from uuid_utils.compat import uuid7

from app import labels, parts, references
from app.changes import Actor, record
from app.conflicts import refuse_stale
from app.db import Connection, Database
from app.entities import discovered, root
from app.entity import Entity, Row
from app.errors import (
    AmbiguousId,
    DuplicateId,
    NotFound,
    ProductionNotFound,
    VersionMissing,
    WrongProduction,
)
from app.forms import by_field, on_wire, one_spelling, refuse_unbounded
from app.merge import Start, differing
from app.shapes import can_be_stored, known_uuid
from app.statements import statements

# Serialises the making of productions, whose labels no row's lock can guard.
_PRODUCTIONS_LOCK: Final = "SELECT pg_advisory_xact_lock(7305791, 1)"


@dataclass(frozen=True)
class Edit:
    """What a client submits: values by field, what it started from, and the row's production.

    ``twice`` holds the other value of fields that were sent in both of their spellings.
    """

    values: Mapping[str, Any]
    actor: Actor = field(default_factory=Actor)
    start: Start = field(default_factory=Start)
    production: str | None = None
    uuid: UUID | None = None
    twice: Mapping[str, Any] = field(default_factory=dict)


# Reading


async def list_all(database: Database, entity: type[Row], production: str = "") -> bytes:
    """Give the live rows of a collection as a JSON array; ``[]`` for an unknown production."""
    sql = statements(entity)
    if not issubclass(entity, Entity):
        return await database.read(sql.list) or b"[]"
    rows = None
    if uuid := known_uuid(production):
        rows = await database.read(sql.list, uuid)
    if rows in {None, b"[]"} and can_be_stored(production):
        rows = await database.read(sql.list_by_label, production)
    return rows or b"[]"


async def get(database: Database, entity: type[Row], key: str) -> bytes:
    """Give one live row as JSON. Raises NotFound, and AmbiguousId where several hold the label."""
    sql = statements(entity).one
    if (uuid := known_uuid(key)) and (body := await database.read(sql, uuid)):
        return body
    async with database.connection() as connection:
        body = await connection.fetchval(sql, await find(connection, entity, key))
    if body is None:
        raise _not_found(entity, key)
    return bytes(body)


async def find(connection: Connection, entity: type[Row], key: str) -> UUID:
    """Give the uuid of the one live row labelled ``key``. Raises NotFound and AmbiguousId."""
    rows = await connection.fetch(statements(entity).keys, key) if can_be_stored(key) else []
    if not rows:
        raise _not_found(entity, key)
    if len(rows) > 1:
        candidates = [{"uuid": str(r["uuid"]), "productionId": r["production"]} for r in rows]
        raise AmbiguousId(
            f"{len(rows)} rows are called {key!r}: use the uuid of the one you mean.",
            candidates=candidates,
        )
    uuid: UUID = rows[0]["uuid"]
    return uuid


def _not_found(entity: type[Row], key: str) -> NotFound:
    return NotFound(f"No {entity.noun} is called {key!r}.", error=f"{entity.noun} not found")


# Creating


async def create(connection: Connection, entity: type[Row], edit: Edit) -> bytes:
    """Insert a row, log it, and give it as JSON.

    Raises ProductionNotFound, DuplicateId (with ``suggestedId``), DuplicateUuid, and Invalid for
    a reference to what is not in the production.
    """
    uuid = edit.uuid or uuid7()
    production = await _lock_for_create(connection, entity, edit, uuid)
    values = dict(edit.values)
    await references.resolve(connection, entity, production, None, values)
    values["id"] = await _label(connection, entity, production, values.get("id"))
    entity.settle(None, values)
    await parts.forget_foreign(connection, entity, values)
    lists = parts.prepare(entity, values, {})
    row = {**values, "uuid": uuid, "last_modified_by": edit.actor.row_value}
    if issubclass(entity, Entity):
        row["production_uuid"] = production
    await connection.execute(statements(entity).insert, to_json(row))
    await parts.write(connection, entity, uuid, lists)
    made = {name: [None, value] for name, value in {**values, **lists}.items() if value is not None}
    return await record(
        connection, entity, "CREATE", (production, uuid), on_wire(entity, made), edit.actor
    )


async def _lock_for_create(
    connection: Connection, entity: type[Row], edit: Edit, uuid: UUID
) -> UUID:
    if not issubclass(entity, Entity):
        await connection.execute(_PRODUCTIONS_LOCK)
        return uuid
    key = edit.production or ""
    try:
        return (await _locked(connection, root(), key))[0]
    except NotFound:
        raise ProductionNotFound(
            f"No production is called {key!r}: create it first.", productionId=key
        ) from None


async def _label(
    connection: Connection, entity: type[Row], production: UUID, wanted: str | None
) -> str:
    """Give the wanted label if it may be used, else the next free one. Raises DuplicateId."""
    scope = (production,) if issubclass(entity, Entity) else ()
    taken, ever, everywhere = await connection.fetchrow(statements(entity).labels, *scope)
    if everywhere:
        taken = ever = await _labels_everywhere(connection, entity, wanted)
    elif wanted and entity.labels_may_clash:
        return wanted
    if not wanted or (wanted in taken and entity.labels_may_clash):
        return labels.next_free(entity.prefix, ever)
    if wanted in taken:
        suggested = labels.suggestion(wanted, taken)
        raise DuplicateId(f"{wanted!r} is taken: {suggested!r} is free.", suggestedId=suggested)
    return wanted


async def _labels_everywhere(
    connection: Connection, entity: type[Row], wanted: str | None
) -> list[str]:
    """Give the labels of all productions, one writer at a time: until the older service is retired
    its look-ups need them unique, also those of deleted rows."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext($1))", entity.collection)
    prefix = labels.parse(wanted)[0] if wanted else entity.prefix
    found: list[str] = await connection.fetchval(statements(entity).everywhere, prefix)
    return found


# Updating


async def update(connection: Connection, entity: type[Row], key: str, edit: Edit) -> bytes:
    """Write what differs from the stored row, log it, and give the row as JSON.

    What differs in nothing writes nothing. Raises NotFound, AmbiguousId, WrongProduction,
    VersionConflict, VersionMissing, and Invalid as ``create`` does.
    """
    if entity.version_required and edit.start == Start():
        raise VersionMissing("Send version or fieldVersions: what this edit started from.")
    uuid, production, body = await _locked_row(connection, entity, key)
    row = from_json(body)
    _refuse_another_production(edit.production, row)
    current = by_field(entity, row)
    submitted = one_spelling(entity, current, edit.values, edit.twice)
    await references.resolve(connection, entity, production, current, submitted)
    entity.settle(current, submitted)
    submitted |= parts.prepare(entity, submitted, current)
    wanted = differing(current, submitted)
    refuse_unbounded(entity, wanted)
    await refuse_stale(connection, entity, edit.start, row, (production, uuid), wanted)
    if not wanted:
        return body
    return await _write(connection, entity, (production, uuid), current, wanted, edit.actor)


async def _write(
    connection: Connection,
    entity: type[Row],
    place: tuple[UUID, UUID],
    current: Mapping[str, Any],
    wanted: Mapping[str, Any],
    actor: Actor,
) -> bytes:
    lists = {name: wanted[name] for name in entity.parts if name in wanted}
    values = {name: value for name, value in wanted.items() if name not in lists}
    changed = on_wire(entity, {name: [current.get(name), new] for name, new in wanted.items()})
    await connection.execute(
        statements(entity).update, place[1], to_json(values), actor.row_value, list(changed)
    )
    await parts.write(connection, entity, place[1], lists)
    return await record(connection, entity, "UPDATE", place, changed, actor)


async def _locked(connection: Connection, entity: type[Row], key: str) -> tuple[UUID, UUID]:
    """Lock the production of the live row under ``key``; give its uuid and the row's.

    A label may have moved to another row while we waited for the lock: then that one is meant.
    """
    if uuid := known_uuid(key):
        row = await connection.fetchrow(statements(entity).lock, uuid)
        if row:
            return row["uuid"], uuid
    while True:
        uuid = await find(connection, entity, key)
        row = await connection.fetchrow(statements(entity).lock, uuid)
        if row and uuid == await find(connection, entity, key):
            return row["uuid"], uuid


async def _locked_row(
    connection: Connection, entity: type[Row], key: str
) -> tuple[UUID, UUID, bytes]:
    """Lock, then read: a statement that waited for a lock may hold older rows beside it."""
    production, uuid = await _locked(connection, entity, key)
    body = await connection.fetchval(statements(entity).one, uuid)
    if body is None:
        raise _not_found(entity, key)
    return uuid, production, body


def _refuse_another_production(named: str | None, row: Mapping[str, Any]) -> None:
    if named is None or named == row.get("productionId"):
        return
    if str(known_uuid(named)) != row.get("productionUuid"):
        raise WrongProduction(
            f"This row belongs to production {row.get('productionId')!r} and does not move: "
            "create a copy there instead."
        )


# Deleting


async def delete(connection: Connection, entity: type[Row], key: str, actor: Actor) -> None:
    """Mark a row deleted and log it, clearing what points at it where that is declared.

    Raises NotFound and AmbiguousId.
    """
    try:
        uuid, production, _ = await _locked_row(connection, entity, key)
    except NotFound:
        if entity.delete_repeats and await _was_deleted(connection, entity, key):
            return
        raise
    for other in discovered().values():
        await _clear(connection, other, entity, (production, uuid), actor)
    await connection.execute(statements(entity).delete, uuid, actor.row_value)
    changed = {"isDeleted": [False, True]}
    await record(connection, entity, "DELETE", (production, uuid), changed, actor)


async def _was_deleted(connection: Connection, entity: type[Row], key: str) -> bool:
    if not can_be_stored(key):
        return False
    sql = statements(entity).deleted
    return bool(await connection.fetchval(sql, known_uuid(key), key))


async def _clear(
    connection: Connection,
    other: type[Row],
    target: type[Row],
    place: tuple[UUID, UUID],
    actor: Actor,
) -> None:
    """Clear the references of ``other`` to a row that is about to be deleted, with their log."""
    production, uuid = place
    for name, reference in other.references().items():
        if reference.collection != target.collection or not reference.cleared:
            continue
        rows = await connection.fetch(statements(other).pointing[name], uuid)
        for row in rows:
            current, wanted = {name: str(uuid)}, {name: None}
            place_of_row = (production, row["uuid"])
            await _write(connection, other, place_of_row, current, wanted, actor)

"""Which label a new row gets, and whether the one it asks for may be used."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from app.entities import root
from app.errors import DuplicateId, ProductionNotFound
from app.model.entity import Entity, Row
from app.model.schemas import can_be_stored, known_uuid
from app.rules import labels
from app.sql.reads import statements
from app.sql.registry import statement
from app.sql.writes import write_statements
from app.store.read import find
from app.store.write_context import WriteContext

# Serialises the making of productions, whose labels no row's lock can guard.
_PRODUCTIONS_LOCK: Final = statement("SELECT pg_advisory_xact_lock(7305791, 1)")
_COLLECTION_LOCK: Final = statement("SELECT pg_advisory_xact_lock(hashtext($1))")


@dataclass(frozen=True)
class LabelTarget:
    """Where a new row goes: a production, its change number, and the labels that are in use.

    Of those only the wanted one where a label is wanted, and of productions never another.
    """

    production: UUID
    seq: int
    taken: Collection[str]
    everywhere: bool
    """Whether a label must be free in every production: an older service looks rows up by it."""


async def find_target(
    context: WriteContext, entity: type[Row], production: str | None, wanted: str | None, uuid: UUID
) -> LabelTarget:
    """Find the room for a new row. Raises ProductionNotFound and AmbiguousId."""
    if not issubclass(entity, Entity):
        context.require_lock()
        await context.connection.execute(_PRODUCTIONS_LOCK)
        found = await context.connection.fetchrow(write_statements(entity).room, wanted)
        return LabelTarget(uuid, 0, found["taken"], found["everywhere"])
    key = production or ""
    found = await context.current(lambda: _of_production(context, entity, key, wanted))
    if found is None:
        raise ProductionNotFound(
            f"No production is called {key!r}: create it first.", productionId=key
        )
    context.remember_key(key, found["production"])
    return LabelTarget(found["production"], found["seq"], found["taken"], found["everywhere"])


async def _of_production(
    context: WriteContext, entity: type[Row], key: str, wanted: str | None
) -> Any:
    sql, uuid = write_statements(entity), known_uuid(key)
    if uuid and (row := await context.connection.fetchrow(sql.room, uuid, wanted)):
        return row
    if not can_be_stored(key):
        return None
    rows = await context.connection.fetch(sql.room_by_label, key, wanted)
    if len(rows) > 1:
        await find(context.connection, root(), key)
    return rows[0] if rows else None


async def assign_label(
    context: WriteContext, entity: type[Row], place: LabelTarget, wanted: str | None
) -> str:
    """Give the wanted label if it may be used, else the next free one. Raises DuplicateId."""
    taken = ever = place.taken
    if place.everywhere:
        taken = ever = await everywhere(context, entity, wanted)
    elif wanted and (entity.allow_duplicate_labels or wanted not in taken):
        return wanted
    elif wanted or not issubclass(entity, Entity):
        scope = place.production if issubclass(entity, Entity) else _prefix(entity, wanted)
        found, ever, _ = await context.connection.fetchrow(statements(entity).labels, scope)
        taken = [*place.taken, *found]
    if not wanted or (wanted in taken and entity.allow_duplicate_labels):
        return await _free(
            context, entity, ever, lambda used: labels.next_free(entity.prefix, used)
        )
    if wanted not in taken:
        return wanted
    suggested = await _free(context, entity, taken, lambda used: labels.suggestion(wanted, used))
    raise DuplicateId(f"{wanted!r} is taken: {suggested!r} is free.", suggestedId=suggested)


async def _free(
    context: WriteContext,
    entity: type[Row],
    used: Collection[str],
    choose: Callable[[Collection[str]], str],
) -> str:
    """Choose a label; where not all were read, until it is one that nobody has."""
    while True:
        chosen = choose(used)
        if issubclass(entity, Entity):
            return chosen
        if not (await context.connection.fetchrow(write_statements(entity).room, chosen))["taken"]:
            return chosen
        used = [*used, chosen]


def _prefix(entity: type[Row], wanted: str | None) -> str:
    return labels.parse(wanted)[0] if wanted else entity.prefix


async def everywhere(context: WriteContext, entity: type[Row], wanted: str | None) -> list[str]:
    """Give the labels of all productions, one writer at a time: until the older service is retired
    its look-ups need them unique, also those of deleted rows."""
    context.require_lock()
    await context.connection.execute(_COLLECTION_LOCK, entity.collection)
    prefix = _prefix(entity, wanted)
    found: list[str] = await context.connection.fetchval(statements(entity).everywhere, prefix)
    return found

"""Which label a new row gets, and whether the one it asks for may be used."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from app.entities import root
from app.errors import DuplicateId, NotFound, ProductionNotFound
from app.model.entity import Entity, Row
from app.rules import labels
from app.sql.reads import statements
from app.sql.registry import statement
from app.sql.writes import write_statements
from app.store.write_context import WriteContext

# Serialises the making of productions, whose labels no row's lock can guard.
_PRODUCTIONS_LOCK: Final = statement("SELECT pg_advisory_xact_lock(7305791, 1)")
_COLLECTION_LOCK: Final = statement("SELECT pg_advisory_xact_lock(hashtext($1))")


@dataclass(frozen=True)
class LabelTarget:
    """Where a new row goes; of the labels in use there only the one asked for, if any was."""

    production: UUID
    seq: int
    used: Collection[str]
    everywhere: bool
    """Whether a label must be free in every production: an older service looks rows up by it."""


async def find_target(
    context: WriteContext, entity: type[Row], production: str | None, label: str | None, uuid: UUID
) -> LabelTarget:
    """Find where a new row goes. Raises ProductionNotFound and AmbiguousId."""
    sql = write_statements(entity)
    if not issubclass(entity, Entity):
        context.require_lock()
        await context.connection.execute(_PRODUCTIONS_LOCK)
        row = await context.connection.fetchrow(sql.target, label)
        return LabelTarget(uuid, 0, row["taken"], row["everywhere"])
    key = production or ""
    try:
        row = await context.find(root(), sql.target, key, label, by_label=sql.target_by_label)
    except NotFound:
        raise ProductionNotFound(
            f"No production is called {key!r}: create it first.", productionId=key
        ) from None
    return LabelTarget(row["production"], row["seq"], row["taken"], row["everywhere"])


async def assign_label(
    context: WriteContext, entity: type[Row], target: LabelTarget, label: str | None
) -> str:
    """Return the label asked for, or the next free one. Raises DuplicateId for another row's."""
    used = ever_used = target.used
    if target.everywhere:
        used = ever_used = await labels_everywhere(context, entity, label)
    elif label and (entity.allow_duplicate_labels or label not in used):
        return label
    elif label or not issubclass(entity, Entity):
        scope = target.production if issubclass(entity, Entity) else _prefix(entity, label)
        live, ever_used, _ = await context.connection.fetchrow(statements(entity).labels, scope)
        used = [*target.used, *live]
    if not label or (label in used and entity.allow_duplicate_labels):
        return await _first_free(
            context, entity, ever_used, lambda used: labels.next_free(entity.prefix, used)
        )
    if label not in used:
        return label
    free = await _first_free(context, entity, used, lambda used: labels.suggestion(label, used))
    raise DuplicateId(f"{label!r} is taken: {free!r} is free.", suggestedId=free)


async def _first_free(
    context: WriteContext,
    entity: type[Row],
    used: Collection[str],
    choose: Callable[[Collection[str]], str],
) -> str:
    """Choose a label; where ``used`` are not all there are, until it is one that nobody has."""
    while True:
        label = choose(used)
        if issubclass(entity, Entity):
            return label
        row = await context.connection.fetchrow(write_statements(entity).target, label)
        if not row["taken"]:
            return label
        used = [*used, label]


def _prefix(entity: type[Row], label: str | None) -> str:
    return labels.parse(label)[0] if label else entity.prefix


async def labels_everywhere(
    context: WriteContext, entity: type[Row], label: str | None
) -> list[str]:
    """Return the labels of all productions that begin like this one, deleted rows included.

    One writer at a time: until the older service is retired its look-ups need unique labels.
    """
    context.require_lock()
    await context.connection.execute(_COLLECTION_LOCK, entity.collection)
    prefix = _prefix(entity, label)
    rows: list[str] = await context.connection.fetchval(statements(entity).everywhere, prefix)
    return rows

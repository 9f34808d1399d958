"""Create a row of any entity type: where it goes, and which label it gets."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from pydantic_core import to_json
from uuid_utils.compat import uuid7

from app.access.own_rows import OWN_LABELS
from app.entities import root
from app.errors import DuplicateId, NotFound, ProductionNotFound, WrongProduction
from app.model.entity import Entity, Row
from app.model.row_size import refuse_large_row
from app.model.secret_fields import logged_changes
from app.rules import labels
from app.sql.reads import statements
from app.sql.registry import statement
from app.sql.writes import write_statements
from app.store import owned_rows, parts, references
from app.store.edit import Edit
from app.store.legs.leg_settling import settle_legs
from app.store.many_writes import is_key_of
from app.store.write_context import StoredRow, WriteContext, log_values

# Serialises the making of productions, whose labels no row's lock can guard.
_PRODUCTIONS_LOCK: Final = statement("SELECT pg_advisory_xact_lock(7305791, 1)")
_COLLECTION_LOCK: Final = statement("SELECT pg_advisory_xact_lock(hashtext($1))")


async def create(context: WriteContext, entity: type[Row], edit: Edit) -> bytes:
    """Insert a row, log it, and return it as JSON.

    Raises ProductionNotFound, DuplicateId (with ``suggestedId``), DuplicateUuid, and Invalid for
    a reference to what is not in the production.
    """
    uuid = edit.uuid or uuid7()
    target = await find_target(context, entity, edit.production, edit.values.get("id"), uuid)
    values = dict(edit.values)
    await references.resolve(context.connection, entity, target.production, None, values)
    own = await owned_rows.label_of(context, entity, target.production, values)
    values["id"] = await assign_label(context, entity, target, values.get("id") or own)
    entity.before_write(None, values)
    await parts.forget_foreign_uuids(context.connection, entity, values)
    lists = parts.complete(entity, values, {}, {})
    legs, views = await settle_legs(
        context.connection, entity, (target.production, uuid), {}, lists
    )
    lists, values = lists | legs, values | views
    changes = {
        name: [None, value] for name, value in {**values, **lists}.items() if value is not None
    }
    encoded, elements = to_json(values), list(parts.rows(entity, uuid, lists))
    refuse_large_row(entity, {**values, **lists}, b"".join([encoded, *elements]))
    context.keys[str(uuid)] = target.production
    return await context.write(
        write_statements(entity).create,
        target.production, target.seq, uuid, encoded, edit.actor.row_value,
        *log_values(logged_changes(entity, changes), edit.actor),
        *elements,
    )  # fmt: skip


async def create_in(
    context: WriteContext, entity: type[Row], production: StoredRow, edit: Edit
) -> bytes:
    """Create a row in a locked production. Raises WrongProduction, and what ``create`` does."""
    if not await is_key_of(context.connection, production, edit.production or ""):
        raise WrongProduction(
            f"This request writes to production {production.label!r}, and the row says "
            f"{edit.production!r}: leave productionId out."
        )
    return await create(context, entity, replace(edit, production=str(production.uuid)))


@dataclass(frozen=True)
class LabelTarget:
    """Where a new row goes. Of the labels in use, only those like the one asked for, if any was."""

    production: UUID
    seq: int
    used: Collection[str]
    everywhere: bool
    """Whether a label must be free in every production: an older service looks rows up by it."""
    is_whole: bool = False
    """Whether ``used`` are all that count: the productions that the writer sees."""


async def find_target(
    context: WriteContext, entity: type[Row], production: str | None, label: str | None, uuid: UUID
) -> LabelTarget:
    """Find where a new row goes. Raises ProductionNotFound and AmbiguousId."""
    sql = write_statements(entity)
    if not issubclass(entity, Entity):
        context.require_lock()
        await context.connection.execute(_PRODUCTIONS_LOCK)
        row = await context.connection.fetchrow(sql.target, labels.spellings(label or ""))
        if context.own_shows is not None and not row["everywhere"]:
            own = await context.connection.fetchval(OWN_LABELS, list(context.own_shows))
            return LabelTarget(uuid, 0, own, everywhere=False, is_whole=True)
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
    elif label and (entity.allow_duplicate_labels or not used):
        return label
    elif not target.is_whole and (label or not issubclass(entity, Entity)):
        scope = target.production if issubclass(entity, Entity) else _prefix(entity, label)
        live, ever_used, _ = await context.connection.fetchrow(statements(entity).labels, scope)
        used = [*target.used, *live]
    is_taken = label is not None and labels.folded(label) in set(map(labels.folded, used))
    if not label or (is_taken and entity.allow_duplicate_labels):
        return await _first_free(
            context, entity, target, ever_used,
            lambda used: labels.next_free(entity.prefix, used),
        )  # fmt: skip
    if not is_taken:
        return label
    free = await _first_free(
        context, entity, target, used, lambda used: labels.suggestion(label, used)
    )
    raise DuplicateId(f"{label!r} is taken: {free!r} is free.", suggestedId=free)


async def _first_free(
    context: WriteContext, entity: type[Row], target: LabelTarget, used: Collection[str],
    choose: Callable[[Collection[str]], str],
) -> str:  # fmt: skip
    """Choose a label; where ``used`` are not all there are, until it is one that nobody has."""
    while True:
        label = choose(used)
        if issubclass(entity, Entity) or target.is_whole:
            return label
        sql = write_statements(entity).target
        row = await context.connection.fetchrow(sql, labels.spellings(label))
        if not row["taken"] and not row["given_up"]:
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

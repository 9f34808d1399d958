"""Create a row of any entity type."""

from dataclasses import replace

from pydantic_core import to_json
from uuid_utils.compat import uuid7

from app.errors import WrongProduction
from app.model.entity import Row
from app.sql.writes import write_statements
from app.store import parts, references
from app.store.edit import Edit
from app.store.label_assignment import assign_label, find_target
from app.store.many_writes import is_key_of
from app.store.write_context import StoredRow, WriteContext, log_values


async def create(context: WriteContext, entity: type[Row], edit: Edit) -> bytes:
    """Insert a row, log it, and return it as JSON.

    Raises ProductionNotFound, DuplicateId (with ``suggestedId``), DuplicateUuid, and Invalid for
    a reference to what is not in the production.
    """
    uuid = edit.uuid or uuid7()
    target = await find_target(context, entity, edit.production, edit.values.get("id"), uuid)
    values = dict(edit.values)
    await references.resolve(context.connection, entity, target.production, None, values)
    values["id"] = await assign_label(context, entity, target, values.get("id"))
    entity.before_write(None, values)
    await parts.forget_foreign_uuids(context.connection, entity, values)
    lists = parts.complete(entity, values, {}, {})
    changes = {
        name: [None, value] for name, value in {**values, **lists}.items() if value is not None
    }
    context.keys[str(uuid)] = target.production
    return await context.write(
        write_statements(entity).create,
        target.production, target.seq, uuid, to_json(values), edit.actor.row_value,
        *log_values(entity.on_wire(changes), edit.actor),
        *parts.rows(entity, uuid, lists),
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

"""Delete a row of any entity type: mark it deleted, and clear what points at it."""

from dataclasses import replace

from app.changelog.log import Actor
from app.entities import discovered
from app.errors import NotFound
from app.model.entity import Row
from app.model.schemas import can_be_stored, known_uuid
from app.rules.merge import Start
from app.sql.reads import statements
from app.sql.writes import write_statements
from app.store import owned_rows
from app.store.edit import Edit
from app.store.update import RowChange, refuse_other_tag
from app.store.write_context import StoredRow, WriteContext, log_values


async def delete(
    context: WriteContext, entity: type[Row], key: str, actor: Actor, match: bytes = b""
) -> None:
    """Mark a row deleted and log it, clearing what points at it where that is declared.

    Raises NotFound, AmbiguousId, and PreconditionFailed where it has none of the tags in ``match``.
    """
    try:
        row = await context.read(entity, key)
    except NotFound:
        query = statements(entity).deleted, known_uuid(key), key
        may_be_deleted = entity.delete_is_idempotent and can_be_stored(key)
        if may_be_deleted and await context.connection.fetchval(*query):
            return
        raise
    refuse_other_tag(entity, row, match)
    for other in discovered().values():
        row = await _clear_references(context, other, entity, row, actor)
    row = await owned_rows.delete_with(context, entity, row, actor)
    await context.write(
        write_statements(entity).delete,
        row.production, row.seq, row.uuid, row.version, actor.row_value,
        *log_values({"isDeleted": [False, True]}, actor),
    )  # fmt: skip


async def _clear_references(
    context: WriteContext, other: type[Row], entity: type[Row], row: StoredRow, actor: Actor
) -> StoredRow:
    """Clear the references of ``other`` to a row, each logged; return it with its new seq."""
    for name, reference in other.references().items():
        if reference.collection != entity.collection or reference.on_delete != "clear":
            continue
        pointing = statements(other).pointing[name]
        for pointer in await context.connection.fetch(pointing, row.uuid, row.production):
            context.require_lock()
            linked = await context.read(other, str(pointer["uuid"]))
            edit = Edit({name: None}, actor, Start(version=linked.version))
            await RowChange(other, linked, edit, {}).write(context)
            row = replace(row, seq=linked.seq + 1)
    return row

"""A write that is tried and rolled back, to find out whether the service can write now.

It creates a show and a row of every type in it, updates the show and deletes it, with the service's
own statements, in one transaction that is rolled back. So it meets what stops a real write: a
missing right, a trigger, a full disk, a read-only server. Nothing of it is ever visible. Its rows
are new, so nobody waits for its locks; it uses no sequence; its announcements are rolled back too.
"""

from dataclasses import replace
from typing import Final
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid4

from app.changelog.log import Actor
from app.database.database import json_as_bytes
from app.entities import discovered, root
from app.errors import Invalid
from app.model.entity import Entity, Row
from app.model.schemas import create_schema
from app.rules.merge import Start
from app.store.create import create
from app.store.delete import delete
from app.store.edit import Edit, edit_of, validate
from app.store.update import update
from app.store.write_context import WriteContext

_TIMEOUTS: Final = "SET LOCAL lock_timeout = '100ms'; SET LOCAL statement_timeout = '3s'"
_ACTOR: Final = Actor(user_id="health", user_name="Health", modified_by="health")


async def try_write(connection: asyncpg.Connection) -> bool:
    """Write and roll back; return False if others hold locks, so that nothing was found out.

    Raises what the database does, and errors of ours.
    """
    await json_as_bytes(connection)
    trial = connection.transaction()
    await trial.start()
    try:
        await connection.execute(_TIMEOUTS)
        await _write(WriteContext(connection, locked=True))
    except (asyncpg.LockNotAvailableError, asyncpg.TransactionRollbackError):
        return False
    finally:
        if not connection.is_closed():
            await trial.rollback()
    return True


async def _write(context: WriteContext) -> None:
    production = uuid4()
    for entity in discovered().values():
        if (edit := _smallest_edit(entity, production)) is not None:
            await create(context, entity, edit)
    change = Edit({"id": f"{production}-2"}, _ACTOR, Start(version=1))
    await update(context, root(), str(production), change)
    await delete(context, root(), str(production), _ACTOR)


def _smallest_edit(entity: type[Row], production: UUID) -> Edit | None:
    """Return the least that a create accepts; None for a type that needs more than texts."""
    fields = create_schema(entity).model_fields.items()
    members = {
        entity.wire(name): str(production)
        for name, field in fields
        if name in {"id", "production_id"} or field.is_required()
    }
    own = production if not issubclass(entity, Entity) else uuid4()
    try:
        body = validate(create_schema(entity), {**members, "uuid": str(own)})
    except Invalid:
        return None
    return replace(edit_of(entity, body), actor=_ACTOR)

"""Several writes inside one production: found and locked once, its rows found by their keys."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic_core import from_json

from app.changelog.log import FORMER_LABEL
from app.database.database import DatabaseConnection
from app.entities import root
from app.errors import AmbiguousId
from app.model.entity import Row
from app.model.schemas import can_be_stored, known_uuid
from app.sql.reads import statements
from app.sql.writes import write_statements
from app.store import references
from app.store.read import find, not_found
from app.store.write_context import WriteContext


@dataclass(frozen=True)
class LockedProduction:
    """A live production whose lock is held until the end of the transaction."""

    uuid: UUID
    label: str
    seq: int
    """Its change number when it was locked."""

    def is_called(self, key: str) -> bool:
        """Tell whether a key names this production."""
        return key == self.label or known_uuid(key) == self.uuid


async def lock_production(context: WriteContext, key: str) -> LockedProduction:
    """Lock the production under a key, before anything else is read.

    Raises NotFound, AmbiguousId, and WriteRace where the context is no transaction yet.
    """
    context.require_lock()
    found = await context.current(lambda: _live(context.connection, key))
    if found is None:
        raise not_found(root(), key)
    context.remember_key(key, found["production"])
    return LockedProduction(found["production"], from_json(found["body"])["id"], found["seq"])


async def _live(connection: DatabaseConnection, key: str) -> Any:
    sql = write_statements(root()).seen
    if (uuid := known_uuid(key)) and (row := await connection.fetchrow(sql, uuid)):
        return row
    return await connection.fetchrow(sql, await find(connection, root(), key))


async def is_key_of(connection: DatabaseConnection, place: LockedProduction, key: str) -> bool:
    """Tell whether a key is what this production is called, or was before it was renamed."""
    if place.is_called(key):
        return True
    if not can_be_stored(key):
        return False
    now = await connection.fetchval(statements(root()).label, place.uuid)
    sql = FORMER_LABEL, place.uuid, place.uuid, key
    return key == now or bool(await connection.fetchval(*sql))


async def find_row(
    connection: DatabaseConnection, entity: type[Row], place: LockedProduction, key: str
) -> UUID:
    """Give the one live row of the production under a uuid or a label.

    Unlike a path's, the key may be a label that other productions use too.
    Raises NotFound and AmbiguousId.
    """
    found = await references.lookup(connection, entity, place.uuid, key)
    if not found:
        raise not_found(entity, key)
    if len(found) > 1:
        raise AmbiguousId(
            f"{len(found)} rows are called {key!r}: use the uuid of the one you mean.",
            candidates=[{"uuid": str(uuid), "productionId": place.label} for uuid in found],
        )
    return found[0]

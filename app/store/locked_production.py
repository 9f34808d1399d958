"""Several writes inside one production: it is locked once, and its rows are found by their keys."""

from dataclasses import dataclass
from uuid import UUID

from app.changelog.log import FORMER_LABEL
from app.database.database import DatabaseConnection
from app.entities import root
from app.model.entity import Row
from app.model.schemas import can_be_stored, known_uuid
from app.sql.reads import statements
from app.store import references
from app.store.read import ambiguous, not_found
from app.store.write_context import WriteContext


@dataclass(frozen=True)
class LockedProduction:
    """A live production whose lock is held until the end of the transaction."""

    uuid: UUID
    label: str
    seq: int
    """Its change number when it was locked."""


async def lock_production(context: WriteContext, key: str) -> LockedProduction:
    """Lock the production under a key, before anything else is read.

    Raises NotFound, AmbiguousId, and WriteRace where the context is no transaction yet.
    """
    context.require_lock()
    row = await context.read(root(), key)
    return LockedProduction(row.uuid, row.members["id"], row.seq)


async def is_key_of(connection: DatabaseConnection, production: LockedProduction, key: str) -> bool:
    """Return whether a key is the production's uuid or a label that it has or had."""
    if key == production.label or known_uuid(key) == production.uuid:
        return True
    if not can_be_stored(key):
        return False
    label = await connection.fetchval(statements(root()).label, production.uuid)
    former = FORMER_LABEL, production.uuid, production.uuid, key
    return key == label or bool(await connection.fetchval(*former))


async def find_in(
    connection: DatabaseConnection, production: LockedProduction, entity: type[Row], key: str
) -> UUID:
    """Return the uuid of the production's one live row under a uuid or a label.

    Other productions may use the same label. Raises NotFound and AmbiguousId.
    """
    uuids = await references.find_uuids(connection, entity, production.uuid, key)
    if not uuids:
        raise not_found(entity, key)
    if len(uuids) > 1:
        raise ambiguous(key, [(uuid, production.label) for uuid in uuids])
    return uuids[0]

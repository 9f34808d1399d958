"""Look-ups for who sees only some productions: a key is looked for in those, and nowhere else.

Whether a row of another production has the key or none has, the same statements run and the same
comes of it. What was found is then named by its uuid, so that nobody looks for the key again.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from app.database.database import Database
from app.entities import root
from app.model.entity import Entity, Row
from app.model.schemas import can_be_stored, known_uuid
from app.rules import labels
from app.sql.projection import all_devices, table
from app.sql.reads import aggregate, few_labelled
from app.sql.registry import statement, statements_of_entities

_MOST: Final = 20
_SHOWS: Final = "uuid = ANY ($1::uuid[]) AND NOT is_deleted"
# The newest deleted production labelled $1 among those with uuids $2.
DELETED: Final = statement(
    "SELECT uuid, uuid AS production, id AS show FROM productions "
    "WHERE uuid = ANY ($2::uuid[]) AND id = $1 AND is_deleted ORDER BY created_at DESC LIMIT 1"
)
# The device with uuid $1 in one of the productions $2.
DEVICE: Final = statement(
    "SELECT uuid, production FROM ("
    f"{all_devices('uuid, production_uuid AS production', '')}"
    ") AS device WHERE uuid = $1 AND production = ANY ($2::uuid[]) LIMIT 1"
)
# The live productions among $1 as one JSON array, and a token that every change of them changes.
OWN_SHOWS: Final = statement(
    f"SELECT ({aggregate(root(), 'productions.uuid = ANY ($1::uuid[]) AND NOT is_deleted')}) "
    f"AS body, (SELECT md5(string_agg(uuid || ' ' || version || ' ' || updated_at, ' ' ORDER BY "
    f"uuid)) FROM productions WHERE {_SHOWS}) AS tag"
)
# The labels of the live productions among $1.
OWN_LABELS: Final = statement(
    f"SELECT coalesce(array_agg(id), '{{}}') FROM productions WHERE {_SHOWS}"
)


@dataclass(frozen=True)
class OwnRowStatements:
    """One entity's statements, which look into the productions $2 alone.

    Both return the ``uuid`` of a row, and the uuid of its ``production`` and its label as ``show``.
    """

    own_by_uuid: str
    """The row with uuid $1, deleted or not."""
    own_by_label: str
    """Up to 20 live rows with one of the labels $1."""


@statements_of_entities
def own_row_statements(entity: type[Row]) -> OwnRowStatements:
    """Return an entity's statements."""
    name = table(entity)
    is_scoped = issubclass(entity, Entity)
    own = f"{name}.production_uuid" if is_scoped else f"{name}.uuid"
    joined = f"{name} JOIN productions ON productions.uuid = {own}" if is_scoped else name
    select = f"SELECT {name}.uuid, {own} AS production, productions.id AS show FROM {joined} WHERE"
    # Of the productions, not of the rows: else PostgreSQL would read all productions to join them.
    within = "productions.uuid = ANY ($2::uuid[])"
    return OwnRowStatements(
        own_by_uuid=f"{select} {name}.uuid = $1 AND {within}",
        own_by_label=f"{select} {within} AND {few_labelled(entity, _MOST, '$1::text[]')}",
    )


async def find(
    database: Database, entity: type[Row], key: str, shows: Collection[UUID]
) -> list[Any]:
    """Return the rows under a key in some productions: that of the uuid, else those of the label.

    A label that no live production has may be a deleted one's, whose history is asked for.
    """
    own, sql = list(shows), own_row_statements(entity)
    async with database.connection() as connection:
        uuid = known_uuid(key)
        if uuid and (row := await connection.fetchrow(sql.own_by_uuid, uuid, own)):
            return [row]
        if not can_be_stored(key):
            return []
        rows = await connection.fetch(sql.own_by_label, [key], own)
        if not rows:
            rows = await connection.fetch(sql.own_by_label, labels.spellings(key), own)
        if not rows and entity is root():
            rows = await connection.fetch(DELETED, key, own)
        return list(rows)


async def find_device(database: Database, uuid: UUID, shows: Collection[UUID]) -> Any:
    """Return uuid and production of a device in some productions, None where there is none."""
    return await database.row(DEVICE, uuid, list(shows))

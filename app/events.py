"""The history of a production as one list: our change log and the older service's events.

An event's ``entityId`` is the entity's uuid. The older service logged by text key: where a live
row still carries that label, its uuid is given, else the key it was logged with.
"""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from app.db import Database
from app.entities import discovered, root
from app.entity import Entity
from app.errors import NotFound
from app.projection import MOMENT, table
from app.shapes import known_uuid

_MILLISECOND: Final = timedelta(milliseconds=1)
_SHOWN: Final = (
    "SELECT coalesce(json_agg(row_to_json(event)), '[]') FROM (SELECT uuid, seq, "
    'production AS "productionId", production_uuid AS "productionUuid", type AS "eventType", '
    'operation, entity AS "entityId", data AS "entityData", changes, user_id AS "userId", '
    'user_name AS "userName", version, '
    '{moment} AS "timestamp" '
    "FROM (({ours}) UNION ALL ({older})) AS entry ORDER BY at {way}, seq {way} LIMIT $2) AS event"
)
_LABELLED: Final = "SELECT uuid, id, production_uuid FROM {table} WHERE NOT is_deleted"


def _event_type() -> str:
    words = " ".join(
        f"WHEN '{collection}' THEN '{entity.event_type}'"
        for collection, entity in discovered().items()
    )
    return f"CASE collection {words} ELSE upper(collection) END"


def _labelled() -> str:
    """Give the live rows of every type with their labels; a production is its own."""
    scoped = [e for e in discovered().values() if issubclass(e, Entity)]
    own = f"SELECT uuid, id, uuid AS production_uuid FROM {table(root())} WHERE NOT is_deleted"
    return " UNION ALL ".join([own, *(_LABELLED.format(table=table(e)) for e in scoped)])


def _ours(condition: str, way: str) -> str:
    return (
        "SELECT changes.uuid, seq, productions.id AS production, changes.production_uuid, "
        f"{_event_type()} AS type, operation, entity_uuid::text AS entity, entity AS data, "
        "changes.changes::json AS changes, user_id, user_name, changes.version, at "
        "FROM changes JOIN productions ON productions.uuid = changes.production_uuid "
        f"WHERE changes.production_uuid = $1 AND {condition} "
        f"ORDER BY at {way}, seq {way} LIMIT $2"
    )


def _older(condition: str, way: str) -> str:
    today = (
        f"SELECT labelled.uuid::text FROM ({_labelled()}) AS labelled "
        "WHERE labelled.id = events.entity_id "
        "AND labelled.production_uuid = events.production_uuid LIMIT 1"
    )
    return (
        "SELECT events.uuid, NULL::bigint, productions.id, events.production_uuid, "
        f"event_type::text, operation::text, coalesce(({today}), entity_id), entity_data::json, "
        "events.changes::json, user_id, user_name, events.version, "
        'events."timestamp"::timestamptz AS at '
        "FROM events JOIN productions ON productions.uuid = events.production_uuid "
        f"WHERE events.production_uuid = $1 AND {condition} "
        f'ORDER BY events."timestamp" {way}, events.uuid {way} LIMIT $2'
    )


def _events(ours: str, older: str, way: str) -> str:
    return _SHOWN.format(
        moment=MOMENT.format(column="at"), ours=_ours(ours, way), older=_older(older, way), way=way
    )


NEWEST: Final = _events("true", "true", "DESC")
OF_ENTITY: Final = _events(
    "entity_uuid = ANY($3::uuid[])", "events.entity_id = ANY($4::text[])", "DESC"
)
SINCE: Final = _events("at >= $3::timestamptz", 'events."timestamp" >= $3::timestamptz', "ASC")
# A deleted production keeps its history; of several with that label the live one is meant.
PRODUCTION: Final = (
    "SELECT uuid FROM productions WHERE uuid = $1::uuid OR id = $2 "
    "ORDER BY uuid = $1::uuid DESC NULLS LAST, is_deleted, created_at DESC LIMIT 1"
)
ENTITY: Final = (
    "SELECT uuid, id FROM (" + " UNION ALL ".join(
        f"SELECT uuid, id, {'production_uuid' if issubclass(e, Entity) else 'uuid'} "
        f"AS production FROM {table(e)}" for e in discovered().values()
    ) + ") AS row WHERE production = $1 AND (uuid = $2::uuid OR id = $3)"
)  # fmt: skip
STATEMENTS: Final = (NEWEST, OF_ENTITY, SINCE, PRODUCTION, ENTITY)


async def newest(database: Database, production: str, limit: int) -> bytes:
    """Give the last ``limit`` events, newest first, as a JSON array. Raises NotFound."""
    return await database.read(NEWEST, await _production(database, production), limit) or b"[]"


async def of_entity(database: Database, production: str, key: str, limit: int) -> bytes:
    """Give the events of one entity, deleted or not, newest first. Raises NotFound."""
    uuid = await _production(database, production)
    async with database.connection() as connection:
        rows = await connection.fetch(ENTITY, uuid, known_uuid(key), key)
    uuids = [row["uuid"] for row in rows] or [u for u in [known_uuid(key)] if u]
    texts = list({key, *(row["id"] for row in rows)})
    return await database.read(OF_ENTITY, uuid, limit, uuids, texts) or b"[]"


async def since(database: Database, production: str, moment: datetime, limit: int) -> bytes:
    """Give the events after an instant, in whole milliseconds as clients know it, oldest first.

    Raises NotFound.
    """
    uuid = await _production(database, production)
    return await database.read(SINCE, uuid, limit, moment + _MILLISECOND) or b"[]"


async def _production(database: Database, key: str) -> UUID:
    async with database.connection() as connection:
        found: UUID | None = await connection.fetchval(PRODUCTION, known_uuid(key), key)
    if found is None:
        raise NotFound(f"No production is called {key!r}.", error=f"{root().noun} not found")
    return found

"""The history of a production as one list: our change log and the older service's events.

An event's ``entityId`` is the entity's uuid. The older service logged labels: where a live row
still has the label, its uuid is returned, else the label.
"""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from app.database.database import Database
from app.entities import discovered, root
from app.errors import NotFound
from app.model.entity import Entity, Row
from app.model.schemas import known_uuid
from app.sql.projection import MOMENT, table
from app.sql.registry import statement

_MILLISECOND: Final = timedelta(milliseconds=1)
_SHOWN: Final = (
    "SELECT coalesce(json_agg(row_to_json(event)), '[]') FROM (SELECT uuid, seq, "
    'production AS "productionId", production_uuid AS "productionUuid", type AS "eventType", '
    'operation, entity AS "entityId", data AS "entityData", changes, user_id AS "userId", '
    'user_name AS "userName", version, {moment} AS "timestamp" '
    "FROM (({ours}) UNION ALL ({older})) AS entry ORDER BY at {way}, seq {way} LIMIT $2) AS event"
)
_CALLED: Final = "SELECT id FROM productions WHERE uuid = $1"
_LABELLED: Final = (
    "SELECT {rank} AS rank, uuid, id, created_at FROM {table} WHERE {own} = $1 AND NOT is_deleted"
)


def type_name(attribute: str, otherwise: str) -> str:
    """Return the SQL of a name that the type of a log entry's ``collection`` declares."""
    cases = " ".join(
        f"WHEN '{collection}' THEN '{getattr(entity, attribute)}'"
        for collection, entity in discovered().items()
    )
    return f"CASE collection {cases} ELSE {otherwise} END"


EVENT_TYPE: Final = type_name("event_type", "upper(collection)")


def _own(entity: type[Row]) -> str:
    """Return the column that names a row's production; a production is its own."""
    return "production_uuid" if issubclass(entity, Entity) else "uuid"


def _today() -> str:
    """Return the SQL of a map from the picked events' labels to the uuids that they have today.

    Where several rows have a label, it is the oldest row of the first type.
    """
    labelled = " UNION ALL ".join(
        _LABELLED.format(rank=rank, table=table(entity), own=_own(entity))
        for rank, entity in enumerate(discovered().values())
    )
    order = "rank DESC, created_at DESC, uuid DESC"  # of several the last is kept
    return (
        f"SELECT jsonb_object_agg(id, uuid ORDER BY {order}) FROM ({labelled}) AS labelled "
        "WHERE id IN (SELECT entity_id FROM picked)"
    )


def _ours(condition: str, way: str) -> str:
    return (
        f"SELECT changes.uuid, seq, ({_CALLED}) AS production, changes.production_uuid, "
        f"{EVENT_TYPE} AS type, operation, entity_uuid::text AS entity, entity AS data, "
        "changes.changes::json AS changes, user_id, user_name, changes.version, at "
        f"FROM changes WHERE changes.production_uuid = $1 AND {condition} "
        f"ORDER BY at {way}, seq {way} LIMIT $2"
    )


def _older(condition: str, way: str) -> str:
    order = f'ORDER BY events."timestamp" {way}, events.uuid {way}'
    return (
        f"WITH picked AS MATERIALIZED (SELECT * FROM events "
        f"WHERE events.production_uuid = $1 AND {condition} {order} LIMIT $2) "
        f"SELECT events.uuid, NULL::bigint, ({_CALLED}), events.production_uuid, "
        f"event_type::text, operation::text, coalesce(({_today()}) ->> entity_id, entity_id), "
        "entity_data::json, events.changes::json, user_id, user_name, events.version, "
        f'events."timestamp"::timestamptz AS at FROM picked AS events {order}'
    )


def _events(ours: str, older: str, way: str) -> str:
    moment = MOMENT.format(column="at")
    return _SHOWN.format(moment=moment, ours=_ours(ours, way), older=_older(older, way), way=way)


NEWEST: Final = statement(_events("true", "true", "DESC"))
OF_ENTITY: Final = statement(
    _events("entity_uuid = ANY($3::uuid[])", "events.entity_id = ANY($4::text[])", "DESC")
)
SINCE: Final = statement(
    _events("at >= $3::timestamptz", 'events."timestamp" >= $3::timestamptz', "ASC")
)
# A deleted production keeps its history; of several with one label the live one counts.
_LAST_CALLED: Final = (
    "SELECT uuid FROM productions WHERE id = $2 AND {which} ORDER BY created_at DESC LIMIT 1"
)
PRODUCTION: Final = statement(
    "SELECT coalesce((SELECT uuid FROM productions WHERE uuid = $1::uuid), "
    f"({_LAST_CALLED.format(which='NOT is_deleted')}), ({_LAST_CALLED.format(which='is_deleted')}))"
)


def _entity() -> str:
    """Return the SQL for the rows of production $1 with uuid $2, else label $3, deleted or not.

    Deleted rows are in no index of labels. They are in the production's log, or else only in the
    older events, by their label.
    """
    rows = " UNION ALL ".join(
        f"SELECT uuid, id, is_deleted, {_own(entity)} AS production FROM {table(entity)}"
        for entity in discovered().values()
    )
    logged = (
        "SELECT DISTINCT entity_uuid FROM changes WHERE production_uuid = $1 "
        "AND entity_uuid NOT IN (SELECT uuid FROM live)"
    )
    return (
        f"WITH named AS MATERIALIZED (SELECT uuid, id FROM ({rows}) AS row "
        "WHERE uuid = $2::uuid AND production = $1), "
        f"live AS MATERIALIZED (SELECT uuid, id FROM ({rows}) AS row "
        "WHERE production = $1 AND NOT is_deleted), "
        "labelled AS (SELECT uuid, id FROM live WHERE id = $3 UNION ALL "
        f"SELECT row.uuid, row.id FROM ({logged}) AS logged JOIN ({rows}) AS row "
        "ON row.uuid = logged.entity_uuid WHERE row.production = $1 AND row.id = $3) "
        "SELECT uuid, id FROM named UNION ALL "
        "SELECT uuid, id FROM labelled WHERE NOT EXISTS (SELECT FROM named)"
    )


ENTITY: Final = statement(_entity())


async def newest(database: Database, production: str, limit: int) -> bytes:
    """Return the last ``limit`` events, newest first, as a JSON array. Raises NotFound."""
    return await database.read(NEWEST, await production_of(database, production), limit) or b"[]"


async def of_entity(database: Database, production: str, key: str, limit: int) -> bytes:
    """Return the events of one entity, deleted or not, newest first. Raises NotFound."""
    uuid = await production_of(database, production)
    async with database.connection() as connection:
        rows = await connection.fetch(ENTITY, uuid, known_uuid(key), key)
    uuids = [row["uuid"] for row in rows] or [u for u in [known_uuid(key)] if u]
    texts = list({key, *(row["id"] for row in rows)})
    return await database.read(OF_ENTITY, uuid, limit, uuids, texts) or b"[]"


async def since(database: Database, production: str, moment: datetime, limit: int) -> bytes:
    """Return the events after an instant, which clients know in milliseconds, oldest first.

    Raises NotFound.
    """
    uuid = await production_of(database, production)
    return await database.read(SINCE, uuid, limit, moment + _MILLISECOND) or b"[]"


async def production_of(database: Database, key: str) -> UUID:
    """Return the uuid of a production, deleted or not. Raises NotFound."""
    async with database.connection() as connection:
        uuid: UUID | None = await connection.fetchval(PRODUCTION, known_uuid(key), key)
    if uuid is None:
        raise NotFound(f"No production is called {key!r}.", error=f"{root().noun} not found")
    return uuid

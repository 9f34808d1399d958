"""The history of one row, deleted or not, as people read it: who changed what, newest first."""

from dataclasses import dataclass
from typing import Final

from app.database.database import Database
from app.model.entity import Entity, Row
from app.model.schemas import known_uuid
from app.sql.projection import MOMENT, table
from app.sql.registry import statements_of_entities
from app.store.read import find_row

NEWEST: Final = 2**63 - 1
"""A number beyond all: the history from its end."""


@dataclass(frozen=True)
class HistoryStatements:
    """One entity's statements: $1 is the row's uuid; at most $3 entries before number $2.

    Both return ``entries`` as JSON, and ``next``: the last one's number where older ones follow.
    """

    brief: str
    full: str
    """The same, each entry with the row as it was then."""
    version: str
    """The row with uuid $1 as JSON at version $2, as ``entity``; and the ``oldest`` version that
    the log holds of it."""


@statements_of_entities
def history_statements(entity: type[Row]) -> HistoryStatements:
    """Return an entity's statements."""
    return HistoryStatements(
        brief=_entries(entity, ""), full=_entries(entity, ", entity"), version=_version(entity)
    )


def _logged(entity: type[Row]) -> str:
    owner = "production_uuid" if issubclass(entity, Entity) else "uuid"
    return f"changes.production_uuid = own.{owner} AND changes.entity_uuid = own.uuid"


def _entries(entity: type[Row], more: str) -> str:
    logged = _logged(entity)
    entries = (
        f'SELECT seq, changes.version, operation, {MOMENT.format(column="at")} AS "timestamp", '
        f'user_id AS "userId", user_name AS "userName", blind, changes.changes{more} FROM changes '
        f"WHERE {logged} AND seq < $2 ORDER BY seq DESC LIMIT $3"
    )
    older = f"SELECT FROM changes WHERE {logged} AND seq < page.last"
    return (
        f"SELECT page.entries, CASE WHEN EXISTS ({older}) THEN page.last END AS next "
        f"FROM {table(entity)} AS own, LATERAL (SELECT coalesce(json_agg(row_to_json(entry) "
        "ORDER BY entry.seq DESC), '[]') AS entries, min(entry.seq) AS last "
        f"FROM ({entries}) AS entry) AS page WHERE own.uuid = $1"
    )


def _version(entity: type[Row]) -> str:
    logged = _logged(entity)
    return (
        f"SELECT (SELECT entity FROM changes WHERE {logged} AND changes.version = $2 "
        "ORDER BY seq DESC LIMIT 1) AS entity, "
        f"(SELECT changes.version FROM changes WHERE {logged} ORDER BY seq LIMIT 1) AS oldest "
        f"FROM {table(entity)} AS own WHERE own.uuid = $1"
    )


async def of_row(
    database: Database, entity: type[Row], key: str, *, before: int, limit: int, full: bool
) -> bytes:
    """Return ``limit`` entries before a number as a JSON object. Raises NotFound, AmbiguousId."""
    sql = history_statements(entity).full if full else history_statements(entity).brief
    uuid = known_uuid(key)
    row = await database.row(sql, uuid, before, limit) if uuid else None
    if row is None:
        async with database.connection() as connection:
            row = await find_row(connection, entity, sql, key, before, limit)
    following = b"null" if row["next"] is None else b"%d" % row["next"]
    return b'{"history":%b,"next":%b}' % (row["entries"], following)

"""The feed of a production: its change log by number, oldest first, for clients that keep up.

One statement returns the entries, the newest number and the oldest that is still held, so all are
of one snapshot. Numbers are assigned under the production's lock and become visible with their
entries: who has read up to a number has missed nothing before it.
"""

from typing import Final
from uuid import UUID

import asyncpg

from app.changelog.events import EVENT_TYPE, production_of, type_name
from app.database.database import Database
from app.entities import root
from app.errors import LogTrimmed
from app.model.schemas import known_uuid
from app.sql.projection import MOMENT
from app.sql.registry import statement

_ENTITY_TYPE: Final = type_name("entity_type", "collection")
# An entry of the production ``place``; a condition on its number follows.
ENTRY: Final = (
    'SELECT changes.uuid, seq, place.id AS "productionId", '
    f'changes.production_uuid AS "productionUuid", {EVENT_TYPE} AS "eventType", collection, '
    f'{_ENTITY_TYPE} AS "entityType", operation, entity_uuid AS "entityId", '
    'entity AS "entityData", changes.changes, blind, user_id AS "userId", user_name AS "userName", '
    f'changes.version, {MOMENT.format(column="at")} AS "timestamp" '
    "FROM changes WHERE changes.production_uuid = place.uuid"
)
# Bytes of rows in one page, the last entry's not counted: a row may be as large as a body, and an
# entry holds its row about three times.
LARGEST: Final = 4_000_000
# The last number of a page: at most $3 entries, and no more of them than bytes allow.
_LAST: Final = (
    "SELECT max(seq) FROM (SELECT seq, sum(size) OVER (ORDER BY seq) - size AS before FROM ("
    "SELECT seq, coalesce(octet_length(entity::text), 0) AS size FROM changes "
    "WHERE production_uuid = place.uuid AND seq > $2 ORDER BY seq LIMIT $3) AS few) AS sized "
    f"WHERE before < {LARGEST}"
)
_ENTRIES: Final = f"{ENTRY} AND seq > $2 AND seq <= ({_LAST}) ORDER BY seq"
OLDEST: Final = "SELECT seq FROM changes WHERE production_uuid = place.uuid ORDER BY seq LIMIT 1"
# The entries of production $1 after number $2, at most $3: as JSON, and the last one's number.
# Fewer where they are large; then the last number is below the latest.
FEED: Final = statement(
    "SELECT place.change_seq AS latest, "
    f"coalesce(({OLDEST}), place.change_seq + 1) AS oldest, page.entries, page.last "
    "FROM productions AS place, LATERAL (SELECT coalesce(json_agg(row_to_json(entry) "
    "ORDER BY entry.seq), '[]') AS entries, coalesce(max(entry.seq), $2::bigint) AS last "
    f"FROM ({_ENTRIES}) AS entry) AS page WHERE place.uuid = $1"
)


async def page(database: Database, production: str, since: int, limit: int) -> bytes:
    """Return at most ``limit`` entries after number ``since`` as JSON; fewer if they are large.

    Raises NotFound, and LogTrimmed where the log does not hold what follows ``since``.
    """
    uuid = known_uuid(production)
    row = await database.row(FEED, uuid, since, limit) if uuid else None
    if row is None:
        uuid = await production_of(database, production)
        row = await database.row(FEED, uuid, since, limit)
    assert row is not None, "productions are never removed"
    if error := gap(uuid, row, since):
        raise error
    last, latest = row["last"], row["latest"]
    more = b"true" if last < latest else b"false"
    return b'{"changes":%b,"next":%d,"latest":%d,"more":%b}' % (row["entries"], last, latest, more)


def gap(
    production: UUID | None, row: asyncpg.Record, since: int, newest: int | None = None
) -> LogTrimmed | None:
    """Return the error for a log that does not hold what follows ``since``, None where it does.

    ``newest`` is the highest number that the client can know, if that is not the log's last.
    """
    oldest, latest = row["oldest"], row["latest"]
    if oldest - 1 <= since <= (latest if newest is None else newest):
        return None
    return trimmed(production, oldest, latest, since)


def trimmed(production: UUID | None, oldest: int, latest: int, since: int) -> LogTrimmed:
    """Return the error that says how a client goes on where the log does not reach back."""
    words = (
        f"The log of this production holds the changes {oldest} to {latest}, so not all that "
        f"followed {since}: load the show from 'resync', then ask for the changes since {latest}."
    )
    resync = f"/api/{root().collection}/{production}/show"
    return LogTrimmed(words, oldest=oldest, latest=latest, resync=resync)

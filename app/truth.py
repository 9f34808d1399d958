"""What the code demands of the database: every statement it will ever run, ready to be prepared.

A statement is planned by PostgreSQL against the catalogue as it is, so one that names a column
which no migration made fails here, before a client meets it.
"""

from collections.abc import Iterable, Mapping

import asyncpg

from app.changes import BASES, FORMER_LABEL, WRITTEN
from app.entities import discovered
from app.events import STATEMENTS as EVENT_STATEMENTS
from app.feed import FEED
from app.history import all_history_sql
from app.idempotency import STATEMENTS as KEY_STATEMENTS
from app.live.derived import STATEMENTS as DERIVED_STATEMENTS
from app.live.hub import NUMBERS
from app.live.presence_sql import STATEMENTS as PRESENCE_STATEMENTS
from app.live.relay import STATEMENTS as RELAY_STATEMENTS
from app.live.rooms_sql import STATEMENTS as ROOM_STATEMENTS
from app.live.shows import STATEMENTS as SHOWS_STATEMENTS
from app.offline import LAST_WRITER
from app.retention import STATEMENTS as RETENTION_STATEMENTS
from app.show_sql import all_show_sql
from app.statements import all_sql
from app.sync_log import STATEMENTS as SYNC_STATEMENTS
from app.write_statements import all_write_sql
from app.writer import LOCK

CHANGE_LOG = "changes"
SHOW = "show"


def demands() -> dict[str, tuple[str, ...]]:
    """Give every statement of every collection, of the change log, and of the show."""
    own = {
        name: tuple(
            sql
            for made in (all_sql, all_write_sql, all_history_sql)
            for sql in made(entity).values()
        )
        for name, entity in discovered().items()
    }
    log = (
        LOCK,
        BASES,
        FORMER_LABEL,
        WRITTEN,
        FEED,
        *EVENT_STATEMENTS,
        *RETENTION_STATEMENTS,
        *KEY_STATEMENTS,
        LAST_WRITER,
        *SYNC_STATEMENTS,
        NUMBERS,
        *DERIVED_STATEMENTS,
        *SHOWS_STATEMENTS,
        *PRESENCE_STATEMENTS,
        *RELAY_STATEMENTS,
        *ROOM_STATEMENTS,
    )
    return {**own, CHANGE_LOG: log, SHOW: all_show_sql()}


def collections() -> tuple[str, ...]:
    """Name what ``demands`` tells of."""
    return (*discovered(), CHANGE_LOG, SHOW)


async def failures(
    connection: asyncpg.Connection, statements: Mapping[str, Iterable[str]]
) -> dict[str, str]:
    """Prepare all of them; give for each collection that cannot be served its first failure."""
    found = {name: await _first_failure(connection, sql) for name, sql in statements.items()}
    return {name: words for name, words in found.items() if words}


async def _first_failure(connection: asyncpg.Connection, statements: Iterable[str]) -> str:
    for sql in statements:
        try:
            # Without a name it needs no session that lasts, and nothing has to be closed.
            await connection.prepare(sql, name="")
        except asyncpg.SyntaxOrAccessError as wrong:
            return str(wrong).partition("\n")[0]
    return ""

"""What the code demands of the database: every statement it will ever run, ready to be prepared.

A statement is planned by PostgreSQL against the catalogue as it is, so one that names a column
which no migration made fails here, before a client meets it.
"""

from collections.abc import Iterable, Mapping

import asyncpg

from app.changelog.events import STATEMENTS as EVENT_STATEMENTS
from app.changelog.feed import FEED
from app.changelog.log import BASES, FORMER_LABEL, WRITTEN
from app.entities import discovered
from app.live.feed.derived_rows import STATEMENTS as DERIVED_STATEMENTS
from app.live.feed.hub import NUMBERS
from app.live.feed.production_list import STATEMENTS as SHOWS_STATEMENTS
from app.live.sockets.broadcast import STATEMENTS as RELAY_STATEMENTS
from app.live.sockets.presence_sql import STATEMENTS as PRESENCE_STATEMENTS
from app.live.sockets.rooms import STATEMENTS as ROOM_STATEMENTS
from app.retention import STATEMENTS as RETENTION_STATEMENTS
from app.sql.reads import all_sql
from app.sql.show import all_show_sql
from app.sql.writes import all_write_sql
from app.store.history import all_history_sql
from app.store.idempotency import STATEMENTS as KEY_STATEMENTS
from app.store.write_context import LOCK
from app.sync.apply import LAST_WRITER
from app.sync.runs import STATEMENTS as SYNC_STATEMENTS

CHANGE_LOG = "changes"
SHOW = "show"


def required_statements() -> dict[str, tuple[str, ...]]:
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

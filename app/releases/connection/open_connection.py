"""A connection to a database outside any pool, for a few questions."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from app.database.url import DatabaseUrl
from app.releases.connection.server_faults import server_fault
from app.releases.verdict import MigrationError


@asynccontextmanager
async def open_connection(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Open a connection, and close it at the end. Raises MigrationError when it cannot."""
    try:
        connection = await asyncpg.connect(**DatabaseUrl.parse(url).connect_args())
    except (OSError, TimeoutError) as away:
        cause = server_fault(away)
        words = cause.words if cause else f"The database does not answer ({type(away).__name__})."
        raise MigrationError(words) from away
    try:
        yield connection
    finally:
        await connection.close()

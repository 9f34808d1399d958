"""The database as the service opens it, for the words that write a show."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from app import show
from app.database_url import DatabaseUrl
from app.db import Database
from app.settings import Settings
from app.terminal import give_up


@asynccontextmanager
async def opened(settings: Settings, url: str) -> AsyncIterator[Database]:
    """Lend the open database."""
    database = Database(DatabaseUrl.parse(url), settings)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@contextmanager
def showing() -> Iterator[None]:
    """Give up with a sentence where a file is no show."""
    try:
        yield
    except show.BadShow as bad:
        give_up(bad)

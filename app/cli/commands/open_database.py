"""The database as the service opens it, for the commands that write a show."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from app.cli import load_show
from app.cli.startup import give_up
from app.database.database import Database
from app.database.url import DatabaseUrl
from app.settings import Settings


@asynccontextmanager
async def opened(settings: Settings, url: str) -> AsyncIterator[Database]:
    """Yield the open database."""
    database = Database(DatabaseUrl.parse(url), settings)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@contextmanager
def showing() -> Iterator[None]:
    """Exit with a sentence where a file is no show."""
    try:
        yield
    except load_show.BadShow as bad:
        give_up(bad)

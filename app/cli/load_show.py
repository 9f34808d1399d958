"""Loads a whole show from a file, in one transaction: all of it or nothing.

``app.shows.show_document`` says what the file holds.
"""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from pydantic_core import from_json

from app.changelog.log import Actor
from app.cli.startup import BadShow
from app.database.database import Database
from app.database.url import DatabaseUrl
from app.errors import Conflict, SignalbookError
from app.rules.json_text import read_json
from app.settings import Settings
from app.shows import show_document
from app.shows.references_within import Document
from app.store.write_context import WriteContext

_ONE_AT_A_TIME: Final = "SELECT pg_advisory_xact_lock(7305791, 2)"
_BESIDE: Final = " To load the show beside the one that is here: load --as-copy."
STANDARD_INPUT: Final = Path("-")
SAMPLE: Final = Path(__file__).parents[1] / "sample" / "show.json"


@asynccontextmanager
async def opened(settings: Settings, url: str) -> AsyncIterator[Database]:
    """Yield the database, open as the service opens it."""
    database = Database(DatabaseUrl.parse(url), settings)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


async def load(database: Database, show: Document, say: Callable[[str], None] = print) -> str:
    """Load a show, as ``read`` gives it, and return its production's label.

    Raises BadShow, and what the database raises. Loading a show twice makes two productions.
    """
    try:
        async with database.transaction() as connection:
            return await _load(WriteContext(connection, locked=True), show, say)
    except SignalbookError as error:
        if error.status >= 500:
            raise
        hint = _BESIDE if isinstance(error, Conflict) else ""
        raise BadShow(f"{error.message}{hint}") from None


async def load_sample_if_empty(database: Database, say: Callable[[str], None]) -> None:
    """Load the sample show into a database that has never had a production, once."""
    async with database.transaction() as connection:
        await connection.execute(_ONE_AT_A_TIME)
        if await connection.fetchval("SELECT NOT EXISTS (SELECT FROM productions)"):
            await _load(WriteContext(connection, locked=True), read(SAMPLE), say)


async def _load(context: WriteContext, show: Document, say: Callable[[str], None]) -> str:
    new = await show_document.load(context, show, Actor())
    production = from_json(new.production)
    counts = ", ".join(f"{count} {name}" for name, count in new.counts.items() if count) or "empty"
    label = str(production["id"])
    say(f"Loaded {production['showName']!r} as {label!r}: {counts}.")
    return label


def read(file: Path) -> Document:
    """Return what a file, or with "-" standard input, holds. Raises BadShow if it is no show."""
    name = "standard input" if file == STANDARD_INPUT else str(file)
    try:
        content = sys.stdin.buffer.read() if file == STANDARD_INPUT else file.read_bytes()
        return show_document.check(read_json(content))
    except OSError as error:
        raise BadShow(f"{name}: {error.strerror}") from None
    except ValueError as error:
        raise BadShow(f"{name} is not JSON: {error}") from None
    except SignalbookError as error:
        raise BadShow(f"{name}: {error.message}") from None

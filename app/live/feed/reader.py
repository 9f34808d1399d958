"""Reads the log for those who watch: a few reads at a time, and again until the database
answers."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar
from uuid import UUID

import structlog

from app.database.database import Database
from app.live.feed.derived_rows import with_derived
from app.live.feed.entries import PAGE, Page, page

_log: Final = structlog.get_logger()
# The pool is for requests first.
_AT_A_TIME: Final = 3
_FIRST: Final = 0.1  # seconds before the second try
_LONGEST: Final = 2.0  # seconds between two tries
T = TypeVar("T")


class Reader:
    """What all watches of a process read with. It says one line when the database is lost to them,
    and one when it is back."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._places = asyncio.Semaphore(_AT_A_TIME)
        self._lost = False

    async def page(self, production: UUID, since: int, limit: int = PAGE) -> Page:
        """Read what follows ``since``, with derived rows, as soon as the database answers.

        What could not be read is read in smaller pieces: large rows may be too much at once. A
        production that was removed by hand has nothing more to tell.
        """
        most = limit

        async def read() -> Page:
            nonlocal most
            now, most = most, max(1, most // 2)
            found = await page(self.database, production, since, now)
            if found is None:
                return Page(since, since, since)
            entries = await with_derived(self.database, production, found.entries)
            return Page(since, found.through, found.latest, entries, found.lost)

        return await self.surely(read)

    async def rows(self, sql: str, *args: object) -> list[Any]:
        """Give a statement's rows, as soon as the database answers."""

        async def read() -> list[Any]:
            async with self.database.connection() as connection:
                return list(await connection.fetch(sql, *args))

        return await self.surely(read)

    async def surely(self, read: Callable[[], Awaitable[T]]) -> T:
        """Read, again and again until it succeeds."""
        wait = _FIRST
        while True:
            try:
                async with self._places:
                    found = await read()
            except Exception as error:  # noqa: BLE001  # a watch must outlive any failure
                self._say_lost(error)
            else:
                self._say_back()
                return found
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311  # no secret
            wait = min(wait * 2, _LONGEST)

    def _say_lost(self, error: Exception) -> None:
        if not self._lost:
            self._lost = True
            words = "The change log cannot be read; it is tried again and again."
            _log.warning("watches wait", reason=type(error).__name__, words=words)

    def _say_back(self) -> None:
        if self._lost:
            self._lost = False
            _log.info("watches go on", words="The change log can be read again.")

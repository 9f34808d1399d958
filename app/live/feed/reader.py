"""Reads for subscribers: a few reads at a time, each repeated until the database answers."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import structlog

from app.database.database import Database

_log: Final = structlog.get_logger()
# The pool is for requests first.
_AT_A_TIME: Final = 3
_FIRST_WAIT: Final = 0.1  # seconds before the second try
_LONGEST_WAIT: Final = 2.0  # seconds between two tries
T = TypeVar("T")


class Reader:
    """What all subscriptions of a process read with.

    It logs one line when the database stops answering, and one when it answers again.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._slots = asyncio.Semaphore(_AT_A_TIME)
        self._failing = False

    async def rows(self, sql: str, *args: object) -> list[Any]:
        """Return a statement's rows, as soon as the database answers."""

        async def read() -> list[Any]:
            async with self.database.connection() as connection:
                return list(await connection.fetch(sql, *args))

        return await self.retry(read)

    async def retry(self, read: Callable[[], Awaitable[T]]) -> T:
        """Read, again and again until it succeeds."""
        wait = _FIRST_WAIT
        while True:
            try:
                async with self._slots:
                    result = await read()
            except Exception as error:  # noqa: BLE001  # a subscription must outlive any failure
                if not self._failing:
                    words = "The change log cannot be read; it is tried again and again."
                    _log.warning("watches wait", reason=type(error).__name__, words=words)
                self._failing = True
            else:
                if self._failing:
                    _log.info("watches go on", words="The change log can be read again.")
                self._failing = False
                return result
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311  # no secret
            wait = min(wait * 2, _LONGEST_WAIT)

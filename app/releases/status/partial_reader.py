"""Reads the status part by part: a part that is locked, or comes late, is left out alone."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, ParamSpec, TypeVar

from asyncpg import exceptions as pg

from app.releases.verdict import MigrationContended

_UNREADABLE: Final = (
    TimeoutError, MigrationContended, pg.LockNotAvailableError, pg.QueryCanceledError,
)  # fmt: skip

P = ParamSpec("P")
T = TypeVar("T")


class PartialReader:
    """Reads one part after another until a moment of the loop's clock.

    ``unread`` names the parts that could not be read.
    """

    def __init__(self, until: float) -> None:
        self._until = until
        self.unread: list[str] = []

    async def read(
        self, name: str, reading: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T | None:
        """Return a part; None where it cannot be read now."""
        if asyncio.get_running_loop().time() < self._until:
            try:
                async with asyncio.timeout_at(self._until):
                    return await reading(*args, **kwargs)
            except _UNREADABLE:
                pass
        self.unread.append(name)
        return None

    def has(self, *names: str) -> bool:
        """Return whether all of these were read."""
        return not set(names).intersection(self.unread)

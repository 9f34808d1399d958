"""One who is told what is written, and may be held."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import structlog

from app.errors import LogTrimmed
from app.live.feed.entries import FeedEntry

_log: Final = structlog.get_logger()

OnEntries = Callable[[Sequence[FeedEntry]], Awaitable[None]]
OnTrimmed = Callable[[LogTrimmed], Awaitable[None]]


class Subscriber:
    """Somebody who hears of entries, up to ``PAGE`` at a time, the next when it has returned.

    What ``hear`` raises is logged; it is not told again.
    """

    def __init__(self, hear: OnEntries, leave: Callable[["Subscriber"], None]) -> None:
        self.seq = 0
        """The number of the last entry that was told, or the one that the watch began after. Means
        nothing in a watch over several productions."""
        self._hear, self._leave = hear, leave
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """Let nothing be told while the block runs, so that all up to ``seq`` and nothing after it
        was. Not from inside ``hear``."""
        async with self._turn:
            yield

    async def close(self) -> None:
        """Tell nothing more. May be called more than once, and from inside ``hear``."""
        self._leave(self)

    async def tell(self, entries: Sequence[FeedEntry]) -> None:
        """Have the entries heard. The caller holds the watch."""
        await self.surely(self._hear(entries))

    async def surely(self, hearing: Awaitable[None]) -> None:
        """Log what goes wrong in the hearing."""
        try:
            await hearing
        except Exception:  # noqa: BLE001  # one that fails must not be the last
            _log.exception("watch", words="Who was told of changes failed; the watch goes on.")

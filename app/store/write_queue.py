"""Turns: who writes to one production stands in line in this process, and asks nobody else.

Writers of one production would otherwise wait for each other inside PostgreSQL, each holding a
connection, or would overtake each other and start again. A turn makes nothing right or wrong;
the database decides (see ``app.store.write_context``). So a key may be any name of a production,
and one that is not known yet has a turn of its own.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

_KNOWN: Final = 20_000


class WriteQueue:
    """The lines, one for each production that is being written; others take no memory."""

    def __init__(self, wait: float) -> None:
        self._wait = wait
        self._lines: dict[str, deque[asyncio.Future[None]]] = {}
        self._known: dict[str, str] = {}

    def remember_key(self, key: str, production: UUID) -> None:
        """Remember whose row or which production a key names; the oldest are forgotten."""
        if key not in self._known and len(self._known) >= _KNOWN:
            del self._known[next(iter(self._known))]
        self._known[key] = str(production)  # as a client that names it by its uuid does

    @asynccontextmanager
    async def turn(self, key: str) -> AsyncIterator[None]:
        """Wait in line and hold the turn. Raises TimeoutError after ``wait`` seconds."""
        name = self._known.get(key, key)
        await self._come(name)
        try:
            yield
        finally:
            self._go(name)

    async def _come(self, name: str) -> None:
        line = self._lines.get(name)
        if line is None:
            self._lines[name] = deque()
            return
        called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.append(called)
        try:
            async with asyncio.timeout(self._wait):
                await called
        except BaseException:
            # Called and given up in the same moment: the turn is handed on.
            if called.done() and not called.cancelled():
                self._go(name)
            raise

    def _go(self, name: str) -> None:
        line = self._lines[name]
        while line:
            called = line.popleft()
            if not called.done():
                called.set_result(None)
                return
        del self._lines[name]

"""Looks tokens up by key: many in one statement, while another one is running.

Whoever sends wrong tokens thinks of a new key each time, and none of them is remembered. This way
they all wait for the same few statements, and so does a valid token that came between them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from app.background import Tasks
from app.errors import Busy

Find = Callable[[Sequence[str]], Awaitable[Mapping[str, Any]]]
_TOGETHER: Final = 200
_MOST: Final = 5_000
_TICK: Final = 0.05
"""Seconds between two look-ups of what throttled addresses have sent."""


class TokenLookups:
    """Finds rows by key with ``find``, which takes many keys, for one process.

    A key waits for a statement that has not begun, so what it finds is never older than the call.
    """

    def __init__(self, find: Find) -> None:
        self._find = find
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._tasks = Tasks()
        self._is_running = False
        self._tick: asyncio.Task[None] | None = None

    async def tick(self) -> None:
        """Wait for a moment that all share who wait meanwhile: one statement looks them all up."""
        if self._tick is None or self._tick.done():
            self._tick = asyncio.create_task(asyncio.sleep(_TICK))
        await asyncio.shield(self._tick)

    async def row(self, key: str) -> Any:
        """Return the row of a key, None where there is none. Raises Busy and what ``find`` does."""
        future = self._waiting.get(key)
        if future is None:
            if len(self._waiting) >= _MOST:
                raise Busy("Too many tokens are being looked up: try again in a moment.")
            future = self._waiting[key] = asyncio.get_running_loop().create_future()
        if not self._is_running:
            self._is_running = True
            self._tasks.start(self._run())
        return await asyncio.shield(future)

    async def close(self) -> None:
        """Wait until nobody waits."""
        await self._tasks.wait()

    async def _run(self) -> None:
        try:
            while self._waiting:
                keys = list(self._waiting)[:_TOGETHER]
                futures = {key: self._waiting.pop(key) for key in keys}
                await self._answer(futures)
        finally:
            self._is_running = False

    async def _answer(self, futures: Mapping[str, asyncio.Future[Any]]) -> None:
        try:
            rows = await self._find(list(futures))
        except Exception as error:  # noqa: BLE001  # whoever waits is told
            for future in futures.values():
                future.set_exception(error)
                future.exception()  # its caller may have gone
            return
        for key, future in futures.items():
            future.set_result(rows.get(key))

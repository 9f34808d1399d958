"""Runs writes: those of one production one after the other, and again after a lost race.

Without the queue, writers of one production would wait for each other inside PostgreSQL, each
holding a connection, or would lose races and start again. The queue is of this process alone, and
nothing depends on it: what is right, the database decides (``app.store.write_context``). So a key
may be any name of a production, and one that is not known yet has a queue of its own.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Concatenate, Final, ParamSpec, Self, TypeVar
from uuid import UUID

from app.database.database import Database, DatabaseConnection
from app.database.pool import WriteRace
from app.errors import Busy, SignalbookError
from app.store.write_context import StaleForm, WriteContext, remember

T = TypeVar("T")
P = ParamSpec("P")
Work = Callable[Concatenate[WriteContext, P], Awaitable[T]]
_MOST_KEYS: Final = 20_000
# Another service's writes raise no number of ours; against those nothing is locked.
_TRIES: Final = 5
_CROWDED: Final = "Too many are writing to this production: try again in a moment."


class WriteQueue:
    """A queue for each production that is being written; others take no memory."""

    def __init__(self, wait: float) -> None:
        self._wait = wait
        self._queues: dict[str, deque[asyncio.Future[None]]] = {}
        self._productions: dict[str, str] = {}

    def remember_key(self, key: str, production: UUID) -> None:
        """Remember which production a key belongs to; the oldest keys are forgotten."""
        if key not in self._productions and len(self._productions) >= _MOST_KEYS:
            del self._productions[next(iter(self._productions))]
        self._productions[key] = str(production)  # as a client that names it by its uuid does

    @asynccontextmanager
    async def slot(self, key: str) -> AsyncIterator[None]:
        """Wait for the slot of the key's production and hold it. Raises TimeoutError."""
        name = self._productions.get(key, key)
        await self._enter(name)
        try:
            yield
        finally:
            self._leave(name)

    async def _enter(self, name: str) -> None:
        queue = self._queues.get(name)
        if queue is None:
            self._queues[name] = deque()
            return
        next_in_line: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(next_in_line)
        try:
            async with asyncio.timeout(self._wait):
                await next_in_line
        except BaseException:
            # The slot came in the same moment in which the wait ended: it is handed on.
            if next_in_line.done() and not next_in_line.cancelled():
                self._leave(name)
            raise

    def _leave(self, name: str) -> None:
        queue = self._queues[name]
        while queue:
            next_in_line = queue.popleft()
            if not next_in_line.done():
                next_in_line.set_result(None)
                return
        del self._queues[name]


class Writer:
    """Runs writes; ``wait`` is how many seconds one may wait for its slot."""

    def __init__(
        self, database: Database, wait: float, queue: WriteQueue | None = None,
        own_shows: Collection[UUID] | None = None,
    ) -> None:  # fmt: skip
        self._database, self._wait = database, wait
        self._queue, self._own_shows = queue or WriteQueue(wait), own_shows

    def limited_to(self, shows: Collection[UUID]) -> Self:
        """Return a writer for who sees these productions alone; both have one queue."""
        return type(self)(self._database, self._wait, self._queue, shows)

    async def write(self, key: str, work: Work[P, T], *args: P.args, **named: P.kwargs) -> T:
        """Run ``work`` with a context and these arguments until no other write overtakes it.

        ``key`` names its production or its row. ``work`` may run several times, so it must keep
        nothing of a try that failed. Raises Busy, and whatever ``work`` does.
        """
        try:
            async with self._queue.slot(key), self._remembering() as forms:
                try:
                    async with self._database.write_connection() as connection:
                        with self._context(connection, forms) as context:
                            return await work(context, *args, **named)
                except WriteRace:
                    return await self._locked(forms, work, *args, **named)
        except TimeoutError:
            raise Busy(_CROWDED) from None

    async def in_transaction(
        self, key: str, work: Work[P, T], *args: P.args, **named: P.kwargs
    ) -> T:
        """Run ``work`` as ``write`` does, but all that it writes in one transaction."""
        try:
            async with self._queue.slot(key):
                return await self.locked(work, *args, **named)
        except TimeoutError:
            raise Busy(_CROWDED) from None

    async def locked(self, work: Work[P, T], *args: P.args, **named: P.kwargs) -> T:
        """Run ``work`` in a transaction, under the locks that it takes. Raises Busy."""
        async with self._remembering() as forms:
            return await self._locked(forms, work, *args, **named)

    async def _locked(
        self, forms: list[StaleForm], work: Work[P, T], *args: P.args, **named: P.kwargs
    ) -> T:
        """Run ``work`` in a transaction, under the locks that it takes. Raises Busy."""
        for _ in range(_TRIES):
            try:
                forms.clear()
                async with self._database.transaction() as connection:
                    with self._context(connection, forms, locked=True) as context:
                        return await work(context, *args, **named)
            except WriteRace:
                continue
        raise Busy("Another service keeps changing this row: try again in a moment.")

    @asynccontextmanager
    async def _remembering(self) -> AsyncIterator[list[StaleForm]]:
        """Provide a list of stale forms, and remember them before the client is answered.

        Of what failed nothing was written, but a refusal names a version as well.
        """
        forms: list[StaleForm] = []
        try:
            yield forms
        except SignalbookError:
            await self._remember([form for form in forms if not form.is_new])
            raise
        await self._remember(forms)

    async def _remember(self, forms: Sequence[StaleForm]) -> None:
        if forms:
            async with self._database.write_connection() as connection:
                await remember(connection, forms)

    @contextmanager
    def _context(
        self, connection: DatabaseConnection, forms: list[StaleForm], *, locked: bool = False
    ) -> Iterator[WriteContext]:
        """Provide a context, and remember in the end the keys that the write has met."""
        own = self._own_shows
        context = WriteContext(connection, locked=locked, own_shows=own, stale_forms=forms)
        try:
            yield context
        finally:
            for key, production in context.keys.items():
                self._queue.remember_key(key, production)

"""The database connections of one process: lent one request at a time, the last used one first.

What was used last is warm in the caches of both ends, so most requests meet few connections.
Giving back takes no await: no task, and nothing that a cancellation could interrupt. A place is
one of the ``size`` connections that may exist; it belongs to a connection, or to who opens one.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import asyncpg
from asyncpg import exceptions as pg

from app.errors import DatabaseAway, SignalbookError, WriteRace

_IDLE: Final = 300.0
_CLOSING: Final = 5.0

Connect = Callable[[], Awaitable[asyncpg.Connection]]


def is_usable_after(error: BaseException) -> bool:
    """Tell whether a connection whose use ended in this error is as good as before.

    PostgreSQL's own errors, and values that the driver cannot encode, leave it ready; after a
    cancellation or a timeout an answer may still be on its way. Where an operator intervened,
    the driver may take a transaction for begun that is not. A server that takes no writes may be
    one that another has replaced: only a new connection will tell.
    """
    if isinstance(error, (pg.OperatorInterventionError, pg.ReadOnlySQLTransactionError)):
        return False
    unfit = isinstance(error, pg.InterfaceError) and isinstance(error, ValueError)
    return unfit or isinstance(error, (pg.PostgresError, SignalbookError, WriteRace))


class ConnectionPool:
    """Opens up to ``size`` connections with ``connect``, when they are needed.

    ``wait`` seconds bound the wait for a connection, its opening included; one that nobody used
    for ``idle`` seconds is closed.
    """

    def __init__(self, connect: Connect, size: int, wait: float, *, idle: float = _IDLE) -> None:
        self._connect, self._size, self._wait, self._idle_for = connect, size, wait, idle
        self._places = size
        self._open: set[asyncpg.Connection] = set()
        # In the order they were given back: the next to lend is the last, the longest idle first.
        self._idle: list[tuple[asyncpg.Connection, float]] = []
        self._waiters: deque[asyncio.Future[asyncpg.Connection | None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._all_back = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """Lend a connection. Raises DatabaseAway, TimeoutError, and what connecting raises."""
        connection = self.take_idle() or await self.acquire()
        try:
            yield connection
        except BaseException as error:
            self.release(connection, error)
            raise
        self.release(connection)

    def take_idle(self) -> asyncpg.Connection | None:
        """Give the connection that was used last, None where none is idle."""
        if not self._idle:
            return None
        connection, _ = self._idle.pop()
        if not connection.is_closed():
            return connection
        # What ended this one has most likely ended the others too.
        self._drop(connection)
        self._drop_idle()
        return None

    async def acquire(self) -> asyncpg.Connection:
        """Give the connection that was used last, else open one, else wait in line for one."""
        if connection := self.take_idle():
            return connection
        async with asyncio.timeout(self._wait):
            if self._closing:
                raise _stopping()
            if self._places:
                self._places -= 1
            elif given := await self._in_line():
                return given
            return await self._opened()

    def release(self, connection: asyncpg.Connection, error: BaseException | None = None) -> None:
        """Take a connection back; ``error`` is what its use ended in.

        It goes to whoever waits longest. One that cannot be trusted is ended instead.
        """
        if connection.is_closed() or isinstance(error, TimeoutError):
            # What ended this one, or made the network silent, has most likely met the others too.
            self._drop_idle()
            self._drop(connection)
        elif (
            self._closing
            or connection.is_in_transaction()
            or (error and not is_usable_after(error))
        ):
            self._drop(connection)
        elif waiter := self._next_waiter():
            waiter.set_result(connection)
        else:
            self._idle.append((connection, self._loop.time()))
            if self._timer is None:
                self._timer = self._loop.call_later(self._idle_for, self._end_idle)

    def discard(self, connection: asyncpg.Connection) -> None:
        """End this connection and all that are idle: what is wrong with it began before them."""
        self._drop_idle()
        self._drop(connection)

    async def close(self, within: float = _CLOSING) -> None:
        """Refuse who waits, let what runs end ``within`` seconds, then hang up."""
        self._closing = True
        while waiter := self._next_waiter():
            waiter.set_exception(_stopping())
        if self._timer is not None:
            self._timer.cancel()
        self._drop_idle()
        if self._places < self._size:
            try:
                await asyncio.wait_for(self._all_back.wait(), within)
            except TimeoutError:
                for connection in self._open:
                    connection.terminate()

    async def _in_line(self) -> asyncpg.Connection | None:
        """Wait for a connection; None means a place to open one in."""
        waiter: asyncio.Future[asyncpg.Connection | None] = self._loop.create_future()
        self._waiters.append(waiter)
        try:
            return await waiter
        except BaseException:
            waiter.cancel()
            if not waiter.cancelled() and waiter.exception() is None:
                # Given up at the very moment it was served: the next in line gets it.
                self._pass_on(waiter.result())
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
            raise

    def _pass_on(self, given: asyncpg.Connection | None) -> None:
        if given is None:
            self._vacate()
        else:
            self.release(given)

    async def _opened(self) -> asyncpg.Connection:
        try:
            connection = await self._connect()
        except BaseException:
            self._vacate()
            raise
        self._open.add(connection)
        if self._closing:
            self._drop(connection)
            raise _stopping()
        return connection

    def _next_waiter(self) -> asyncio.Future[asyncpg.Connection | None] | None:
        """Take the first in line who has not given up."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                return waiter
        return None

    def _drop(self, connection: asyncpg.Connection) -> None:
        self._open.discard(connection)
        connection.terminate()
        self._vacate()

    def _drop_idle(self) -> None:
        while self._idle:
            self._drop(self._idle.pop()[0])

    def _vacate(self) -> None:
        """Give a place to the first in line, else keep it for the next who asks."""
        if waiter := self._next_waiter():
            waiter.set_result(None)
            return
        self._places += 1
        if self._closing and self._places == self._size:
            self._all_back.set()

    def _end_idle(self) -> None:
        """End the connections that were idle for too long, and come back for the next."""
        self._timer = None
        now = self._loop.time()
        while self._idle and self._idle[0][1] + self._idle_for <= now:
            self._drop(self._idle.pop(0)[0])
        if self._idle:
            due = self._idle[0][1] + self._idle_for
            self._timer = self._loop.call_at(due, self._end_idle)


def _stopping() -> DatabaseAway:
    return DatabaseAway("The service is starting or stopping: try again in a moment.")

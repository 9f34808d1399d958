"""The connections of one process to the database: the one that was used last is lent first.

That one is warm in the caches of both ends, so most requests use few connections. A release has no
await: it makes no task, and a cancellation cannot interrupt it. ``size`` bounds the connections
that exist or are being opened; a slot is the right to have one of them.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg
from asyncpg import exceptions as pg

from app.errors import DatabaseAway, SignalbookError

Connect = Callable[[], Awaitable[asyncpg.Connection]]


class WriteRace(Exception):
    """Internal retry signal, never sent to a client: the write starts again, under a lock.

    The row changed after it was read, or the write touches several rows.
    """


def is_usable_after(error: BaseException) -> bool:
    """Return whether a connection can be lent again after a use that ended in this error.

    PostgreSQL's own errors, and values that the driver cannot encode, leave it ready. After a
    cancellation or a timeout an answer may still be on its way. After an operator's intervention
    the driver may believe in a transaction that does not exist. A server that takes no writes may
    have been replaced by another one, which only a new connection reaches.
    """
    if isinstance(error, (pg.OperatorInterventionError, pg.ReadOnlySQLTransactionError)):
        return False
    cannot_encode = isinstance(error, pg.InterfaceError) and isinstance(error, ValueError)
    return cannot_encode or isinstance(error, (pg.PostgresError, SignalbookError, WriteRace))


class ConnectionPool:
    """Opens up to ``size`` connections with ``connect``, when they are needed.

    ``wait`` is how many seconds a request may wait for a connection, opening included. A connection
    that nobody used for ``idle`` seconds is closed.
    """

    def __init__(self, connect: Connect, size: int, wait: float, *, idle: float = 300.0) -> None:
        self._connect, self._size, self._wait, self._idle_for = connect, size, wait, idle
        self._slots = size
        self._open: set[asyncpg.Connection] = set()
        # In the order of their release, with its time: the last is lent next, the first is oldest.
        self._idle: list[tuple[asyncpg.Connection, float]] = []
        self._waiters: deque[asyncio.Future[asyncpg.Connection | None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._all_closed = asyncio.Event()
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
        """Lend the connection that was used last, without waiting; None if none is idle."""
        if not self._idle:
            return None
        connection, _ = self._idle.pop()
        if not connection.is_closed():
            return connection
        # What ended this one has most likely ended the others too.
        self._end(connection)
        self._end_all_idle()
        return None

    async def acquire(self) -> asyncpg.Connection:
        """Lend the connection that was used last, else a new one, else wait in line for one."""
        if connection := self.take_idle():
            return connection
        async with asyncio.timeout(self._wait):
            if self._closing:
                raise _stopping()
            if self._slots:
                self._slots -= 1
            elif connection := await self._wait_in_line():
                return connection
            return await self._open_one()

    def release(self, connection: asyncpg.Connection, error: BaseException | None = None) -> None:
        """Take a connection back; ``error`` is what its use ended in.

        It goes to whoever has waited longest. One that cannot be trusted is ended instead.
        """
        is_spoilt = error is not None and not is_usable_after(error)
        if connection.is_closed() or isinstance(error, TimeoutError):
            # What ended this one, or silenced the network, has most likely met the others too.
            self._end_all_idle()
            self._end(connection)
        elif self._closing or is_spoilt or connection.is_in_transaction():
            self._end(connection)
        elif waiter := self._next_waiter():
            waiter.set_result(connection)
        else:
            self._idle.append((connection, self._loop.time()))
            if self._timer is None:
                self._timer = self._loop.call_later(self._idle_for, self._end_oldest_idle)

    def discard(self, connection: asyncpg.Connection) -> None:
        """End a connection that is unfit, and all idle ones: what made it unfit is older."""
        self._end_all_idle()
        self._end(connection)

    async def close(self, within: float = 5.0) -> None:
        """Lend no more; give what runs ``within`` seconds to end, then close every connection."""
        self._closing = True
        while waiter := self._next_waiter():
            waiter.set_exception(_stopping())
        if self._timer is not None:
            self._timer.cancel()
        self._end_all_idle()
        if self._slots < self._size:
            try:
                await asyncio.wait_for(self._all_closed.wait(), within)
            except TimeoutError:
                for connection in self._open:
                    connection.terminate()

    async def _wait_in_line(self) -> asyncpg.Connection | None:
        """Wait for a connection; None means a slot to open one in."""
        waiter: asyncio.Future[asyncpg.Connection | None] = self._loop.create_future()
        self._waiters.append(waiter)
        try:
            return await waiter
        except BaseException:
            waiter.cancel()
            if not waiter.cancelled() and waiter.exception() is None:
                # Cancelled at the very moment it was served: the next in line gets it.
                if connection := waiter.result():
                    self.release(connection)
                else:
                    self._free_slot()
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
            raise

    async def _open_one(self) -> asyncpg.Connection:
        try:
            connection = await self._connect()
        except BaseException:
            self._free_slot()
            raise
        self._open.add(connection)
        if self._closing:
            self._end(connection)
            raise _stopping()
        return connection

    def _next_waiter(self) -> asyncio.Future[asyncpg.Connection | None] | None:
        """Remove and return the first in line who still waits."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                return waiter
        return None

    def _end(self, connection: asyncpg.Connection) -> None:
        self._open.discard(connection)
        connection.terminate()
        self._free_slot()

    def _end_all_idle(self) -> None:
        while self._idle:
            self._end(self._idle.pop()[0])

    def _free_slot(self) -> None:
        """Hand a slot to the first in line, else to whoever asks next."""
        if waiter := self._next_waiter():
            waiter.set_result(None)
            return
        self._slots += 1
        if self._closing and self._slots == self._size:
            self._all_closed.set()

    def _end_oldest_idle(self) -> None:
        """End the connections that were idle for too long; set the timer for the next."""
        self._timer = None
        now = self._loop.time()
        while self._idle and self._idle[0][1] + self._idle_for <= now:
            self._end(self._idle.pop(0)[0])
        if self._idle:
            due = self._idle[0][1] + self._idle_for
            self._timer = self._loop.call_at(due, self._end_oldest_idle)


def _stopping() -> DatabaseAway:
    return DatabaseAway("The service is starting or stopping: try again in a moment.")

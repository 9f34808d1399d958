"""The database at run time: reads in autocommit, writes in one transaction or one statement.

What the driver raises is translated into an error of ours (``app.database.driver_errors``).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol, cast

import asyncpg

from app.database.dial import Dialer
from app.database.driver_errors import CLOSED_WHILE_IDLE, translate, translated
from app.database.pool import ConnectionPool
from app.database.url import DatabaseUrl
from app.errors import DatabaseAway
from app.settings import Settings


class DatabaseConnection(Protocol):
    """What the store needs of a database connection."""

    async def fetchval(self, query: str, *args: Any) -> Any: ...
    async def fetchrow(self, query: str, *args: Any) -> Any: ...
    async def fetch(self, query: str, *args: Any) -> Any: ...
    async def execute(self, query: str, *args: Any) -> str: ...
    def transaction(self) -> AbstractAsyncContextManager[Any]: ...


async def json_as_bytes(connection: asyncpg.Connection) -> None:
    """Hand JSON through as the bytes PostgreSQL made, neither decoded nor parsed."""
    await connection.set_type_codec(
        "json", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary"
    )


class Database:
    """What the service asks of PostgreSQL.

    Opening it connects to nothing, so that the service starts while the database is away.
    """

    def __init__(self, url: DatabaseUrl, settings: Settings) -> None:
        self.url = url
        self.dialer = Dialer(announced=url.pgbouncer)
        self._wait, self._size = settings.pool_wait, settings.pool_size
        self._timeout = settings.statement_timeout
        self._pool: ConnectionPool | None = None
        # Writers wait for each other's production; they must not take every connection with them.
        self._writers = asyncio.Semaphore(max(1, self._size * 3 // 4))

    @property
    def pool(self) -> ConnectionPool:
        """The connections. Raises DatabaseAway while the service starts or stops."""
        if self._pool is None:
            raise DatabaseAway("The service is starting or stopping: try again in a moment.")
        return self._pool

    async def open(self) -> None:
        """Make the pool, without a connection."""
        self._pool = ConnectionPool(self.connect, self._size, self._wait)

    async def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    async def connect(self, **settings: str) -> asyncpg.Connection:
        """Open a connection outside the pool, as the pool opens its own.

        ``settings`` replace some of the session's. Raises what asyncpg does, and PoolerInTheWay.
        """
        connection = await self.dialer(self._arguments(settings))
        try:
            await json_as_bytes(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection

    def _arguments(self, settings: dict[str, str]) -> dict[str, Any]:
        # The URL may say that a pooler is there; then its arguments turn our statement cache off.
        caching = {"statement_cache_size": 1_000, "max_cached_statement_lifetime": 0,
                   "max_cacheable_statement_size": 0}  # fmt: skip
        # PostgreSQL ends a long statement itself. This timeout is for a silent network.
        network = {"command_timeout": self._timeout + 5}
        own = {**self.session_settings(), **settings}
        return {**caching, **network, **self.url.connect_args(**own)}

    def session_settings(self) -> dict[str, str]:
        """Return the settings that every session of the service must have."""
        names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
        # The best plan depends on no value, and planning would cost more than running.
        plans = {"plan_cache_mode": "force_generic_plan"}
        return dict.fromkeys(names, str(int(self._timeout * 1_000))) | plans

    async def read(self, sql: str, *args: object) -> bytes | None:
        """Run one statement that only reads; return the first column of its first row."""
        row = await self.row(sql, *args)
        return None if row is None else cast("bytes | None", row[0])

    async def row(self, sql: str, *args: object) -> asyncpg.Record | None:
        """Run one statement that only reads, in autocommit; return its first row.

        If the server had closed the connection while it was idle, run it once more on another one.
        """
        # No context managers here nor in _row: this is the hottest path of all.
        try:
            try:
                return await self._row(sql, *args)
            except CLOSED_WHILE_IDLE:
                return await self._row(sql, *args)
        except Exception as error:
            if ours := translate(error):
                raise ours from error
            raise

    async def _row(self, sql: str, *args: object) -> asyncpg.Record | None:
        pool = self.pool
        connection = pool.take_idle() or await pool.acquire()
        try:
            row = await connection.fetchrow(sql, *args)
        except BaseException as error:
            pool.release(connection, error)
            raise
        pool.release(connection)
        return row

    async def rows(self, sql: str, *args: object) -> list[asyncpg.Record]:
        """Run one statement that only reads, in autocommit, as ``row`` does; return its rows."""
        try:
            async with self.connection() as connection:
                return await connection.fetch(sql, *args)
        except DatabaseAway as error:
            if not isinstance(error.__cause__, CLOSED_WHILE_IDLE):
                raise
        async with self.connection() as connection:
            return await connection.fetch(sql, *args)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """Borrow a connection in autocommit."""
        with translated():
            async with self.pool.connection() as connection:
                yield connection

    @asynccontextmanager
    async def write_connection(self) -> AsyncIterator[DatabaseConnection]:
        """Take a writer's slot and borrow a connection in autocommit."""
        with translated():
            await self._take_writer_slot()
            try:
                async with self.pool.connection() as connection:
                    yield cast("DatabaseConnection", connection)
            finally:
                self._writers.release()

    async def _take_writer_slot(self) -> None:
        if not self._writers.locked():
            await self._writers.acquire()  # returns at once, so no timer is needed
            return
        async with asyncio.timeout(self._wait):
            await self._writers.acquire()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[DatabaseConnection]:
        """Borrow a writer's connection in a transaction, committed if the block raises nothing."""
        async with self.write_connection() as connection, connection.transaction():
            yield connection

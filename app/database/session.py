"""The database at run time: reads in autocommit, writes in one transaction or one statement, and
every failure translated into an error of ours."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, Final, Protocol, cast

import asyncpg
from asyncpg import exceptions as pg

from app.database.dial import UNANNOUNCED, Dialer
from app.database.exhaustion import DiskFull, OutOfMemory, TooManyConnections
from app.database.pool import Connections
from app.database.url import DatabaseUrl
from app.errors import (
    AmbiguousId,
    Busy,
    Conflict,
    DatabaseAway,
    DuplicateId,
    DuplicateUuid,
    Invalid,
    PoolerInTheWay,
    SchemaMismatch,
    SignalbookError,
)
from app.settings import Settings

_AWAY: Final = (
    OSError, pg.PostgresConnectionError, pg.CannotConnectNowError, pg.InterfaceError,
    pg.OperatorInterventionError, pg.InvalidAuthorizationSpecificationError,
    pg.InvalidCatalogNameError, pg.InternalClientError, pg.InvalidTransactionStateError,
)  # fmt: skip
_REFUSED: Final = (pg.CardinalityViolationError, pg.ForeignKeyViolationError, pg.DataError)
_BUSY: Final = (
    TimeoutError, pg.LockNotAvailableError, pg.QueryCanceledError, pg.TransactionRollbackError,
    pg.InsufficientResourcesError, pg.InvalidCachedStatementError,
)  # fmt: skip
# A statement or cursor of ours that is in another session than the one we were lent, or of others
# that is in it.
_MIXED_UP: Final = (
    pg.InvalidSQLStatementNameError, pg.DuplicatePreparedStatementError, pg.InvalidCursorNameError,
    pg.DuplicateCursorError,
)  # fmt: skip
_OF_OTHERS: Final = ("bind message", "prepared statement", "pooling mode")
_FULL_POOLER: Final = ("no more connections allowed", "max_client_conn")
# What the driver says when the server had hung up before it was asked.
_DIED_IDLE: Final = (
    pg.ConnectionDoesNotExistError, pg.AdminShutdownError, pg.InternalClientError, ConnectionError,
)  # fmt: skip
# No value that a shape lets through is NULL where it must not be, or breaks a CHECK.
_MISMATCHED: Final = (
    pg.SyntaxOrAccessError, pg.InvalidSchemaNameError, pg.FeatureNotSupportedError,
    pg.NotNullViolationError, pg.CheckViolationError,
)  # fmt: skip
# Told apart in this order: what the server has run out of is no busy moment.
_ANSWERS: Final = (
    (pg.DiskFullError, DiskFull,
     "The database's disk is full: nothing can be written until somebody makes room on it."),
    (pg.OutOfMemoryError, OutOfMemory,
     "The database has no memory left for this: try again later, and look at its server."),
    (pg.TooManyConnectionsError, TooManyConnections,
     "The database lets no further connection in: raise its limit, or lower POOL_SIZE."),
    (_BUSY, Busy, "The database is busy: try again in a moment."),
    (_AWAY, DatabaseAway, "The database does not answer: try again in a moment."),
    (_MISMATCHED, SchemaMismatch, "The database lacks what this version needs: see /health."),
)  # fmt: skip


class DatabaseConnection(Protocol):
    """What the store needs of a database connection."""

    async def fetchval(self, query: str, *args: Any) -> Any: ...
    async def fetchrow(self, query: str, *args: Any) -> Any: ...
    async def fetch(self, query: str, *args: Any) -> Any: ...
    async def execute(self, query: str, *args: Any) -> str: ...
    def transaction(self) -> AbstractAsyncContextManager[Any]: ...


def translate(error: Exception) -> SignalbookError | None:
    """Give our error for one that the driver raised, None where it is not the driver's."""
    if isinstance(error, pg.UniqueViolationError):
        return _duplicate(error)
    if isinstance(error, _REFUSED) or (
        isinstance(error, pg.InterfaceError) and isinstance(error, ValueError)
    ):
        return _refused(error)
    return _of_pooler(error) or _of_server(error)


def _of_pooler(error: Exception) -> SignalbookError | None:
    """Give our error for what a pooler mixes up, or has no room for."""
    spoken = isinstance(error, pg.PostgresConnectionError)
    if isinstance(error, _MIXED_UP) or (spoken and _says(error, _OF_OTHERS)):
        return PoolerInTheWay(UNANNOUNCED)
    if spoken and _says(error, _FULL_POOLER):
        return TooManyConnections("The pooler lets no further client in: raise max_client_conn.")
    return None


def _of_server(error: Exception) -> SignalbookError | None:
    return next((ours(text) for theirs, ours, text in _ANSWERS if isinstance(error, theirs)), None)


def _says(error: Exception, words: Iterable[str]) -> bool:
    return any(word in str(error) for word in words)


def _refused(error: Exception) -> SignalbookError:
    if isinstance(error, pg.CardinalityViolationError):
        return AmbiguousId("Several live rows hold that label: use the uuid.")
    if isinstance(error, pg.ForeignKeyViolationError):
        return Conflict("What this refers to has just been removed: reload and try again.")
    return Invalid.at("body", "a value does not fit its column")


def _duplicate(error: pg.UniqueViolationError) -> SignalbookError:
    if (error.constraint_name or "").endswith("_pkey"):
        return DuplicateUuid("That uuid is already a row's: make a new one.")
    return DuplicateId("That label is taken: choose another.")


@contextmanager
def translated() -> Iterator[None]:
    """Raise our errors in place of the driver's."""
    try:
        yield
    except SignalbookError:
        raise
    except Exception as error:
        ours = translate(error)
        if ours is None:
            raise
        raise ours from error


async def json_as_bytes(connection: asyncpg.Connection) -> None:
    """Hand JSON through as the bytes PostgreSQL made, neither decoded nor parsed."""
    await connection.set_type_codec(
        "json", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary"
    )


class Database:
    """What the service asks of PostgreSQL. Opening it connects to nothing: the service starts
    while the database is away."""

    def __init__(self, url: DatabaseUrl, settings: Settings) -> None:
        self.url = url
        self._wait = settings.pool_wait
        self._size = settings.pool_size
        self._timeout = settings.statement_timeout
        self._connections: Connections | None = None
        self.dialer = Dialer(announced=url.pgbouncer)
        # Writers wait for each other's production; they must not take every connection with them.
        self._writers = asyncio.Semaphore(max(1, self._size * 3 // 4))

    @property
    def connections(self) -> Connections:
        """The connections. Raises DatabaseAway while the service starts or stops."""
        if self._connections is None:
            raise DatabaseAway("The service is starting or stopping: try again in a moment.")
        return self._connections

    async def open(self) -> None:
        """Be ready to connect."""
        self._connections = Connections(self.connect, self._size, self._wait)

    async def close(self) -> None:
        """Let running statements end, for a moment, then hang up."""
        connections, self._connections = self._connections, None
        if connections is not None:
            await connections.close()

    async def connect(self, **settings: str) -> asyncpg.Connection:
        """Open one more connection as the service's own are, outside their number.

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
        # What the URL says of a pooler wins over our caching of statements.
        caching = {"statement_cache_size": 1_000, "max_cached_statement_lifetime": 0,
                   "max_cacheable_statement_size": 0}  # fmt: skip
        # PostgreSQL ends a long statement itself; this is for a network that has gone silent.
        silent = {"command_timeout": self._timeout + 5}
        args = self.url.connect_args()
        own = {**args.get("server_settings", {}), **self.session_settings(), **settings}
        return {**caching, **silent, **args, "server_settings": own}

    def session_settings(self) -> dict[str, str]:
        """Return the settings that every session of the service must have."""
        milliseconds = str(int(self._timeout * 1_000))
        return {
            "statement_timeout": milliseconds,
            "lock_timeout": milliseconds,
            "idle_in_transaction_session_timeout": milliseconds,
            # A statement's plan depends on no value; planning would cost more than running.
            "plan_cache_mode": "force_generic_plan",
        }

    async def read(self, sql: str, *args: object) -> bytes | None:
        """Run one statement in autocommit; give the first column of its first row."""
        row = await self.row(sql, *args)
        return None if row is None else cast("bytes | None", row[0])

    async def row(self, sql: str, *args: object) -> asyncpg.Record | None:
        """Run one statement that only reads, in autocommit; give its first row.

        One that meets a connection which has died idle is run once more, on another.
        """
        try:
            try:
                return await self._row(sql, *args)
            except _DIED_IDLE:
                return await self._row(sql, *args)
        except Exception as error:
            if ours := translate(error):
                raise ours from error
            raise

    async def _row(self, sql: str, *args: object) -> asyncpg.Record | None:
        connections = self.connections
        connection = connections.at_once() or await connections.acquire()
        try:
            row = await connection.fetchrow(sql, *args)
        except BaseException as error:
            connections.release(connection, error)
            raise
        connections.release(connection)
        return row

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """Lend a connection in autocommit."""
        with translated():
            async with self.connections.lent() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[DatabaseConnection]:
        """Lend a writer's slot and a connection in autocommit."""
        with translated():
            await self._slot()
            try:
                async with self.connections.lent() as connection:
                    yield cast("DatabaseConnection", connection)
            finally:
                self._writers.release()

    async def _slot(self) -> None:
        if not self._writers.locked():
            await self._writers.acquire()  # at once, so without a timer
            return
        async with asyncio.timeout(self._wait):
            await self._writers.acquire()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[DatabaseConnection]:
        """Lend a writer's connection inside a transaction, committed when the block ends without
        error."""
        with translated():
            async with self.writing() as connection, connection.transaction():
                yield connection

"""The database at run time: one pool of raw connections, reads in autocommit, writes in one
transaction, and every failure translated into an error of ours."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, Protocol, cast

import asyncpg
from asyncpg import exceptions as pg

from app.database_url import DatabaseUrl
from app.errors import (
    AmbiguousId,
    Busy,
    Conflict,
    DatabaseAway,
    DuplicateId,
    DuplicateUuid,
    Invalid,
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
# Reconnecting prepares every statement anew; nothing in a session grows with its queries.
_NEVER: Final = 2**31
_BUSY: Final = (
    TimeoutError, pg.LockNotAvailableError, pg.QueryCanceledError, pg.TooManyConnectionsError,
    pg.TransactionRollbackError, pg.InsufficientResourcesError, pg.InvalidCachedStatementError,
)  # fmt: skip
# No value that a shape lets through is NULL where it must not be, or breaks a CHECK.
_MISMATCHED: Final = (
    pg.SyntaxOrAccessError, pg.InvalidSchemaNameError, pg.FeatureNotSupportedError,
    pg.NotNullViolationError, pg.CheckViolationError,
)  # fmt: skip


class Connection(Protocol):
    """What the store needs of a database connection."""

    async def fetchval(self, query: str, *args: Any) -> Any: ...
    async def fetchrow(self, query: str, *args: Any) -> Any: ...
    async def fetch(self, query: str, *args: Any) -> Any: ...
    async def execute(self, query: str, *args: Any) -> str: ...


def translate(error: Exception) -> SignalbookError | None:
    """Give our error for one that the driver raised, None where it is not the driver's."""
    if isinstance(error, pg.UniqueViolationError):
        return _duplicate(error)
    if isinstance(error, _REFUSED) or (
        isinstance(error, pg.InterfaceError) and isinstance(error, ValueError)
    ):
        return _refused(error)
    if isinstance(error, _BUSY):
        return Busy("The database is busy: try again in a moment.")
    if isinstance(error, _AWAY):
        return DatabaseAway("The database does not answer: try again in a moment.")
    if isinstance(error, _MISMATCHED):
        return SchemaMismatch("The database lacks what this version needs: see /health.")
    return None


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


async def _keep_session(connection: asyncpg.Connection) -> None:
    """Leave the session as it is: nothing here changes it, and the default costs a round trip."""


async def _json_as_bytes(connection: asyncpg.Connection) -> None:
    """Hand JSON through as the bytes PostgreSQL made, neither decoded nor parsed."""
    await connection.set_type_codec(
        "json", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary"
    )


class Database:
    """The pool. Opening it connects to nothing: the service starts while the database is away."""

    def __init__(self, url: DatabaseUrl, settings: Settings) -> None:
        self.url = url
        self._wait = settings.pool_wait
        self._size = settings.pool_size
        self._timeout = settings.statement_timeout
        self._pool: asyncpg.Pool | None = None
        # Writers wait for each other's production; they must not take every connection with them.
        self._writers = asyncio.Semaphore(max(1, self._size * 3 // 4))

    @property
    def pool(self) -> asyncpg.Pool:
        """The open pool."""
        if self._pool is None:
            raise DatabaseAway("The service is starting or stopping: try again in a moment.")
        return self._pool

    async def open(self) -> None:
        """Make the pool."""
        # What the URL says of a pooler wins over our caching of statements.
        caching = {"statement_cache_size": 1_000, "max_cached_statement_lifetime": 0}
        self._pool = await asyncpg.create_pool(
            **{**caching, **self._connect_args()},
            min_size=0,
            max_size=self._size,
            max_inactive_connection_lifetime=300,
            init=_json_as_bytes,
            reset=_keep_session,
            max_queries=_NEVER,
            command_timeout=self._timeout + 5,
        )

    async def close(self) -> None:
        """Let running statements end, for a moment, then hang up."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        try:
            await asyncio.wait_for(pool.close(), timeout=5)
        except TimeoutError:
            pool.terminate()

    def _connect_args(self) -> dict[str, Any]:
        args = self.url.connect_args()
        milliseconds = str(int(self._timeout * 1_000))
        limits = {
            "statement_timeout": milliseconds,
            "lock_timeout": milliseconds,
            "idle_in_transaction_session_timeout": milliseconds,
        }
        return {**args, "server_settings": {**args.get("server_settings", {}), **limits}}

    async def read(self, sql: str, *args: object) -> bytes | None:
        """Run one statement that gives one JSON value, in autocommit; give its bytes."""
        with translated():
            pool = self.pool
            # The pool's own timeout would make a task of every acquisition.
            async with asyncio.timeout(self._wait):
                connection = await pool.acquire()
            try:
                return cast("bytes | None", await connection.fetchval(sql, *args))
            finally:
                await pool.release(connection)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.pool.PoolConnectionProxy]:
        """Lend a connection in autocommit."""
        with translated():
            async with self.pool.acquire(timeout=self._wait) as connection:
                yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection inside a transaction, committed when the block ends without error."""
        with translated():
            async with asyncio.timeout(self._wait):
                await self._writers.acquire()
            try:
                async with self.connection() as connection, connection.transaction():
                    yield cast("Connection", connection)
            finally:
                self._writers.release()

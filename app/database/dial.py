"""Opens sessions of PostgreSQL, and notices what stands between: a pooler, and what it drops.

A pooler in transaction mode lends every transaction another session. What a session holds is then
lost or, worse, somebody else's: prepared statements, settings, locks, announcements. It is noticed
by behaviour. A pooler makes up the process number that it hands to a client, so that one that
differs from ``pg_backend_pid()`` means a pooler; in transaction mode two clients that stay
connected meet in one session, which session mode never allows.
"""

import asyncio
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import asyncpg

from app.database.url import DatabaseUrl
from app.errors import PoolerInTheWay

_REFUSED: Final = re.compile(r"unsupported startup parameter(?: in options)?: (\w+)")
_ROUNDS: Final = 10
_PATIENCE: Final = 2.0  # seconds for the look that tells the modes of a pooler apart
_TRUSTED: Final = 60.0  # seconds for which a pooler is taken to be as it was found
_MISTRUSTED: Final = 5.0  # seconds for which one that was refused is refused unasked
_START: Final = 5.0  # seconds for a look before the service starts
UNANNOUNCED: Final = (
    "A pooler in transaction mode stands before the database, and DATABASE_URL does not announce "
    "it: set DATABASE_UNPOOLED_URL to the server's own address and add ?pgbouncer=true to "
    "DATABASE_URL, or let DATABASE_URL name the server itself."
)
STATEMENT_MODE: Final = (
    "A pooler in statement mode stands before the database, where no transaction can be: set its "
    "pool_mode to transaction or session, or let DATABASE_URL name the server itself."
)


async def dial(arguments: Mapping[str, Any], refused: set[str] | None = None) -> asyncpg.Connection:
    """Connect with these arguments of ``asyncpg.connect``.

    A start-up setting that a pooler refuses is left out, and added to ``refused``, which names
    those to leave out from the start. Raises what asyncpg does.
    """
    refused = set() if refused is None else refused
    while True:
        settings = arguments.get("server_settings", {})
        wanted = {name: value for name, value in settings.items() if name not in refused}
        try:
            connection: asyncpg.Connection = await asyncpg.connect(
                **{**arguments, "server_settings": wanted}
            )
        except asyncpg.ProtocolViolationError as no:
            named = _REFUSED.search(str(no))
            # What the URL itself asks for is not ours to leave out.
            if named is None or named[1] not in wanted or named[1] == "options":
                raise
            refused.add(named[1])
        else:
            return connection


async def has_own_session(connection: asyncpg.Connection) -> bool:
    """Tell whether the process that answers is the one that PostgreSQL introduced: no pooler.

    It asks by the simple protocol, since a prepared statement may already be out of reach.
    """
    pid = connection.get_server_pid()
    return await connection.execute(f"SELECT WHERE pg_backend_pid() = {pid}") == "SELECT 1"


async def meet_in_one_session(arguments: Mapping[str, Any]) -> bool:
    """Tell whether two clients that stay connected meet in one session: a pooler's transactions.

    A client that meets several sessions tells the same. Where the look is not done within two
    seconds, as with a pooler in session mode that has but one session left, nothing is told.
    """
    bare = {**arguments, "statement_cache_size": 0, "server_settings": {}}
    clients: list[asyncpg.Connection] = []
    try:
        async with asyncio.timeout(_PATIENCE):
            for _ in range(2):
                clients.append(await asyncpg.connect(**bare))  # noqa: PERF401  # ended below
            return await _meet(*clients)
    except TimeoutError:
        return False
    finally:
        for client in clients:
            client.terminate()


async def _meet(one: asyncpg.Connection, other: asyncpg.Connection) -> bool:
    sessions: tuple[set[int], set[int]] = (set(), set())
    for _ in range(_ROUNDS):
        for client, pids in zip((one, other), sessions, strict=True):
            pids.add(await client.fetchval("SELECT pg_backend_pid()"))
        if sessions[0] & sessions[1] or any(len(pids) > 1 for pids in sessions):
            return True
    return False


class Dialer:
    """Opens the sessions of one address, and refuses a pooler that would mix them up.

    ``announced``: the URL says that a pooler lends sessions by the transaction.
    """

    def __init__(self, *, announced: bool) -> None:
        self._announced = announced
        self._looking = asyncio.Lock()
        self._until = 0.0
        self._finding = ""
        self.refused: set[str] = set()
        """The start-up settings that a pooler refuses."""
        self.pooled = False

    async def __call__(self, arguments: Mapping[str, Any]) -> asyncpg.Connection:
        """Connect. Raises what asyncpg does, and PoolerInTheWay."""
        connection = await dial(arguments, self.refused)
        try:
            await self._look(connection, arguments)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _look(self, connection: asyncpg.Connection, arguments: Mapping[str, Any]) -> None:
        self.pooled = self._announced or not await has_own_session(connection)
        if not self.pooled:
            return
        async with self._looking:
            if time.monotonic() >= self._until:
                self._finding = await self._found(connection, arguments)
                lasts = _MISTRUSTED if self._finding else _TRUSTED
                self._until = time.monotonic() + lasts
        if self._finding:
            raise PoolerInTheWay(self._finding)

    async def _found(self, connection: asyncpg.Connection, arguments: Mapping[str, Any]) -> str:
        if not self._announced and await meet_in_one_session(arguments):
            return UNANNOUNCED
        return "" if await _keeps_transactions(connection) else STATEMENT_MODE


async def _keeps_transactions(connection: asyncpg.Connection) -> bool:
    try:
        await connection.execute("BEGIN")
    except asyncpg.PostgresConnectionError as no:
        if "statement pooling" in str(no):
            return False
        raise
    await connection.execute("ROLLBACK")
    return True


async def reject_pooler(url: DatabaseUrl) -> None:
    """Raise PoolerInTheWay where a pooler would mix sessions up; say nothing where none answers."""
    with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        async with asyncio.timeout(_START):
            connection = await Dialer(announced=url.pgbouncer)(url.connect_args())
            connection.terminate()

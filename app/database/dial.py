"""Opens connections to PostgreSQL, and detects a pooler in between and what it does to sessions.

A pooler in transaction mode runs every transaction in another session. Whatever a session holds,
such as prepared statements, settings, locks and LISTEN, is then lost or, worse, somebody else's.
Poolers are recognised by what they do. They invent the process number that a client gets, so one
that differs from ``pg_backend_pid()`` means a pooler. In transaction mode, two clients that stay
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

_UNSUPPORTED: Final = re.compile(r"unsupported startup parameter(?: in options)?: (\w+)")
_ROUNDS: Final = 10
_PATIENCE: Final = 2.0  # seconds to find out the mode of a pooler
_ACCEPTED_FOR: Final = 60.0  # seconds until an accepted pooler is examined again
_REJECTED_FOR: Final = 5.0  # seconds until a rejected one is
_AT_START: Final = 5.0  # seconds to examine a pooler before the service starts
UNANNOUNCED: Final = (
    "A pooler in transaction mode stands before the database, and DATABASE_URL does not announce "
    "it: set DATABASE_UNPOOLED_URL to the server's own address and add ?pgbouncer=true to "
    "DATABASE_URL, or let DATABASE_URL name the server itself."
)
STATEMENT_MODE: Final = (
    "A pooler in statement mode stands before the database, where no transaction can be: set its "
    "pool_mode to transaction or session, or let DATABASE_URL name the server itself."
)


async def dial(
    arguments: Mapping[str, Any], rejected: set[str] | None = None
) -> asyncpg.Connection:
    """Connect with these arguments of ``asyncpg.connect``.

    ``rejected`` names start-up settings to leave out. If a pooler rejects another one, that is
    added, and left out as well. Raises what asyncpg does.
    """
    rejected = set() if rejected is None else rejected
    while True:
        settings = arguments.get("server_settings", {})
        accepted = {name: value for name, value in settings.items() if name not in rejected}
        try:
            return await asyncpg.connect(**{**arguments, "server_settings": accepted})
        except asyncpg.ProtocolViolationError as error:
            setting = _UNSUPPORTED.search(str(error))
            # What the URL itself asks for is not ours to leave out.
            if setting is None or setting[1] not in accepted or setting[1] == "options":
                raise
            rejected.add(setting[1])


async def has_own_session(connection: asyncpg.Connection) -> bool:
    """Return whether the server process is the one that the client was told of: no pooler.

    It uses the simple protocol, since a prepared statement may already be out of reach.
    """
    pid = connection.get_server_pid()
    return await connection.execute(f"SELECT WHERE pg_backend_pid() = {pid}") == "SELECT 1"


async def meet_in_one_session(arguments: Mapping[str, Any]) -> bool:
    """Return whether two clients that stay connected meet in one session: transaction mode.

    One client that meets several sessions proves the same. False if it takes more than two seconds,
    as with a pooler in session mode that has only one session left.
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
    """Opens connections to one address, and rejects a pooler that would mix up sessions.

    ``announced`` means that the URL says: a pooler in transaction mode.
    """

    def __init__(self, *, announced: bool) -> None:
        self._announced = announced
        self._examining = asyncio.Lock()
        self._valid_until = 0.0
        self._problem = ""
        self.rejected: set[str] = set()
        """The start-up settings that a pooler rejects."""
        self.pooled = False

    async def __call__(self, arguments: Mapping[str, Any]) -> asyncpg.Connection:
        """Connect. Raises what asyncpg does, and PoolerInTheWay."""
        connection = await dial(arguments, self.rejected)
        try:
            await self._examine(connection, arguments)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _examine(self, connection: asyncpg.Connection, arguments: Mapping[str, Any]) -> None:
        self.pooled = self._announced or not await has_own_session(connection)
        if not self.pooled:
            return
        async with self._examining:
            if time.monotonic() >= self._valid_until:
                self._problem = await self._find_problem(connection, arguments)
                seconds = _REJECTED_FOR if self._problem else _ACCEPTED_FOR
                self._valid_until = time.monotonic() + seconds
        if self._problem:
            raise PoolerInTheWay(self._problem)

    async def _find_problem(
        self, connection: asyncpg.Connection, arguments: Mapping[str, Any]
    ) -> str:
        if not self._announced and await meet_in_one_session(arguments):
            return UNANNOUNCED
        return "" if await _allows_transactions(connection) else STATEMENT_MODE


async def _allows_transactions(connection: asyncpg.Connection) -> bool:
    try:
        await connection.execute("BEGIN")
    except asyncpg.PostgresConnectionError as error:
        if "statement pooling" in str(error):
            return False
        raise
    await connection.execute("ROLLBACK")
    return True


async def reject_pooler(url: DatabaseUrl) -> None:
    """Raise PoolerInTheWay for a pooler that would mix up sessions; pass if no server answers."""
    with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        async with asyncio.timeout(_AT_START):
            connection = await Dialer(announced=url.pgbouncer)(url.connect_args())
            connection.terminate()

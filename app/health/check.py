"""Whether the service can really serve: asked the way its requests ask, not of a version number.

The older service answered HEALTHY while its code used a column that no migration had made. So a
look opens one more connection exactly as the service's own are opened, prepares every statement of
every collection on it, follows every name to its table, and tries a write that it takes back. What
real requests met in the last half minute counts as well.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Final

import asyncpg

from app.all_statements import collections, required_statements
from app.database.database import Database
from app.database.driver_errors import translate
from app.errors import DatabaseAway, SchemaMismatch, SignalbookError
from app.health.incidents import Incidents
from app.health.write_trial import try_write
from app.releases.ledger import signals
from app.releases.migrations import revisions
from app.releases.migrations.version_row import BadVersionRow, live_revision
from app.sql.registry import CATALOGUE, failures, statement
from app.sql.session_fitness import Needs, by_collection, findings, needs_of, session_findings

_SETTINGS: Final = statement(
    "SELECT name, setting FROM pg_settings WHERE name = ANY($1::text[])", CATALOGUE
)
# Milliseconds. Who holds a table for longer changes it, which is no reason to send nobody here.
_LOCK_TIMEOUT: Final = "100"
# One failure is enough: no moment's trouble ends so.
_AT_ONCE: Final = frozenset({"DISK_FULL"})
_NO_SIGN_IN: Final = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
)


@dataclass(frozen=True)
class Health:
    """One examination. ``resources`` says "ok", or what is wrong, by collection.

    ``failing`` says what real requests meet; ``notes`` what is not as it should be and no reason
    to send nobody here.
    """

    connected: bool = False
    latency_ms: float | None = None
    revision: str | None = None
    head: str = ""
    state: str = "unknown"
    resources: dict[str, str] = field(default_factory=dict)
    failing: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether the platform may send traffic here."""
        return (
            self.connected
            and self.state in {"ready", "head", "ahead"}
            and all(word == "ok" for word in self.resources.values())
            and self.failing is None
        )

    @property
    def cause(self) -> str | None:
        """The first thing that is wrong, None where nothing is."""
        if self.healthy:
            return None
        wrong = (word for word in self.resources.values() if word != "ok")
        behind = f"The schema is {self.state}: run the release gate (python -m app release)."
        return next(wrong, None) or self.failing or behind


async def examine(database: Database, within: float, incidents: Incidents | None = None) -> Health:
    """Examine the database as the service meets it, bounded by ``within`` seconds."""
    found = await _looked(database, within)
    failing = incidents.summary(_AT_ONCE) if incidents else None
    return replace(found, failing=failing)


async def _looked(database: Database, within: float) -> Health:
    head = revisions.head()
    connection = None
    try:
        async with asyncio.timeout(within):
            connection = await database.connect(lock_timeout=_LOCK_TIMEOUT)
            return await _examined(database, connection, head)
    except Exception as error:  # noqa: BLE001  # whatever stops the examination is the finding
        return Health(connection is not None, head=head, resources=_all(_words(error)))
    finally:
        if connection is not None:
            connection.terminate()


async def _examined(database: Database, connection: asyncpg.Connection, head: str) -> Health:
    start = time.perf_counter()
    await connection.fetchval("SELECT 1")
    latency = round((time.perf_counter() - start) * 1_000, 2)
    try:
        revision = await live_revision(connection)
    except BadVersionRow as unclear:
        return Health(True, latency, None, head, "unclear", _all(str(unclear)))
    found = Health(True, latency, revision, head, revisions.state(revision))
    if found.state == "unmigrated":
        return replace(found, resources=_all(_UNMIGRATED))
    notes = await _dropped(database, connection)
    resources, locked = await _resources(database, connection)
    return replace(found, resources=resources, notes=(*notes, *locked))


_UNMIGRATED: Final = "the database has no schema yet: run the migrations"


async def _resources(
    database: Database, connection: asyncpg.Connection
) -> tuple[dict[str, str], list[str]]:
    """Say of each collection what is wrong with it, and note what was locked.

    The cause comes before what it leads to.
    """
    needs = _needs()
    found = by_collection(needs, await findings(connection, needs))
    found |= await _of_idle(database, needs)
    if any(word != "ok" for word in found.values()):
        return found, []
    prepared, locked = await _prepared(connection)
    if not prepared and not locked:
        prepared, locked = await _tried(connection)
    return found | prepared, locked


async def _prepared(connection: asyncpg.Connection) -> tuple[dict[str, str], list[str]]:
    """Prepare every statement; give the first failure of each collection, and what was locked."""
    found: dict[str, str] = {}
    locked = []
    for name, statements in required_statements().items():
        try:
            found |= await failures(connection, {name: statements})
        except asyncpg.LockNotAvailableError:
            locked.append(f"Somebody holds a table of {name}: it was not looked at.")
    return found, locked


async def _tried(connection: asyncpg.Connection) -> tuple[dict[str, str], list[str]]:
    try:
        if not await try_write(connection):
            return {}, ["Somebody holds what a write needs: none was tried."]
    except Exception as error:
        if connection.is_closed():
            raise
        return _all(f"A write was tried and refused: {_reason(error)}"), []
    return {}, []


async def _of_idle(database: Database, needs: Needs) -> dict[str, str]:
    """Look at a connection that requests use, where one is idle; it is given back at once.

    Where something is wrong with it, it is ended, and those that are idle with it: their successors
    begin as the newest connection did.
    """
    connection = database.pool.take_idle()
    if connection is None:
        return {}
    try:
        found = await session_findings(connection, needs.all_tables)
    except BaseException as error:
        database.pool.release(connection, error)
        raise
    if found.words:
        database.pool.discard(connection)
    else:
        database.pool.release(connection)
    told = by_collection(needs, found)
    return {name: word for name, word in told.items() if word != "ok"}


async def _dropped(database: Database, connection: asyncpg.Connection) -> tuple[str, ...]:
    """Name the settings of our sessions that a pooler has kept from the server."""
    if not database.dialer.pooled:
        return ()
    wanted = database.session_settings()
    rows = await connection.fetch(_SETTINGS, sorted(wanted))
    found = [(row["name"], row["setting"]) for row in rows]
    looking = ("lock_timeout", _LOCK_TIMEOUT)
    lacking = [name for name, value in found if value != wanted[name] and (name, value) != looking]
    if not lacking:
        return ()
    names = ", ".join(sorted(lacking))
    return (f"The pooler does not pass on {names}: set them with ALTER ROLE … SET.",)


@cache
def _needs() -> Needs:
    return needs_of(required_statements())


def _all(words: str) -> dict[str, str]:
    return dict.fromkeys(collections(), words)


def _words(error: Exception) -> str:
    """Say what stopped the examination, without an address or a credential."""
    if isinstance(error, TimeoutError):
        return "the database did not answer in time"
    if isinstance(error, _NO_SIGN_IN):
        return (
            f"The database lets the service not in ({error.sqlstate}): {_WHY[error.sqlstate[:2]]}"
        )
    return _reason(error)


_WHY: Final = {
    "28": "look at the user and password in DATABASE_URL, and at pg_hba.conf.",
    "3D": "the database that DATABASE_URL names does not exist.",
    "42": "its role lacks a right; grant CONNECT on the database and SELECT on alembic_version.",
}


def _reason(error: Exception) -> str:
    """Say what the database refused, in words of ours where there are any."""
    ours = error if isinstance(error, SignalbookError) else translate(error)
    if isinstance(ours, DatabaseAway) and isinstance(error, asyncpg.ProtocolViolationError):
        return f"The database's door refuses: {signals.without_values(error)}."
    if ours is None or (isinstance(ours, SchemaMismatch) and ours is not error):
        return f"{signals.without_values(error)} ({type(error).__name__})"
    return ours.message


class Checkup:
    """Examines at most once per ``lasts`` seconds, however many ask at the same time."""

    def __init__(self, examine: Callable[[], Awaitable[Health]], lasts: float) -> None:
        self._examine = examine
        self._lasts = lasts
        self._running: asyncio.Task[Health] | None = None
        self._until = 0.0

    async def __call__(self) -> Health:
        """Give the last examination while it is fresh, else the result of a new one."""
        if self._running is None or (self._running.done() and time.monotonic() >= self._until):
            self._running = asyncio.ensure_future(self._examine_once())
        return await asyncio.shield(self._running)

    async def _examine_once(self) -> Health:
        found = await self._examine()
        self._until = time.monotonic() + self._lasts
        return found

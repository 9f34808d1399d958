"""Whether the service can really serve: found out as its requests would, not by a version number.

The older service answered HEALTHY while its code used a column that no migration had made. So an
examination opens a connection just as the pool does, follows every name to its table, prepares
every statement of every collection (anew when the catalogue has changed), and makes a write that
it rolls back. The errors of real requests in the last half minute count as well.
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
from app.health.statement_proof import StatementProof
from app.health.write_trial import try_write
from app.releases.ledger import signals
from app.releases.migrations import revisions
from app.releases.migrations.version_row import BadVersionRow, live_revision
from app.sql.registry import CATALOGUE, failures, statement
from app.sql.session_fitness import Needs, by_collection, findings, needs_of, session_findings

_SETTINGS: Final = statement(
    "SELECT name, setting FROM pg_settings WHERE name = ANY($1::text[])", CATALOGUE
)
# Milliseconds. A table that is locked for longer is being changed: the service is still healthy.
_LOCK_TIMEOUT: Final = "100"
# One failure of these is enough: they do not pass by themselves.
_AT_ONCE: Final = frozenset({"DISK_FULL"})
_NO_SIGN_IN: Final = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
)


@dataclass(frozen=True)
class Health:
    """One examination. ``resources`` says "ok", or what is wrong, by collection.

    ``failing`` sums up the errors of real requests. ``notes`` name what should be mended, although
    the service is healthy.
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
        sound = self.connected and self.state in {"ready", "head", "ahead"} and not self.failing
        return sound and all(word == "ok" for word in self.resources.values())

    @property
    def cause(self) -> str | None:
        """The first thing that is wrong, None if nothing is."""
        if self.healthy:
            return None
        wrong = (word for word in self.resources.values() if word != "ok")
        behind = f"The schema is {self.state}: run the release gate (python -m app release)."
        return next(wrong, None) or self.failing or behind


async def examine(
    database: Database, within: float, incidents: Incidents | None = None,
    proof: StatementProof | None = None,
) -> Health:  # fmt: skip
    """Examine the database as the service meets it, bounded by ``within`` seconds.

    With a ``proof`` statements are prepared only where it does not hold any more.
    """
    head, connection = revisions.head(), None
    try:
        async with asyncio.timeout(within):
            connection = await database.connect(lock_timeout=_LOCK_TIMEOUT)
            health = await _examine_on(connection, database, head, proof or StatementProof())
    except Exception as error:  # noqa: BLE001  # whatever stops the examination is its result
        health = Health(connection is not None, head=head, resources=_for_all(_words(error)))
    finally:
        if connection is not None:
            connection.terminate()
    return replace(health, failing=incidents.summary(_AT_ONCE) if incidents else None)


async def _examine_on(
    connection: asyncpg.Connection, database: Database, head: str, proof: StatementProof
) -> Health:
    start = time.perf_counter()
    await connection.fetchval("SELECT 1")
    latency = round((time.perf_counter() - start) * 1_000, 2)
    try:
        revision = await live_revision(connection)
    except BadVersionRow as unclear:
        return Health(True, latency, None, head, "unclear", _for_all(str(unclear)))
    health = Health(True, latency, revision, head, revisions.state(revision))
    if health.state == "unmigrated":
        words = "the database has no schema yet: run the migrations (python -m app release)"
        return replace(health, resources=_for_all(words))
    notes = await _settings_not_passed(database, connection)
    resources, locked = await _resources(database, connection, proof)
    return replace(health, resources=resources, notes=(*notes, *locked))


async def _resources(
    database: Database, connection: asyncpg.Connection, proof: StatementProof
) -> tuple[dict[str, str], list[str]]:
    """Return what is wrong with each collection, and notes on what was locked.

    Causes are looked for before their effects.
    """
    needs = _needs()
    resources = by_collection(needs, await findings(connection, needs))
    resources |= await _check_idle(database, needs)
    if any(word != "ok" for word in resources.values()):
        return resources, []
    failed, locked = await _prove(connection, proof)
    if not failed and not locked:
        failed, locked = await _try_write(connection)
    return resources | failed, locked


async def _prove(
    connection: asyncpg.Connection, proof: StatementProof
) -> tuple[dict[str, str], list[str]]:
    """Prepare every statement, unless that was done against the same catalogue."""
    if await proof.holds(connection):
        return {}, []
    fingerprint = await proof.fingerprint(connection)
    failed, locked = await _prepare_all(connection)
    if not failed and not locked:
        await proof.remember(connection, fingerprint)
    return failed, locked


async def _prepare_all(connection: asyncpg.Connection) -> tuple[dict[str, str], list[str]]:
    """Prepare every statement; return the first failure of each collection, and what was locked."""
    failed: dict[str, str] = {}
    locked = []
    for name, statements in required_statements().items():
        try:
            failed |= await failures(connection, {name: statements})
        except asyncpg.LockNotAvailableError:
            locked.append(f"Somebody holds a table of {name}: it was not looked at.")
    return failed, locked


async def _try_write(connection: asyncpg.Connection) -> tuple[dict[str, str], list[str]]:
    try:
        has_tried = await try_write(connection)
    except Exception as error:
        if connection.is_closed():
            raise
        return _for_all(f"A write was tried and refused: {_reason(error)}"), []
    return {}, [] if has_tried else ["Somebody holds what a write needs: none was tried."]


async def _check_idle(database: Database, needs: Needs) -> dict[str, str]:
    """Check a connection that requests use, if one is idle.

    If it is unfit, it is ended together with the other idle ones; new ones begin afresh.
    """
    connection = database.pool.take_idle()
    if connection is None:
        return {}
    try:
        result = await session_findings(connection, needs.all_tables)
    except BaseException as error:
        database.pool.release(connection, error)
        raise
    if result.words:
        database.pool.discard(connection)
    else:
        database.pool.release(connection)
    resources = by_collection(needs, result)
    return {name: word for name, word in resources.items() if word != "ok"}


async def _settings_not_passed(database: Database, connection: asyncpg.Connection) -> list[str]:
    """Return a note on the session settings that a pooler does not pass on to the server."""
    if not database.dialer.pooled:
        return []
    settings = database.session_settings()
    rows = await connection.fetch(_SETTINGS, sorted(settings))
    actual = {row["name"]: row["setting"] for row in rows}
    missing = {name for name, value in actual.items() if value != settings[name]}
    if actual.get("lock_timeout") == _LOCK_TIMEOUT:  # the examination's own
        missing.discard("lock_timeout")
    names = ", ".join(sorted(missing))
    note = f"The pooler does not pass on {names}: set them with ALTER ROLE … SET."
    return [note] if missing else []


@cache
def _needs() -> Needs:
    return needs_of(required_statements())


def _for_all(words: str) -> dict[str, str]:
    return dict.fromkeys(collections(), words)


def _words(error: Exception) -> str:
    """Return what stopped the examination, without an address or a credential."""
    if isinstance(error, TimeoutError):
        return "the database did not answer in time"
    if isinstance(error, _NO_SIGN_IN):
        state = error.sqlstate
        return f"The database lets the service not in ({state}): {_WHY[state[:2]]}"
    return _reason(error)


_WHY: Final = {
    "28": "look at the user and password in DATABASE_URL, and at pg_hba.conf.",
    "3D": "the database that DATABASE_URL names does not exist.",
    "42": "its role lacks a right; grant CONNECT on the database and SELECT on alembic_version.",
}


def _reason(error: Exception) -> str:
    """Return why the database refuses, in words of ours if there are any."""
    ours = error if isinstance(error, SignalbookError) else translate(error)
    if isinstance(ours, DatabaseAway) and isinstance(error, asyncpg.ProtocolViolationError):
        return f"The database's door refuses: {signals.without_values(error)}."
    if ours is None or (isinstance(ours, SchemaMismatch) and ours is not error):
        return f"{signals.without_values(error)} ({type(error).__name__})"
    return ours.message


class Checkup:
    """Examines at most once per ``lasts`` seconds, however many ask at the same time."""

    def __init__(self, examine: Callable[[], Awaitable[Health]], lasts: float) -> None:
        self._examine, self._lasts = examine, lasts
        self._running: asyncio.Task[Health] | None = None
        self._until = 0.0

    async def __call__(self) -> Health:
        """Return the last examination while it is fresh, else a new one."""
        if self._running is None or (self._running.done() and time.monotonic() >= self._until):
            self._running = asyncio.ensure_future(self._examine_once())
        return await asyncio.shield(self._running)

    async def _examine_once(self) -> Health:
        health = await self._examine()
        self._until = time.monotonic() + self._lasts
        return health

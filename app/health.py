"""Whether the service can really serve: asked of the live catalogue, not of a version number.

The older service answered HEALTHY while its code used a column that no migration had made. So
here every statement of every collection is prepared against the live database, which fails on
any table or column the code needs and the database lacks.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import asyncpg

from app.database_url import DatabaseUrl
from app.db import translate
from app.errors import DatabaseAway
from app.releases import revisions
from app.releases.version_row import BadVersionRow, live_revision
from app.truth import collections, demands, failures

_READ_ONLY: Final = (
    "SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean"
)


@dataclass(frozen=True)
class Health:
    """One examination. ``resources`` says "ok", or what is wrong, by collection."""

    connected: bool = False
    latency_ms: float | None = None
    revision: str | None = None
    head: str = ""
    state: str = "unknown"
    resources: dict[str, str] = field(default_factory=dict)

    @property
    def healthy(self) -> bool:
        """Whether the platform may send traffic here."""
        return (
            self.connected
            and self.state in {"ready", "head", "ahead"}
            and all(word == "ok" for word in self.resources.values())
        )


async def examine(url: DatabaseUrl, within: float) -> Health:
    """Examine the database on a connection of its own, bounded by ``within`` seconds."""
    head = revisions.head()
    connection = None
    try:
        async with asyncio.timeout(within):
            connection = await asyncpg.connect(**{**url.connect_args(), "timeout": within})
            return await _examined(connection, head)
    except Exception as error:  # noqa: BLE001  # whatever stops the examination is the finding
        return Health(head=head, resources=_all(_words(error)))
    finally:
        if connection is not None:
            connection.terminate()


async def _examined(connection: asyncpg.Connection, head: str) -> Health:
    start = time.perf_counter()
    await connection.fetchval("SELECT 1")
    latency = round((time.perf_counter() - start) * 1_000, 2)
    try:
        revision = await live_revision(connection)
    except BadVersionRow as unclear:
        return Health(True, latency, None, head, "unclear", _all(str(unclear)))
    state = revisions.state(revision)
    if state == "unmigrated":
        resources = _all("the database has no schema yet: run the migrations")
    elif await connection.fetchval(_READ_ONLY):
        resources = _all("the database takes no writes: it is a standby, or set to read only")
    else:
        resources = await _prepared(connection)
    return Health(True, latency, revision, head, state, resources)


async def _prepared(connection: asyncpg.Connection) -> dict[str, str]:
    """Prepare every statement; say of each collection what the first failure was."""
    return _all("ok") | await failures(connection, demands())


def _all(words: str) -> dict[str, str]:
    return dict.fromkeys(collections(), words)


def _words(error: Exception) -> str:
    """Say what stopped the examination, without an address or a credential."""
    if isinstance(error, TimeoutError):
        return "the database did not answer in time"
    ours = translate(error)
    return ours.message if isinstance(ours, DatabaseAway) else f"unknown: {type(error).__name__}"


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

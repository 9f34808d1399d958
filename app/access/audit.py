"""The audit: who signed in, who was refused, and what was done with access and the installation.

What an operator does is noted in the transaction that does it (``note_in``): neither is there
without the other. All else is noted beside requests, a moment later, and never holds one up: the
``Audit`` of a process collects it and writes it in batches. Refusals are counted: of many alike,
one row tells the first at once, and one a minute how many followed. So a flood cannot fill a disk.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from pydantic_core import to_json

from app.access.caller import Caller
from app.access.client_address import Scope, address_of, network_of
from app.background import running
from app.database.database import Database, DatabaseConnection
from app.sql.projection import MOMENT
from app.sql.registry import statement

_log: Final = structlog.get_logger()
OK: Final = "ok"
REFUSED: Final = "refused"
_PRUNED: Final = 1_000
_LONGEST: Final = 300
"""Characters of what a client has sent."""

_COLUMNS: Final = "at, event, outcome, subject, user_id, user_name, address, request_id, details"
# Add the entries of the JSON array $1.
ADD: Final = statement(
    f"INSERT INTO access_audit ({_COLUMNS}) SELECT {_COLUMNS} FROM jsonb_to_recordset($1::jsonb) "
    "AS entry(at timestamptz, event text, outcome text, subject text, user_id text, "
    "user_name text, address text, request_id text, details jsonb)"
)
_ENTRY: Final = (
    f'uuid, {MOMENT.format(column="at")} AS at, event, outcome, subject, user_id AS "userId", '
    'user_name AS "userName", address, request_id AS "requestId", details'
)
# A page: the $2 newest entries before entry $1, the newest of all where it is NULL.
PAGE: Final = statement(
    f"WITH page AS (SELECT {_ENTRY}, access_audit.at AS moment FROM access_audit "
    "WHERE $1::uuid IS NULL OR (access_audit.at, uuid) < "
    "(SELECT known.at, known.uuid FROM access_audit AS known WHERE known.uuid = $1) "
    "ORDER BY access_audit.at DESC, uuid DESC LIMIT $2) "
    "SELECT json_build_object('entries', coalesce(json_agg("
    "to_jsonb(page) - 'moment' ORDER BY moment DESC, uuid DESC), '[]'), 'next', "
    "CASE WHEN count(*) = $2 THEN (array_agg(uuid ORDER BY moment, uuid))[1] END) FROM page"
)
# Up to $4 entries from before $1, behind entry $3 of the time $2, the oldest first.
OLDEST: Final = statement(
    "SELECT access_audit.at AS moment, uuid, (SELECT row_to_json(e) FROM "
    f"(SELECT {_ENTRY}) AS e) AS entry FROM access_audit WHERE access_audit.at < $1 "
    "AND (access_audit.at, uuid) > ($2, $3) ORDER BY access_audit.at, uuid LIMIT $4"
)
# Removes a batch of entries that are older than $1 days.
FORGET: Final = statement(
    "WITH gone AS (DELETE FROM access_audit WHERE uuid = ANY (ARRAY(SELECT uuid FROM access_audit "
    "WHERE at < CURRENT_TIMESTAMP - make_interval(days => $1::int) "
    f"ORDER BY at LIMIT {_PRUNED} FOR UPDATE SKIP LOCKED)) RETURNING 1) "
    "SELECT count(*) AS removed FROM gone"
)


@dataclass(frozen=True)
class AuditEntry:
    """What happened: a word like "token.created", and its outcome, ``OK`` or ``REFUSED``.

    ``details`` are of JSON, and hold no secret.
    """

    event: str
    outcome: str = OK
    subject: str | None = None
    user_id: str | None = None
    user_name: str | None = None
    address: str | None = None
    request_id: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


def of_request(scope: Scope, event: str, outcome: str = OK, **details: Any) -> AuditEntry:
    """Return the entry of what a request did: with its caller, its address and its id."""
    state = scope.get("state", {})
    caller: Caller | None = state.get("caller")
    who = (caller.subject, caller.user_id, caller.user_name) if caller else (None, None, None)
    subject, user_id, user_name = who
    return AuditEntry(
        event, outcome, subject, user_id, user_name, address_of(scope), state.get("request_id"),
        details,
    )  # fmt: skip


async def note_in(connection: DatabaseConnection, *entries: AuditEntry) -> None:
    """Note in the open transaction what it does."""
    await connection.execute(ADD, as_json(*entries))


def as_json(*entries: AuditEntry) -> str:
    """Return the entries as ``ADD`` takes them: without NUL, and no text longer than needed."""
    rows = []
    for entry in entries:
        row = asdict(entry)
        texts = {name: _clean(value) for name, value in row.items() if isinstance(value, str)}
        details = {name: _clean(value) for name, value in entry.details.items()}
        rows.append({**row, **texts, "details": details})
    return to_json(rows).decode()


def _clean(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return value[:_LONGEST].replace("\0", "�").encode("utf-8", "replace").decode()


@dataclass(slots=True)
class _Repeats:
    """Refusals alike that followed the one that was noted last."""

    first: AuditEntry
    until: float
    count: int = 0


class Audit:
    """Collects what a process has to note, and writes it beside the requests.

    At most ``most`` entries wait; further ones are counted as lost. ``kinds`` refusals are told
    apart in a ``window`` of seconds, further ones counted together.
    """

    def __init__(
        self, *, most: int = 5_000, kinds: int = 100, window: float = 60.0, pause: float = 1.0
    ) -> None:
        self._most, self._kinds, self._window, self._pause = most, kinds, window, pause
        self._waiting: list[AuditEntry] = []
        self._repeats: dict[tuple[Any, ...], _Repeats] = {}
        self._lost = 0
        self._is_due = asyncio.Event()

    def note(self, entry: AuditEntry) -> None:
        """Note something soon."""
        if len(self._waiting) >= self._most:
            self._lost += 1
        else:
            self._waiting.append(entry)
        self._is_due.set()

    def note_refusal(self, entry: AuditEntry) -> None:
        """Note a refusal, or count it where others like it were noted lately."""
        code = entry.details.get("code")
        kind: tuple[Any, ...] = (
            entry.event, entry.subject, network_of(entry.address or "unknown"), code
        )  # fmt: skip
        if kind not in self._repeats and len(self._repeats) >= self._kinds:
            kind = (entry.event,)
            entry = AuditEntry(entry.event, entry.outcome, details={"of": "many addresses"})
        if repeats := self._repeats.get(kind):
            repeats.count += 1
            return
        self._repeats[kind] = _Repeats(entry, time.monotonic() + self._window)
        self.note(entry)

    @asynccontextmanager
    async def running(self, database: Database) -> AsyncIterator[None]:
        """Write while the block runs, and what is left at its end."""
        try:
            async with running(self._keep_writing(database)):
                yield
        finally:
            self._count_repeats(float("inf"))
            with suppress(Exception):
                await self._write(database)

    async def _keep_writing(self, database: Database) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._is_due.wait(), self._window)
            self._is_due.clear()
            self._count_repeats(time.monotonic())
            try:
                await self._write(database)
            except Exception as error:  # noqa: BLE001  # one that fails must not be the last
                _log.warning("audit", reason=f"cannot be written: {type(error).__name__}")
                self._is_due.set()
            await asyncio.sleep(self._pause)

    def _count_repeats(self, now: float) -> None:
        """Note how many refusals followed each whose window is over; forget those with none."""
        over = [kind for kind, repeats in self._repeats.items() if repeats.until <= now]
        for kind in over:
            repeats = self._repeats.pop(kind)
            if repeats.count:
                first = repeats.first
                details = {**first.details, "further": repeats.count}
                self.note(AuditEntry(
                    first.event, first.outcome, first.subject, first.user_id, first.user_name,
                    first.address, first.request_id, details,
                ))  # fmt: skip

    async def _write(self, database: Database) -> None:
        """Write what waits. What could not be written waits on."""
        while self._waiting or self._lost:
            lost, batch = self._lost, self._waiting[:500]
            missing = [AuditEntry("audit.lost", details={"entries": lost})] if lost else []
            async with database.connection() as connection:
                await note_in(connection, *batch, *missing)
            del self._waiting[: len(batch)]
            self._lost -= lost

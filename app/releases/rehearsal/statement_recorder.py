"""Observes a rehearsal: how long each statement takes, what it locks, and what it rewrites.

A brief step notes its own locks at the end of its transaction. What runs without one is watched
from another connection, which also sees how long a lock is held.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import asyncpg

from app.releases.migrations.observer import Kind, Observer
from app.releases.rehearsal.copies import Progress
from app.releases.sql.effects import describe

APPLICATION_NAME: Final = "signalbook-rehearsal"
WATCH_EVERY: Final = 0.02  # seconds

_NOTES: Final = """CREATE TABLE public.release_rehearsal
  (step integer, "table" text, lock integer, file oid)"""
# What the transaction holds on tables, and the file of each table as the transaction leaves it.
_NOTE: Final = """INSERT INTO public.release_rehearsal SELECT {step}, quote_ident(relname),
    (SELECT max({mode}) FROM pg_locks WHERE pid = pg_backend_pid() AND granted
      AND relation = c.oid AND locktype = 'relation'), pg_relation_filenode(c.oid)
  FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'm')
    AND relname NOT LIKE 'release\\_%'"""
_FILES: Final = """SELECT quote_ident(relname) AS name, pg_relation_filenode(c.oid) AS file
  FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'm')
    AND relname NOT LIKE 'release\\_%'"""
_HELD: Final = """SELECT pid, quote_ident(relname) AS name, mode, clock_timestamp() AS at
  FROM pg_locks JOIN pg_class c ON c.oid = relation
  WHERE pid = ANY($1) AND granted AND locktype = 'relation' AND relkind IN ('r', 'm')
    AND relnamespace = 'public'::regnamespace
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""

# PostgreSQL's names, weakest first.
MODES: Final = (
    "AccessShareLock", "RowShareLock", "RowExclusiveLock", "ShareUpdateExclusiveLock", "ShareLock",
    "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock",
)  # fmt: skip
# From here on a lock makes writers wait.
STRONG: Final = MODES[4:]


def lock_name(mode: str) -> str:
    """Return a lock's name as its documentation does: "ACCESS EXCLUSIVE"."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", mode.removesuffix("Lock")).upper()


@dataclass
class StepRecord:
    """One step: ``locks`` by table, ``seconds_held`` how long a strong one was seen there.

    A backfill is one step: ``batches`` and ``rows`` tell how it went. Times are in seconds.
    """

    revision: str
    kind: Kind
    sql: str
    seconds: float = 0.0
    tries: int = 1
    locks: dict[str, str] = field(default_factory=dict)
    seconds_held: dict[str, float] = field(default_factory=dict)
    rewrote: list[str] = field(default_factory=list)
    batches: int = 0
    rows: int = 0

    def locked(self, table: str, mode: str) -> None:
        """Record a lock; of several on one table the strongest counts."""
        strongest = self.locks.get(table, MODES[0])
        self.locks[table] = max(strongest, mode, key=MODES.index)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values, locks in PostgreSQL's words."""
        values = asdict(self)
        del values["seconds_held"]
        return values | {
            "seconds": round(self.seconds, 4),
            "locks": {table: lock_name(mode) for table, mode in self.locks.items()},
            "held": {table: round(seconds, 3) for table, seconds in self.seconds_held.items()},
        }


class StatementRecorder(Observer):
    """The rehearsal's observer; it retries as an ordinary migration does."""

    application_name = APPLICATION_NAME

    def __init__(self, progress: Progress) -> None:
        self.recorded: list[StepRecord] = []
        self._progress = progress
        self._revision = ""
        self._pids: set[int] = set()
        self._open: dict[tuple[int, str, str], tuple[StepRecord, Any]] = {}

    @asynccontextmanager
    async def revision(self, connection: asyncpg.Connection, name: str) -> AsyncIterator[None]:
        """Record what is done inside, as this revision's, on this connection's database."""
        self._revision, first = name, len(self.recorded)
        await connection.execute(_NOTES)
        files = await _files(connection)
        over = asyncio.Event()
        watching = asyncio.create_task(self._watch(connection, over))
        try:
            yield
        finally:
            over.set()
            await watching
            await self._read(connection, files, self.recorded[first:])

    def on_backend(self, pid: int) -> None:
        self._pids.add(pid)

    @contextmanager
    def around_step(self, kind: Kind, statements: Sequence[str]) -> Iterator[None]:
        step = self._step(kind, ";\n".join(statements))
        began = time.monotonic()
        try:
            yield
        finally:
            step.seconds += time.monotonic() - began
            step.batches += kind == "batch"

    def on_failure(self, error: asyncpg.PostgresError, kind: Kind, tried: int) -> float:
        self.recorded[-1].tries += 1
        return super().on_failure(error, kind, tried)

    def extra_statements(self) -> tuple[str, ...]:
        modes = " ".join(f"WHEN '{mode}' THEN {rank}" for rank, mode in enumerate(MODES))
        number = f"CASE mode {modes} END"
        return (_NOTE.format(step=len(self.recorded) - 1, mode=number),)

    def on_progress(self, backfill: str, filled: int, total: int) -> None:
        self.recorded[-1].rows = filled
        self._progress(backfill, filled, total)

    def _step(self, kind: Kind, sql: str) -> StepRecord:
        last = self.recorded[-1] if self.recorded else None
        if last and kind == "batch" and (last.kind, last.sql) == (kind, sql):
            return last
        self.recorded.append(step := StepRecord(self._revision, kind, sql))
        return step

    async def _watch(self, connection: asyncpg.Connection, over: asyncio.Event) -> None:
        while not over.is_set():
            rows = await connection.fetch(_HELD, list(self._pids)) if self.recorded else []
            self._see(rows)
            await asyncio.sleep(WATCH_EVERY)

    def _see(self, rows: Sequence[asyncpg.Record]) -> None:
        """Record who holds which lock; it counts for the step in which it was first seen."""
        now = {}
        for pid, table, mode, at in rows:
            key = pid, table, mode
            step, since = self._open.get(key) or (self._taker(table), at)
            now[key] = step, since
            step.locked(table, mode)
            if mode in STRONG:
                seconds = (at - since).total_seconds()
                step.seconds_held[table] = max(step.seconds_held.get(table, 0.0), seconds)
        self._open = now

    def _taker(self, table: str) -> StepRecord:
        """Return the step that took a lock; in Alembic's transaction it may be an earlier one."""
        last = self.recorded[-1]
        if last.kind != "direct":
            return last
        steps = [s for s in self.recorded if s.revision == last.revision and _names(s, table)]
        return steps[-1] if steps else last

    async def _read(
        self, connection: asyncpg.Connection, files: dict[str, int], steps: Sequence[StepRecord]
    ) -> None:
        """Read what brief steps recorded, and find which other step rewrote a table."""
        for step, table, lock, file in await connection.fetch(
            'SELECT step, "table", lock, file FROM public.release_rehearsal ORDER BY step'
        ):
            recorded = self.recorded[step]
            if lock is not None:
                recorded.locked(table, MODES[lock])
            if files.get(table, file) != file:
                recorded.rewrote.append(table)
                files[table] = file
        for table, file in (await _files(connection)).items():
            if files.get(table, file) != file:
                _suspect(steps, table).rewrote.append(table)
        await connection.execute("DROP TABLE public.release_rehearsal")


async def _files(connection: asyncpg.Connection) -> dict[str, int]:
    return {row["name"]: row["file"] for row in await connection.fetch(_FILES)}


def _names(step: StepRecord, table: str) -> bool:
    name = table[1:-1].replace('""', '"') if table.startswith('"') else table
    return bool(describe(step.sql, {name}).tables)


def _suspect(steps: Sequence[StepRecord], table: str) -> StepRecord:
    """Return the likely step that rewrote a table: one that names it and is no brief step."""
    others = [step for step in steps if step.kind in {"patient", "direct"}] or list(steps)
    return ([step for step in others if _names(step, table)] or others)[-1]

"""The pages of a migration: one per step, written to the ledger while it runs."""

import asyncio
import time
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from app.releases.apply.backends import Backend
from app.releases.ledger.ledger import Ledger, encoded
from app.releases.migrations.observer import Kind

_PAUSE: Final = 0.05  # seconds between two writes: many batches come on one page
_HEARTBEAT: Final = 0.5  # seconds without a write until the connection is checked
_BLOCKERS_EVERY: Final = 0.5  # seconds between two writes of who is in the way
_CLOSE_PATIENCE: Final = 5.0  # seconds to write the remaining pages at the end

_WRITE: Final = """INSERT INTO release_statements
  (run, position, stage, kind, sql, lock, started_at, seconds, predicted, tries, stall, error,
   blocker)
  VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp() - $7::float8 * interval '1 second',
    $8, $9, $10, $11, $12, $13::jsonb || jsonb_build_object('at',
      clock_timestamp() - $14::float8 * interval '1 second'))
  ON CONFLICT (run, position) DO UPDATE SET seconds = excluded.seconds, tries = excluded.tries,
    stall = excluded.stall, error = excluded.error, blocker = excluded.blocker"""


@dataclass(frozen=True)
class Waiter:
    """A session that waited for a statement of ours, for so many seconds."""

    pid: int
    application_name: str
    seconds: float
    query: str


@dataclass(kw_only=True)
class Performed:
    """One step: the statements of a transaction, or a backfill with all its batches.

    ``spent`` is how long the last try took (a backfill: all batches together), ``waited`` how much
    of that we waited for locks of others, both in seconds. ``stall`` is the longest that anyone
    waited for us in all ``tries``, and ``waiter`` is who. We last waited for ``blockers``.
    """

    position: int
    kind: str
    sql: str
    lock: str = ""
    tables: tuple[str, ...] = ()
    predicted: float | None = None
    spent: float = 0.0
    is_over: bool = False
    tries: int = 1
    stall: float = 0.0
    error: str | None = None
    waiter: Waiter | None = None
    waited: float = 0.0
    blockers: list[Backend] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    blocked_at: float = 0.0

    def set_blockers(self, blockers: list[Backend]) -> bool:
        """Set who is in the way now; return whether that is worth writing again."""
        now = time.monotonic()
        differ = [b.pid for b in blockers] != [b.pid for b in self.blockers]
        self.blockers = blockers
        if is_due := differ or now - self.blocked_at >= _BLOCKERS_EVERY:
            self.blocked_at = now
        return is_due

    @property
    def last_blocker(self) -> str | None:
        """Who we last waited for, as JSON, without the query, which is for its own role to see."""
        if not self.blockers:
            return None
        last = self.blockers[0]
        who = {"pid": last.pid, "application": last.application_name, "state": last.state or None}
        return encoded(who)

    @property
    def seconds(self) -> float | None:
        """The seconds that it took; None while it runs, is tried again, or has batches to come."""
        return self.spent if self.is_over else None

    @property
    def headline(self) -> str:
        """The statement's first line, for messages."""
        return self.sql.partition("\n")[0]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        members = asdict(self) | {"seconds": self.seconds}
        private = {"began", "is_over", "blocked_at"}
        return {name: value for name, value in members.items() if name not in private}


class Journal:
    """The pages of one run's stage, written to the ledger by a task of its own."""

    def __init__(self, ledger: Ledger, stage: str) -> None:
        self._ledger, self._stage = ledger, stage
        self._first, self._changed = 1, dict[int, Performed]()
        self._news = asyncio.Event()
        self.pages: list[Performed] = []

    async def open(self) -> None:
        """Find the position of the run's next page."""
        last = "SELECT coalesce(max(position), 0) FROM release_statements WHERE run = $1"
        self._first = await self._ledger.fetch_value(last, self._ledger.run) + 1

    def page(self, kind: Kind, sql: str, **details: Any) -> Performed:
        """Begin a page; a batch goes on the page of its backfill, if that was the last."""
        way = "backfill" if kind == "batch" else kind
        last = self.pages[-1] if self.pages else None
        if not (last and kind == "batch" and (last.kind, last.sql) == (way, sql)):
            self._finish()
            place = self._first + len(self.pages)
            last = Performed(position=place, kind=way, sql=sql, **details)
            self.pages.append(last)
        self.note(last)
        return last

    def note(self, page: Performed) -> None:
        """Have the page written soon."""
        self._changed[page.position] = page
        self._news.set()

    async def keep(self) -> None:
        """Write changed pages until cancelled. Raise when the ledger cannot be written.

        The ledger's connection holds the lock that keeps other gates away, so it is checked even
        when there is nothing to write.
        """
        while True:
            try:
                async with asyncio.timeout(_HEARTBEAT):
                    await self._news.wait()
            except TimeoutError:
                await self._ledger.fetch_value("SELECT 1")
            await self._write()
            await asyncio.sleep(_PAUSE)

    def _finish(self) -> None:
        """Close the last page: nothing is added to it."""
        if self.pages and not self.pages[-1].is_over:
            self.pages[-1].is_over = True
            self.note(self.pages[-1])

    async def close(self) -> None:
        """Write the remaining pages. Raise TimeoutError when the ledger does not answer."""
        self._finish()
        async with asyncio.timeout(_CLOSE_PATIENCE):
            await self._write()

    async def _write(self) -> None:
        self._news.clear()
        while self._changed:
            page = self._changed.pop(next(iter(self._changed)))
            await self._ledger.execute(
                _WRITE, self._ledger.run, page.position, self._stage, page.kind, page.sql,
                page.lock, time.monotonic() - page.began, page.seconds, page.predicted,
                page.tries, page.stall, page.error, page.last_blocker,
                time.monotonic() - page.blocked_at if page.blockers else 0.0,
            )  # fmt: skip

"""Fills new columns of rows that were there before: in small transactions, along the key.

Only rows whose new column is still NULL are touched, so the walk may be stopped anywhere and run
again. Its cursor is stored with every batch, in ``release_backfill``, where the migration status
reads it. A row that changes its key during the walk may slip behind the cursor, so the walk is
repeated until no such row is left.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from app.releases.migrations.migration_session import CURSORS
from app.releases.migrations.steps import Steps
from app.releases.verdict import MigrationError

BATCH_SECONDS: Final = 0.1  # what a writer may have to wait for a row of the batch
FIRST_BATCH: Final = 500
LARGEST_BATCH: Final = 20_000
SMALLEST_BATCH: Final = 50
REST: Final = 0.2  # of each batch's time, left to others
TELL_FROM: Final = 5_000  # rows; a smaller table is done before anyone reads about it
TELL_EVERY: Final = 2.0  # seconds


class BackfillStuck(MigrationError):
    """Some rows cannot be filled; the message says how many, of which table, and the SQL."""


@dataclass(frozen=True)
class Backfill:
    """What to fill: ``values`` gives each column's expression over a row ``t``.

    ``pending`` is the condition under which a row still needs it; ``key`` a unique column to walk
    along, of type ``key_type``.
    """

    table: str
    values: Mapping[str, str]
    pending: str
    key: str = "id"
    key_type: str = "text"

    @property
    def name(self) -> str:
        """What the cursor is stored under: the table and the columns."""
        return f"{self.table}: {', '.join(self.values)}"

    def update(self, where: str) -> str:
        """Return the statement that fills the pending rows among those of ``where``."""
        values = ", ".join(
            f"{column} = coalesce(t.{column}, {value})" for column, value in self.values.items()
        )
        return f"UPDATE {self.table} t SET {values} WHERE {where}({self.pending})"

    def after(self, cursor: str | None) -> str:
        """Return the condition that a row lies beyond the cursor; the cursor is ``$1``."""
        return "" if cursor is None else f"t.{self.key} > $1::text::{self.key_type} AND "


def fill(steps: Steps, backfill: Backfill) -> None:
    """Fill every pending row. Raises BackfillStuck when rows are left that nothing fills."""
    if steps.offline:
        steps.say("Run live, the next statement goes by key range in batches of about 100 ms.")
        steps.batch(backfill.update(""), "")
        return
    pending_rows = _pending(steps, backfill)
    if not steps.has_cursors:
        steps.brief(CURSORS)
        steps.has_cursors = True
    while pending_rows:
        _Walk(steps, backfill, pending_rows).to_the_end()
        pending_rows, before = _pending(steps, backfill), pending_rows
        if pending_rows >= before:
            raise BackfillStuck(
                f"{pending_rows} rows of {backfill.table} could not be filled; look at them "
                "and run the migration again: "
                f"SELECT * FROM {backfill.table} t WHERE {backfill.pending}"
            )


class _Walk:
    """One walk along the key, from where an interrupted one stopped."""

    def __init__(self, steps: Steps, backfill: Backfill, total: int) -> None:
        self._steps, self._backfill, self._total = steps, backfill, total
        self._filled, self._size, self._last_words_at = 0, FIRST_BATCH, time.monotonic()
        self._cursor = self._resumed()

    def to_the_end(self) -> None:
        while (upper := self._upper()) is not None:
            began = time.monotonic()
            filled = self._batch(upper)
            if filled is None:
                # Fewer rows: fewer that others wait for, and fewer of theirs that we wait for.
                self._size = max(1, self._size // 2)
                continue
            self._filled += filled
            self._cursor = upper
            self._steps.on_progress(self._backfill.name, self._filled, self._total)
            self._settle(time.monotonic() - began)
        self._steps.rows(
            "UPDATE release_backfill SET finished_at = clock_timestamp() WHERE name = $1",
            self._backfill.name,
        )

    def _resumed(self) -> str | None:
        """Open the walk's row; a finished walk starts again, an interrupted one goes on."""
        return self._steps.value(
            "INSERT INTO release_backfill AS b (name, total) VALUES ($1, $2)"
            " ON CONFLICT (name) DO UPDATE SET total = excluded.total, done = 0,"
            " finished_at = NULL, updated_at = clock_timestamp(),"
            " cursor = CASE WHEN b.finished_at IS NULL THEN b.cursor END RETURNING cursor",
            self._backfill.name, self._total,
        )  # fmt: skip

    def _upper(self) -> str | None:
        """Find the last key of the next batch; None at the end of the table."""
        b, parameters = self._backfill, [] if self._cursor is None else [self._cursor]
        return self._steps.value(
            # Before PostgreSQL 18 there is no max() of a uuid.
            f"SELECT key::text FROM (SELECT t.{b.key} AS key FROM {b.table} t"
            f" WHERE {b.after(self._cursor)}true ORDER BY t.{b.key} LIMIT {self._size}) batch"
            " ORDER BY batch.key DESC LIMIT 1",
            *parameters,
        )

    def _batch(self, upper: str) -> int | None:
        """Fill one range and store the cursor, in one transaction. None: others were in the way."""
        b = self._backfill
        within = f"{b.after(self._cursor)}t.{b.key} <= $2::text::{b.key_type} AND $1::text IS "
        within += "NULL AND " if self._cursor is None else "NOT NULL AND "
        statement = (
            f"WITH filled AS ({b.update(within)} RETURNING 1)"
            " UPDATE release_backfill SET cursor = $2::text, updated_at = clock_timestamp(),"
            " done = done + (SELECT count(*) FROM filled) WHERE name = $3::text"
            " RETURNING (SELECT count(*) FROM filled)"
        )
        rows = self._steps.batch(b.update(""), statement, self._cursor, upper, b.name)
        return None if rows is None else int(rows[0][0])

    def _settle(self, seconds: float) -> None:
        """Size the next batch by this one's time, tell how far we are, and let others work."""
        factor = min(2.0, max(0.5, BATCH_SECONDS / max(seconds, 0.001)))
        self._size = min(LARGEST_BATCH, max(SMALLEST_BATCH, int(self._size * factor)))
        if self._total >= TELL_FROM and time.monotonic() - self._last_words_at >= TELL_EVERY:
            self._last_words_at = time.monotonic()
            self._steps.say(f"Filling {self._backfill.name}: {self._filled} of {self._total} rows.")
        self._steps.pause(seconds * REST)


def _pending(steps: Steps, backfill: Backfill) -> int:
    query = f"SELECT count(*) FROM {backfill.table} t WHERE {backfill.pending}"
    return int(steps.value(query) or 0)

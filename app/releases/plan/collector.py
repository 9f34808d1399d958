"""Collects the statements of a migration, instead of running them.

It takes the place of both ways from a migration to a database: the ``Steps`` that run beside
Alembic, and the output to which Alembic prints in its offline mode.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from app.releases.migrations.bookkeeping import is_printed_by_alembic
from app.releases.migrations.migration_session import LOCK_TIMEOUT, set_up_sql
from app.releases.plan.plan import Way
from app.releases.sql.text import normalise

Ask = Callable[[str, tuple[object, ...]], Sequence[Sequence[Any]]]


class CollectedStatement(NamedTuple):
    """One statement of a migration, with the fields of ``plan.Statement``."""

    revision: str
    step: int
    way: Way
    sql: str


def nothing_known(_query: str, _values: tuple[object, ...]) -> Sequence[Sequence[Any]]:
    """Answer every question as for an unknown database: no rows."""
    return []


class StatementCollector:
    """Steps that are collected and not run; ``ask`` answers questions to the catalogue."""

    offline = True

    def __init__(self, ask: Ask = nothing_known) -> None:
        self._ask = ask
        self._collected: list[CollectedStatement] = []
        self._step = 0
        self._direct_step: int | None = None
        self._open: list[tuple[int, Way, str]] = []
        self.revisions: list[str] = []

    @property
    def statements(self) -> tuple[CollectedStatement, ...]:
        """The statements so far, in order."""
        return tuple(self._collected)

    def brief(self, *statements: str, lock_timeout: str = LOCK_TIMEOUT) -> None:  # noqa: ARG002  # of Steps
        self._note("brief", statements)

    def patient(self, statement: str, *, undo: str = "") -> None:  # noqa: ARG002  # of Steps
        self._note("patient", [statement])

    def batch(self, backfill: str, *_batch: object) -> Sequence[Sequence[Any]]:
        self._note("backfill", [backfill])
        return []

    def rows(self, query: str, *values: object) -> Sequence[Sequence[Any]]:
        return self._ask(query, values)

    def say(self, line: str) -> None:
        """Drop the line: nothing happens."""

    def on_progress(self, backfill: str, filled: int, total: int) -> None:
        """Do nothing: no rows are filled."""

    def pause(self, seconds: float) -> None:
        """Do nothing: there is nothing to wait for."""

    def write(self, printed: str) -> None:
        """Collect one statement that Alembic prints, unless it is Alembic's own."""
        statement = normalise(printed)
        set_up = normalise(set_up_sql())
        if not statement or statement == set_up or is_printed_by_alembic(statement):
            return
        if self._direct_step is None:
            self._direct_step = self._next_step()
        sql = printed.rstrip().removesuffix(";")
        self._open.append((self._direct_step, "direct", sql))

    def flush(self) -> None:
        """Do nothing; Alembic calls it."""

    def applied(self, *, step: Any, **_: Any) -> None:
        """Assign all statements since the last call to this revision; Alembic calls it."""
        name = str(step.up_revision_id)
        self._collected += [CollectedStatement(name, *statement) for statement in self._open]
        self.revisions.append(name)
        self._open, self._direct_step = [], None

    def _note(self, way: Way, statements: Sequence[str]) -> None:
        number = self._next_step()
        self._open += [(number, way, statement) for statement in statements]

    def _next_step(self) -> int:
        self._step += 1
        return self._step

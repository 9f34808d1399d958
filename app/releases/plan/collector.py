"""Writes down what a migration would do, instead of doing it.

It stands in for both ways a migration has to a database: the ``Steps`` it runs beside Alembic, and
the output to which Alembic prints in its offline mode.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from app.releases.migrations.bookkeeping import is_printed_by_alembic
from app.releases.migrations.migration_session import LOCK_TIMEOUT, set_up_sql
from app.releases.plan.plan import Way
from app.releases.sql.text import normalise

Ask = Callable[[str, tuple[object, ...]], Sequence[Sequence[Any]]]


class CollectedStatement(NamedTuple):
    """One statement as it was met; as in ``plan.Statement``."""

    revision: str
    step: int
    way: Way
    sql: str


def nothing_known(_query: str, _values: tuple[object, ...]) -> Sequence[Sequence[Any]]:
    """Answer as a database of which nothing is known."""
    return []


class StatementCollector:
    """Steps that are noted and not taken; questions are answered by ``ask``."""

    offline = True

    def __init__(self, ask: Ask = nothing_known) -> None:
        self._ask = ask
        self._noted: list[CollectedStatement] = []
        self._step = 0
        self._direct_step: int | None = None
        self._open: list[tuple[int, Way, str]] = []
        self.revisions: list[str] = []

    @property
    def statements(self) -> tuple[CollectedStatement, ...]:
        """What was met, in order."""
        return tuple(self._noted)

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
        """Nobody is told: nothing happens."""

    def on_progress(self, backfill: str, done: int, total: int) -> None:
        """Nothing is walked."""

    def pause(self, seconds: float) -> None:
        """Nothing is waited for."""

    def write(self, printed: str) -> None:
        """Take one piece of what Alembic prints: a statement of its own transaction."""
        statement = normalise(printed)
        set_up = normalise(set_up_sql())
        if not statement or statement == set_up or is_printed_by_alembic(statement):
            return
        if self._direct_step is None:
            self._direct_step = self._next_step()
        sql = printed.rstrip().removesuffix(";")
        self._open.append((self._direct_step, "direct", sql))

    def flush(self) -> None:
        """Nothing is held back; Alembic asks for it."""

    def applied(self, *, step: Any, **_: Any) -> None:
        """Hear from Alembic that all since the last time belongs to this revision."""
        name = str(step.up_revision_id)
        self._noted += [CollectedStatement(name, *noted) for noted in self._open]
        self.revisions.append(name)
        self._open, self._direct_step = [], None

    def _note(self, way: Way, statements: Sequence[str]) -> None:
        number = self._next_step()
        self._open += [(number, way, statement) for statement in statements]

    def _next_step(self) -> int:
        self._step += 1
        return self._step

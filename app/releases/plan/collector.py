"""Collects the statements of a migration, instead of running them.

It takes the place of both ways from a migration to a database: the ``Steps`` that run beside
Alembic, and the output to which Alembic prints in its offline mode.
"""

from collections.abc import Callable, Sequence
from typing import Any

from app.releases.migrations.bookkeeping import is_printed_by_alembic
from app.releases.migrations.migration_session import LOCK_TIMEOUT, set_up_sql
from app.releases.migrations.steps import Steps
from app.releases.plan.plan import Statement, Way
from app.releases.sql.text import normalise

Ask = Callable[[str, tuple[object, ...]], Sequence[Sequence[Any]]]


class StatementCollector(Steps):
    """Steps that are collected and not run.

    ``ask`` answers questions to the catalogue; without it nothing is known of the database. The
    effects of the ``statements`` are still to be described.
    """

    def __init__(self, ask: Ask | None = None) -> None:
        self._ask = ask
        self._step = 0
        self._direct_step: int | None = None
        self._open: list[tuple[int, Way, str]] = []
        self.statements: list[Statement] = []
        self.revisions: list[str] = []

    def brief(self, *statements: str, lock_timeout: str = LOCK_TIMEOUT) -> None:  # noqa: ARG002  # of Steps
        self._note("brief", statements)

    def patient(self, statement: str, *, undo: str = "") -> None:  # noqa: ARG002  # of Steps
        self._note("patient", [statement])

    def batch(self, backfill: str, *_batch: object) -> None:
        self._note("backfill", [backfill])

    def rows(self, query: str, *values: object) -> Sequence[Sequence[Any]]:
        return self._ask(query, values) if self._ask else []

    def write(self, printed: str) -> None:
        """Collect one statement that Alembic prints, unless it is Alembic's own."""
        statement = normalise(printed)
        if statement in {"", normalise(set_up_sql())} or is_printed_by_alembic(statement):
            return
        if self._direct_step is None:
            self._direct_step = self._next_step()
        sql = printed.rstrip().removesuffix(";")
        self._open.append((self._direct_step, "direct", sql))

    def flush(self) -> None:
        """Do nothing; Alembic calls it."""

    def applied(self, *, step: Any, **_: Any) -> None:
        """Assign all statements since the last call to this revision; Alembic calls it."""
        revision = str(step.up_revision_id)
        self.statements += [
            Statement(revision=revision, step=number, way=way, sql=sql)
            for number, way, sql in self._open
        ]
        self.revisions.append(revision)
        self._open, self._direct_step = [], None

    def _note(self, way: Way, statements: Sequence[str]) -> None:
        number = self._next_step()
        self._open += [(number, way, statement) for statement in statements]

    def _next_step(self) -> int:
        self._step += 1
        return self._step

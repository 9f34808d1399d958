"""Observers of a migration: they see every statement, and may time, delay or stop it.

``Observer`` is that of an ordinary migration: it only decides when to give up. The release gate has
observers of its own, which also watch who waits for us and hold statements to the plan.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal

import asyncpg
from sqlalchemy import Connection, event

from app.releases.migrations.bookkeeping import is_run_by_alembic
from app.releases.migrations.migration_session import APPLICATION_NAME, LOCK_TIMEOUT, jittered
from app.releases.verdict import MigrationError

# "brief": one transaction under a short lock_timeout. "patient": one statement outside any
# transaction. "batch": one of a backfill's. "direct": in Alembic's own transaction.
Kind = Literal["brief", "patient", "batch", "direct"]

TRIES: Final = 20
BATCH_TRIES: Final = 100
LONGEST_WAIT: Final = 1.0  # seconds between two tries

# The ways in which PostgreSQL says that others were in the way.
BUSY: Final = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)


class StepBlocked(MigrationError):
    """A step never got its lock; it changed nothing, and running again is safe."""


class Observer:
    """Sees what a migration does; this one only tries again when others are in the way.

    Every method may raise, to stop the migration between two statements.
    """

    application_name = APPLICATION_NAME
    """The name under which the migration's connections appear in PostgreSQL."""

    lock_timeout = LOCK_TIMEOUT
    """The longest that a brief step may wait for a lock; a step may ask for less."""

    gate_pid: int | None = None
    """The backend that holds the gate's lock, where the gate migrates; ``guard`` decides by it."""

    is_disposable = False
    """Whether it is the embedded PostgreSQL of development, whose rows nobody else has made."""

    def on_backend(self, pid: int) -> None:
        """Take the process number of a backend that runs what follows; there may be several."""

    def around_step(
        self, _kind: Kind, _statements: Sequence[str]
    ) -> contextlib.AbstractContextManager[None]:
        """Wrap one step with all its tries. A batch comes under its backfill's own statement."""
        return contextlib.nullcontext()

    def around_try(
        self, _connection: asyncpg.Connection
    ) -> contextlib.AbstractAsyncContextManager[None]:
        """Wrap whatever is sent beside Alembic: every try, every reading. May wait before each."""
        return contextlib.nullcontext()

    def on_failure(self, error: asyncpg.PostgresError, kind: Kind, tried: int) -> float:
        """Return the seconds until the next try after one that failed, or raise.

        Raises StepBlocked after the last try, and at once an error that no retry can help.
        """
        if not isinstance(error, BUSY) or kind == "patient":
            raise error
        if tried >= (BATCH_TRIES if kind == "batch" else TRIES):
            raise StepBlocked(
                f"Others held the lock through {tried} tries, so this step changed nothing; "
                f"run the migration again when they are done: {error}"
            ) from error
        return jittered(min(0.1 * tried, LONGEST_WAIT))

    def extra_statements(self) -> tuple[str, ...]:
        """Return statements to add to the end of a brief step's transaction."""
        return ()

    def on_progress(self, backfill: str, filled: int, total: int) -> None:
        """Take how many rows a backfill has filled."""


@contextlib.contextmanager
def observe(connection: Connection, observer: Observer) -> Iterator[None]:
    """Let the observer see what runs in Alembic's own transaction."""
    observer.on_backend(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())
    connection.commit()
    watch = contextlib.ExitStack()

    def before(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not is_run_by_alembic(statement):
            watch.enter_context(observer.around_step("direct", [statement]))

    def after(*_: Any) -> None:
        watch.close()

    event.listen(connection, "before_cursor_execute", before)
    event.listen(connection, "after_cursor_execute", after)
    try:
        with watch:  # a statement that failed has no "after": its error passes through here
            yield
    finally:
        event.remove(connection, "before_cursor_execute", before)
        event.remove(connection, "after_cursor_execute", after)

"""Observers of a migration: they see every statement, and may time, delay or stop it.

``RetryingObserver`` is that of an ordinary migration: it only decides when to give up. The release
gate has observers of its own, which also watch who waits for us and hold statements to the plan.
"""

from collections.abc import Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    ExitStack,
    contextmanager,
    nullcontext,
)
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

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


@dataclass(frozen=True)
class Permit:
    """What the caller of a migration knows of the database; ``guard`` decides by it.

    ``gate_pid`` is the backend that holds the gate's lock. ``disposable`` is true for the embedded
    PostgreSQL of development, whose rows nobody else has made.
    """

    gate_pid: int | None = None
    disposable: bool = False


class Observer(Protocol):
    """Sees what a migration does. Every method may raise to stop it between two statements."""

    application_name: str
    """What our connections call themselves."""

    lock_timeout: str
    """The longest that a brief step may wait for a lock; a step may ask for less."""

    permit: Permit

    def on_backend(self, pid: int) -> None:
        """Take the process number of a backend that runs what follows; there may be several."""

    def around_step(self, kind: Kind, statements: Sequence[str]) -> AbstractContextManager[None]:
        """Wrap one step with all its tries. A batch comes under its backfill's own statement."""

    def around_try(self, connection: asyncpg.Connection) -> AbstractAsyncContextManager[None]:
        """Wrap whatever is sent on the connection beside Alembic's: every try, every reading.

        May wait before it lets a statement begin.
        """

    def on_failure(self, error: asyncpg.PostgresError, kind: Kind, tried: int) -> float:
        """Return the seconds until the next try after one that failed, or raise."""

    def extra_statements(self) -> tuple[str, ...]:
        """Return statements to add to the end of a brief step's transaction."""

    def on_progress(self, backfill: str, filled: int, total: int) -> None:
        """Take how many rows a backfill has filled."""


class RetryingObserver:
    """Tries again when others are in the way, and gives up after a number of tries."""

    application_name = APPLICATION_NAME
    lock_timeout = LOCK_TIMEOUT
    permit = Permit()

    def on_backend(self, pid: int) -> None:
        """Do nothing."""

    def around_step(self, _kind: Kind, _statements: Sequence[str]) -> AbstractContextManager[None]:
        return nullcontext()

    def around_try(self, _connection: asyncpg.Connection) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    def on_failure(self, error: asyncpg.PostgresError, kind: Kind, tried: int) -> float:
        """Raise StepBlocked after the last try; raise at once an error that no retry can help."""
        if not isinstance(error, BUSY) or kind == "patient":
            raise error
        if tried >= (BATCH_TRIES if kind == "batch" else TRIES):
            raise StepBlocked(
                f"Others held the lock through {tried} tries, so this step changed nothing; "
                f"run the migration again when they are done: {error}"
            ) from error
        return jittered(min(0.1 * tried, LONGEST_WAIT))

    def extra_statements(self) -> tuple[str, ...]:
        return ()

    def on_progress(self, backfill: str, filled: int, total: int) -> None:
        """Do nothing: the backfill prints its progress itself."""


@contextmanager
def observe(connection: Connection, observer: Observer) -> Iterator[None]:
    """Let the observer see what runs in Alembic's own transaction."""
    observer.on_backend(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())
    connection.commit()
    watch = ExitStack()

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

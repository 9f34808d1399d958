"""Runs each step of a migration on a connection of its own, apart from Alembic's transaction.

Steps must commit one by one: an index is built CONCURRENTLY outside any transaction, a constraint
is validated after the transaction that added it, a backfill commits every batch. Alembic's own
``autocommit_block`` can hang with asyncpg (alembic#1460), and its transaction must not hold a lock
on a table that another connection alters: so it only keeps the version, and every step runs here.

A killed migration is run again from its start, so every step first looks whether it is done.
Rendered offline (``alembic upgrade … --sql``), the same steps print as a script.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, cast

import asyncpg
from alembic.config import Config
from alembic.ddl.impl import DefaultImpl
from sqlalchemy import PoolProxiedConnection

from alembic import op
from app.releases.migrations.migration_session import (
    BRIEF_STATEMENT_TIMEOUT,
    LOCK_TIMEOUT,
    set_up_sql,
    shorter,
)
from app.releases.migrations.observer import Kind, Observer

# Below the deadlock check (1 s): when we and the older service hold rows the other wants, we yield.
_ROW_LOCK_TIMEOUT: Final = "300ms"

# Under this name Alembic's configuration holds the steps of a run.
_KEPT: Final = "steps beside"

# What an interrupted try left behind is dropped when it can be, and else by the next try or run.
_CLEARING_TIMEOUT: Final = "1s"


class Steps:
    """Where the steps of a migration go: to the database, or into a text, for which nothing waits.

    A text has no database, so every query is without rows there.
    """

    offline = True
    has_cursors = False
    """Whether the table of the backfills' cursors was made already on this connection."""

    def brief(self, *statements: str, lock_timeout: str = LOCK_TIMEOUT) -> None:
        """Run statements that need locks for a moment, in one transaction, retried when busy."""

    def patient(self, statement: str, *, undo: str = "") -> None:
        """Run one statement that may take long, outside a transaction, without timeouts.

        ``undo`` clears away what a try that was cancelled leaves behind.
        """

    def batch(
        self, backfill: str, statement: str, *values: object
    ) -> Sequence[Sequence[Any]] | None:
        """Run one batch of ``backfill`` (the whole of it as one statement).

        None, after a pause, when others were in the way and nothing was done: try a smaller one.
        """

    def rows(self, query: str, *values: object) -> Sequence[Sequence[Any]]:  # noqa: ARG002  # text
        """Return the rows of a query."""
        return []

    def value(self, query: str, *values: object) -> Any | None:
        """Return the first value of a query; None where it has no row."""
        rows = self.rows(query, *values)
        return rows[0][0] if rows else None

    def say(self, line: str) -> None:
        """Print a line for the operator."""

    def on_progress(self, backfill: str, filled: int, total: int) -> None:
        """Report how many rows a backfill has filled."""

    def pause(self, seconds: float) -> None:
        """Wait, so that others can work."""


class LiveSteps(Steps):
    """Steps that run at once, on a raw asyncpg connection in autocommit."""

    offline = False

    def __init__(
        self, connection: PoolProxiedConnection, say: Callable[[str], None], observer: Observer
    ) -> None:
        self._connection, self._say, self._observer = connection, say, observer
        self._lock_timeout, self._refusals = "0", 0
        try:
            self._try(lambda raw: raw.execute(set_up_sql(observer.application_name)))
            observer.on_backend(self.rows("SELECT pg_backend_pid()")[0][0])
        except BaseException:
            self.close()
            raise

    @property
    def is_closed(self) -> bool:
        """Whether the connection is gone, as when somebody ended its session."""
        driver = self._connection.driver_connection
        return driver is None or bool(driver.is_closed())

    def close(self) -> None:
        """Return the connection to its pool; one that is gone is thrown away."""
        if self.is_closed:
            self._connection.invalidate()
        else:
            self._connection.close()

    def brief(self, *statements: str, lock_timeout: str = LOCK_TIMEOUT) -> None:
        timeouts = _timeouts(shorter(lock_timeout, self._observer.lock_timeout))
        # asyncpg sends a script without arguments as one message: one transaction.
        script = ";\n".join((*timeouts, *statements, *self._observer.extra_statements()))
        self._persist("brief", statements, script)

    def patient(self, statement: str, *, undo: str = "") -> None:
        self._wait_for_locks("0")
        self._persist("patient", [statement], statement, undo)

    def batch(
        self, backfill: str, statement: str, *values: object
    ) -> Sequence[Sequence[Any]] | None:
        self._wait_for_locks(_ROW_LOCK_TIMEOUT)
        with self._observer.around_step("batch", [backfill]):
            try:
                rows = self.rows(statement, *values)
            except asyncpg.PostgresError as error:
                self._refusals += 1
                wait = self._observer.on_failure(error, "batch", self._refusals)
            else:
                self._refusals = 0
                return rows
        self.pause(wait)
        return None

    def rows(self, query: str, *values: object) -> Sequence[Sequence[Any]]:
        rows: Sequence[Sequence[Any]] = self._try(lambda raw: raw.fetch(query, *values))
        return rows

    def say(self, line: str) -> None:
        self._say(line)

    def on_progress(self, backfill: str, filled: int, total: int) -> None:
        self._observer.on_progress(backfill, filled, total)

    def pause(self, seconds: float) -> None:
        self._run(lambda _: asyncio.sleep(seconds))

    def _persist(self, kind: Kind, statements: Sequence[str], script: str, undo: str = "") -> None:
        """Try until it succeeds or the observer raises."""
        tried = 0
        with self._observer.around_step(kind, statements):
            while True:
                try:
                    if tried and undo:
                        self._clear_away(undo)
                    self._try(lambda connection: connection.execute(script))
                except asyncpg.PostgresError as error:
                    tried += 1
                    wait = self._on_failure(error, kind, tried, undo)
                else:
                    return
                self.pause(wait)

    def _on_failure(self, error: asyncpg.PostgresError, kind: Kind, tried: int, undo: str) -> float:
        """Ask the observer for one more try; without it, leave nothing behind."""
        try:
            return self._observer.on_failure(error, kind, tried)
        except Exception:
            if undo:
                with suppress(asyncpg.PostgresError, asyncpg.InterfaceError):
                    self._clear_away(undo)
            raise

    def _clear_away(self, undo: str) -> None:
        """Drop what an interrupted try left, without the observer: it may have given up."""
        self._set_lock_timeout(_CLEARING_TIMEOUT)
        self._run(lambda connection: connection.execute(undo))
        self._set_lock_timeout(self._lock_timeout)

    def _wait_for_locks(self, timeout: str) -> None:
        """Set how long what follows may wait for a lock; brief steps say it themselves."""
        if timeout != self._lock_timeout:
            self._set_lock_timeout(timeout)
            self._lock_timeout = timeout

    def _set_lock_timeout(self, timeout: str) -> None:
        self._run(lambda connection: connection.execute(f"SET lock_timeout = '{timeout}'"))

    def _try(self, call: Callable[[asyncpg.Connection], Awaitable[Any]]) -> Any:
        async def observed(connection: asyncpg.Connection) -> Any:
            async with self._observer.around_try(connection):
                return await call(connection)

        return self._run(observed)

    def _run(self, call: Callable[[asyncpg.Connection], Awaitable[Any]]) -> Any:
        return cast("Any", self._connection.dbapi_connection).run_async(call)


class ScriptSteps(Steps):
    """Steps that print as SQL, to be read before they are run."""

    def __init__(self, implementation: DefaultImpl) -> None:
        self._print = implementation.static_output

    def brief(self, *statements: str, lock_timeout: str = LOCK_TIMEOUT) -> None:
        for statement in ("BEGIN", *_timeouts(lock_timeout), *statements, "COMMIT"):
            self.patient(statement)

    def patient(self, statement: str, *, undo: str = "") -> None:  # noqa: ARG002  # none is tried
        self._print(f"{statement};")

    def batch(self, backfill: str, *_batch: object) -> None:
        self.patient(backfill)

    def say(self, line: str) -> None:
        self._print(f"-- {line}")


@contextmanager
def beside() -> Iterator[Steps]:
    """Lend the connection beside Alembic's for a migration's steps; a plan collects them."""
    context = op.get_context()
    attributes = context.config.attributes if context.config else {}
    if collector := attributes.get("steps"):
        yield collector
        return
    if context.as_sql:
        # Alembic has just printed BEGIN; these steps stand outside any transaction.
        context.impl.static_output("COMMIT;")
        yield ScriptSteps(context.impl)
        context.impl.static_output("BEGIN;")
        return
    observer = observer_of(context.config)
    # In the extended protocol Alembic's last SELECT (of the version) keeps its snapshot, for which
    # an index build would wait for ever, until the next statement is bound. A SET takes none.
    op.get_bind().exec_driver_sql(f"SET LOCAL lock_timeout = '{observer.lock_timeout}'")
    steps = attributes.get(_KEPT)
    if steps is None or steps.is_closed:
        if steps is not None:
            steps.close()
        connection = op.get_bind().engine.raw_connection()
        steps = LiveSteps(connection, attributes.get("say") or print, observer)
        attributes[_KEPT] = steps
    yield steps


def close_beside(config: Config) -> None:
    """Close the connection of the steps, which all revisions of a run share."""
    steps: LiveSteps | None = config.attributes.pop(_KEPT, None)
    if steps is not None:
        steps.close()


def observer_of(config: Config | None) -> Observer:
    """Return the observer that the migration was started with, by default a Observer."""
    return cast("Observer | None", config and config.attributes.get("observer")) or Observer()


def _timeouts(lock_timeout: str) -> tuple[str, str]:
    return (
        f"SET LOCAL lock_timeout = '{lock_timeout}'",
        f"SET LOCAL statement_timeout = '{BRIEF_STATEMENT_TIMEOUT}'",
    )

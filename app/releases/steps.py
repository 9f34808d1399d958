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
from contextlib import contextmanager
from typing import Any, Final, Protocol, cast

import asyncpg
from alembic.ddl.impl import DefaultImpl
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, PoolProxiedConnection

from alembic import op
from app.releases.session import (
    BRIEF_STATEMENT_TIMEOUT,
    LOCK_TIMEOUT,
    MigrationError,
    jittered,
    set_up_sql,
)

TRIES: Final = 20
_BUSY: Final = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)


class StepBlocked(MigrationError):
    """A brief step never got its lock; it changed nothing, and running again is safe."""


class Steps(Protocol):
    """Where the steps of a migration go: to the database, or into a script."""

    offline: bool

    def brief(self, *statements: str, lock_timeout: str = LOCK_TIMEOUT) -> None:
        """Run statements that need locks for a moment, in one transaction, retried when busy."""

    def patient(self, statement: str) -> None:
        """Run one statement that may take long, outside a transaction, without timeouts."""

    def rows(self, query: str, *values: object) -> Sequence[Sequence[Any]]:
        """Read; a script knows nothing of the database and answers no rows."""

    def say(self, line: str) -> None:
        """Tell the operator."""

    def pause(self, seconds: float) -> None:
        """Let others work."""


class LiveSteps:
    """Steps that run at once, on a raw asyncpg connection in autocommit."""

    offline = False

    def __init__(self, connection: PoolProxiedConnection, say: Callable[[str], None]) -> None:
        self._connection = connection
        self.say = say
        self._execute(set_up_sql())

    def brief(self, *statements: str, lock_timeout: str = LOCK_TIMEOUT) -> None:
        script = ";\n".join((*_timeouts(lock_timeout), *statements))
        for tried in range(1, TRIES + 1):
            try:
                # asyncpg sends a script without arguments as one message: one transaction.
                self._execute(script)
            except _BUSY as busy:
                if tried == TRIES:
                    raise StepBlocked(_blocked(statements, lock_timeout)) from busy
                self.pause(jittered(min(0.1 * tried, 1.0)))
            else:
                return

    def patient(self, statement: str) -> None:
        self._execute(statement)

    def rows(self, query: str, *values: object) -> Sequence[Sequence[Any]]:
        return cast(
            "Sequence[Sequence[Any]]",
            self._run(lambda connection: connection.fetch(query, *values)),
        )

    def pause(self, seconds: float) -> None:
        self._run(lambda _: asyncio.sleep(seconds))

    def _execute(self, script: str) -> None:
        self._run(lambda connection: connection.execute(script))

    def _run(self, call: Callable[[asyncpg.Connection], Awaitable[Any]]) -> Any:
        return cast("Any", self._connection.dbapi_connection).run_async(call)


class ScriptSteps:
    """Steps that print as SQL, to be read before they are run."""

    offline = True

    def __init__(self, implementation: DefaultImpl) -> None:
        self._print = implementation.static_output

    def brief(self, *statements: str, lock_timeout: str = LOCK_TIMEOUT) -> None:
        for statement in ("BEGIN", *_timeouts(lock_timeout), *statements, "COMMIT"):
            self.patient(statement)

    def patient(self, statement: str) -> None:
        self._print(f"{statement};")

    def rows(self, *_query: object) -> Sequence[Sequence[Any]]:
        return []

    def say(self, line: str) -> None:
        self._print(f"-- {line}")

    def pause(self, seconds: float) -> None:
        """A script does not wait."""


@contextmanager
def beside() -> Iterator[Steps]:
    """Open the connection beside Alembic's on which a migration's steps run."""
    context = op.get_context()
    if context.as_sql:
        # Alembic has just printed BEGIN; these steps stand outside any transaction.
        context.impl.static_output("COMMIT;")
        yield ScriptSteps(context.impl)
        context.impl.static_output("BEGIN;")
        return
    _let_go_of_snapshot(op.get_bind())
    connection = op.get_bind().engine.raw_connection()
    try:
        yield LiveSteps(connection, _voice(context))
    finally:
        connection.close()


def _let_go_of_snapshot(connection: Connection) -> None:
    """Make Alembic's transaction one that an index build need not wait for: for ever, that is.

    In the extended protocol the last SELECT (of the version) keeps its snapshot until the next
    statement is bound; a SET takes none.
    """
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")


def _voice(context: MigrationContext) -> Callable[[str], None]:
    say = context.config.attributes.get("say") if context.config else None
    return cast("Callable[[str], None]", say or print)


def _timeouts(lock_timeout: str) -> tuple[str, str]:
    return (
        f"SET LOCAL lock_timeout = '{lock_timeout}'",
        f"SET LOCAL statement_timeout = '{BRIEF_STATEMENT_TIMEOUT}'",
    )


def _blocked(statements: Sequence[str], lock_timeout: str) -> str:
    return (
        f"Others held the lock through {TRIES} tries of {lock_timeout}, so this step changed "
        f"nothing; run the migration again when they are done: {statements[0].splitlines()[0]}"
    )

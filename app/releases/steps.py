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
from alembic.config import Config
from alembic.ddl.impl import DefaultImpl
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, PoolProxiedConnection

from alembic import op
from app.releases.session import BRIEF_STATEMENT_TIMEOUT, LOCK_TIMEOUT, set_up_sql
from app.releases.witness import Kind, Patience, Witness

# Below the deadlock check (1 s): when we and the older service hold rows the other wants, we yield.
_ROW_LOCK_TIMEOUT: Final = "300ms"


class Steps(Protocol):
    """Where the steps of a migration go: to the database, or into a script."""

    offline: bool

    def brief(self, *statements: str, lock_timeout: str = LOCK_TIMEOUT) -> None:
        """Run statements that need locks for a moment, in one transaction, retried when busy."""

    def patient(self, statement: str, *, undo: str = "") -> None:
        """Run one statement that may take long, outside a transaction, without timeouts.

        ``undo`` clears away what a try that was cancelled leaves behind.
        """

    def batch(self, backfill: str, statement: str, *values: object) -> Sequence[Sequence[Any]]:
        """Run one batch of ``backfill`` (the whole of it as one statement), retried when busy."""

    def rows(self, query: str, *values: object) -> Sequence[Sequence[Any]]:
        """Read; a script knows nothing of the database and answers no rows."""

    def say(self, line: str) -> None:
        """Tell the operator."""

    def walked(self, backfill: str, done: int, total: int) -> None:
        """Tell how far a backfill is, in rows."""

    def pause(self, seconds: float) -> None:
        """Let others work."""


class LiveSteps:
    """Steps that run at once, on a raw asyncpg connection in autocommit."""

    offline = False

    def __init__(
        self, connection: PoolProxiedConnection, say: Callable[[str], None], witness: Witness
    ) -> None:
        self._connection, self._witness = connection, witness
        self.say, self.walked = say, witness.walked
        self._execute(set_up_sql(witness.application_name))
        witness.attends(self.rows("SELECT pg_backend_pid()")[0][0])

    def brief(self, *statements: str, lock_timeout: str = LOCK_TIMEOUT) -> None:
        # asyncpg sends a script without arguments as one message: one transaction.
        script = ";\n".join((*_timeouts(lock_timeout), *statements, *self._witness.tail()))
        self._persist("brief", statements, lambda connection: connection.execute(script))

    def patient(self, statement: str, *, undo: str = "") -> None:
        self._persist("patient", [statement], lambda c: c.execute(statement), undo)

    def batch(self, backfill: str, statement: str, *values: object) -> Sequence[Sequence[Any]]:
        self.rows("SELECT set_config('lock_timeout', $1, false)", _ROW_LOCK_TIMEOUT)
        try:
            found = self._persist("batch", [backfill], lambda c: c.fetch(statement, *values))
            return cast("Sequence[Sequence[Any]]", found)
        finally:
            self.rows("SELECT set_config('lock_timeout', '0', false)")

    def rows(self, query: str, *values: object) -> Sequence[Sequence[Any]]:
        return cast(
            "Sequence[Sequence[Any]]",
            self._run(lambda connection: connection.fetch(query, *values)),
        )

    def pause(self, seconds: float) -> None:
        self._run(lambda _: asyncio.sleep(seconds))

    def _persist(
        self,
        kind: Kind,
        statements: Sequence[str],
        call: Callable[[asyncpg.Connection], Awaitable[Any]],
        undo: str = "",
    ) -> Any:
        """Try until it is done or the witness has seen enough."""
        tried = 0
        with self._witness.watching(kind, statements):
            while True:
                try:
                    return self._run(call)
                except asyncpg.PostgresError as error:
                    tried += 1
                    self.pause(self._witness.refused(error, kind, tried))
                if undo:
                    self._execute(undo)

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

    def patient(self, statement: str, *, undo: str = "") -> None:  # noqa: ARG002  # nothing is tried
        self._print(f"{statement};")

    def batch(self, backfill: str, *_batch: object) -> Sequence[Sequence[Any]]:
        self.patient(backfill)
        return []

    def rows(self, *_query: object) -> Sequence[Sequence[Any]]:
        return []

    def say(self, line: str) -> None:
        self._print(f"-- {line}")

    def walked(self, backfill: str, done: int, total: int) -> None:
        """A script goes nowhere."""

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
        yield LiveSteps(connection, _voice(context), witness_of(context.config))
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


def witness_of(config: Config | None) -> Witness:
    """Give the witness that whoever started the migration named; else ordinary patience."""
    return cast("Witness | None", config and config.attributes.get("witness")) or Patience()


def _timeouts(lock_timeout: str) -> tuple[str, str]:
    return (
        f"SET LOCAL lock_timeout = '{lock_timeout}'",
        f"SET LOCAL statement_timeout = '{BRIEF_STATEMENT_TIMEOUT}'",
    )

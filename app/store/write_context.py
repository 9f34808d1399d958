"""One write: all that it depends on is read, then one statement writes it, or nothing happens.

Every write of a production raises its change number, and only from the number that its own
reading saw. So when a number is still the one that was seen, nothing of the production has
changed since, and what was decided from it holds. Reading and writing are two statements in
autocommit: no transaction is open while Python thinks, and none waits for another.

A writer that was overtaken, or that has several rows to write, starts again in a transaction that
locks the production first; nobody can overtake it there.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from uuid import UUID

import asyncpg

from app.database.database import Database, DatabaseConnection
from app.errors import Busy, WriteRace
from app.sql.registry import statement
from app.store.write_queue import WriteQueue

T = TypeVar("T")
LOCK: Final = statement("SELECT FROM productions WHERE uuid = $1 FOR NO KEY UPDATE")
# Another service's writes raise no number of ours; against those nothing is locked.
_TRIES: Final = 5
_CROWDED: Final = "Too many are writing to this production: try again in a moment."


@dataclass(frozen=True)
class WriteContext:
    """A connection to write with: in autocommit, or ``locked``, in a transaction."""

    connection: DatabaseConnection
    locked: bool = False
    held: set[UUID] = field(default_factory=set)
    remember_key: Callable[[str, UUID], None] = lambda _key, _production: None

    def require_lock(self) -> None:
        """Raise WriteRace in autocommit."""
        if not self.locked:
            raise WriteRace

    async def current(self, read: Callable[[], Awaitable[Any]]) -> Any:
        """Read a row that names its ``production``; in a transaction, read it under its lock."""
        row = await read()
        if row is not None and self.locked and row["production"] not in self.held:
            await self.connection.execute(LOCK, row["production"])
            self.held.add(row["production"])
            row = await read()
        return row

    async def write(self, sql: str, *args: object) -> bytes:
        """Run a statement of ``write_statements``; give the entity. Raises WriteRace."""
        try:
            written = await self.connection.fetchrow(sql, *args)
        except asyncpg.DivisionByZeroError:
            raise WriteRace from None
        if written is None:
            raise WriteRace
        body: bytes = written["body"]
        return body


class Writer:
    """Runs writes. ``wait`` seconds are the longest that one stands in line for its turn."""

    def __init__(self, database: Database, wait: float) -> None:
        self._database, self._turns = database, WriteQueue(wait)

    async def write(self, key: str, work: Callable[[WriteContext], Awaitable[T]]) -> T:
        """Run ``work`` until nobody overtakes it; ``key`` names its production or its row.

        ``work`` may run several times, and must keep nothing of a try that failed.
        Raises Busy, and whatever ``work`` does.
        """
        try:
            async with self._turns.turn(key):
                return await self._in_turn(work)
        except TimeoutError:
            raise Busy(_CROWDED) from None

    async def in_transaction(self, key: str, work: Callable[[WriteContext], Awaitable[T]]) -> T:
        """Run ``work`` as ``write`` does, but in a transaction from the start.

        What it notes beside its write, the write takes along: to the commit, or to nothing.
        """
        try:
            async with self._turns.turn(key):
                return await self.locked(work)
        except TimeoutError:
            raise Busy(_CROWDED) from None

    async def _in_turn(self, work: Callable[[WriteContext], Awaitable[T]]) -> T:
        try:
            async with self._database.write_connection() as connection:
                return await work(WriteContext(connection, remember_key=self._turns.remember_key))
        except WriteRace:
            return await self.locked(work)

    async def locked(self, work: Callable[[WriteContext], Awaitable[T]]) -> T:
        """Run ``work`` in a transaction, under the locks that it takes. Raises Busy."""
        for _ in range(_TRIES):
            try:
                async with self._database.transaction() as connection:
                    return await work(
                        WriteContext(connection, locked=True, remember_key=self._turns.remember_key)
                    )
            except WriteRace:
                continue
        raise Busy("Another service keeps changing this row: try again in a moment.")

"""Remembers that every statement could be prepared, while PostgreSQL's catalogue is the same.

PostgreSQL plans a statement against its catalogue. To prepare all of them costs it a third of a
second; to add up which transaction wrote each row of the catalogue costs it some milliseconds.
docs/decisions/0058-proof-remembered.md has the figures.
"""

import time
from typing import Final

import asyncpg

from app.sql.registry import CATALOGUE, statement

_LONGEST: Final = 600.0
"""Seconds for which a proof is believed at most."""
_READ: Final = (
    "pg_attribute", "pg_class", "pg_constraint", "pg_enum", "pg_index", "pg_namespace", "pg_proc",
    "pg_rewrite", "pg_type",
)  # fmt: skip
_SUMS: Final = ", ".join(
    # The place of the row as well: a transaction can write several versions of one.
    f"(SELECT sum(hashtextextended(concat(ctid, xmin), 0)) FROM pg_catalog.{name})"
    for name in _READ
)
_FINGERPRINT: Final = statement(
    f"SELECT concat_ws(' ', current_database(), current_user, current_schemas(true), {_SUMS})",
    CATALOGUE,
)
_LOCKED: Final = statement(
    """SELECT EXISTS (SELECT FROM pg_catalog.pg_locks
 WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock' AND pid <> pg_backend_pid()
  AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))""",
    CATALOGUE,
)


class StatementProof:
    """The catalogue against which all statements were prepared last, if there is one."""

    def __init__(self) -> None:
        self._fingerprint, self._until = "", 0.0

    async def holds(self, connection: asyncpg.Connection) -> bool:
        """Whether the catalogue is still the same, and nobody locks a table against all others."""
        if time.monotonic() >= self._until or await connection.fetchval(_LOCKED):
            return False
        return bool(await connection.fetchval(_FINGERPRINT) == self._fingerprint)

    async def remember(self, connection: asyncpg.Connection, fingerprint: str) -> None:
        """Believe in the statements while the catalogue is as it was before they were prepared."""
        if await self.fingerprint(connection) == fingerprint:
            self._fingerprint, self._until = fingerprint, time.monotonic() + _LONGEST

    async def fingerprint(self, connection: asyncpg.Connection) -> str:
        """Return what changes when anything does that statements are planned by."""
        return str(await connection.fetchval(_FINGERPRINT))

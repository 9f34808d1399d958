"""Signals: the errors by which a serving app learns that its code and the schema disagree.

No client can cause one: values are parameters, and validation refuses, before any SQL runs, what a
column would not take. A signal's words hold nothing of a request.
"""

import re
from collections.abc import Iterable
from dataclasses import astuple
from typing import Final

import asyncpg
from asyncpg import exceptions as pg

from app.releases.ledger.soak import Signal

SCHEMA_ERROR: Final = "schema error"
DRIVER: Final = "DRIVER"  # the code of what the driver refuses before it is sent
_LONGEST: Final = 300  # characters of the words

# Class 42 is a name or a privilege that is not there, 3F a missing schema. Left out: 22021, 22003
# and the rest of class 22, which values cause, and 23503 and 23505, which two clients cause.
_CLASSES: Final = ("42", "3F")
_CODES: Final = frozenset({
    "0A000",  # the result type of a cached plan has changed
    "22P02", "22P03",  # a value does not read as the column's type, though a shape let it through
    "23502", "23514",  # NOT NULL or a CHECK that the code does not know
})  # fmt: skip
# A cursor, database or prepared statement that is there already: a pooler's doing.
_OF_POOLERS: Final = frozenset({"42P03", "42P04", "42P05"})
_QUOTED_VALUE: Final = re.compile(r"""\bvalue "[^"]*("|$)|'(?:[^']|'')*('|$)""")

# A repeated error is one row an hour, so that a soak sees when it came first and last.
_WRITE: Final = """WITH known AS (UPDATE release_signals SET count = count + $5, last_at = $7
  WHERE id = (SELECT max(id) FROM release_signals WHERE kind = $1 AND code = $2 AND words = $3
    AND source = $4 AND at > $6::timestamptz - interval '1 hour') RETURNING id)
INSERT INTO release_signals (kind, code, words, source, count, at, last_at)
SELECT $1, $2, $3, $4, $5, $6, $7 WHERE NOT EXISTS (SELECT FROM known)"""


def schema_error(error: BaseException | None) -> tuple[str, str] | None:
    """Return code and words where an error means that code and schema disagree, else None."""
    if not isinstance(error, pg.PostgresError):
        return None
    # The driver's own refusal: the type of a parameter is the code's, its value a client's.
    if isinstance(error.__cause__, TypeError | AttributeError):
        words = f"a parameter has another type in the database: {error.__cause__}"
        return DRIVER, words[:_LONGEST]
    code = error.sqlstate or ""
    disagrees = code in _CODES or (code.startswith(_CLASSES) and code not in _OF_POOLERS)
    return (code, without_values(error)) if disagrees else None


def without_values(error: BaseException) -> str:
    """Return the message of an error without the values of rows or of a request.

    It is the first line, since the next ones show the row. In class 22, and where the driver
    refuses a value, what follows a colon is left out too.
    """
    line = str(error).partition("\n")[0]
    code = getattr(error, "sqlstate", None) or ""
    if code.startswith("22") or isinstance(error, ValueError):
        line = line.partition(": ")[0]
    if isinstance(error, pg.PostgresError | ValueError):
        line = _QUOTED_VALUE.sub("…", line)
    return line[:_LONGEST]


async def write(connection: asyncpg.Connection, signals: Iterable[Signal]) -> None:
    """Store signals, all or none; where the gate never ran, do nothing."""
    if not await connection.fetchval("SELECT to_regclass('release_signals') IS NOT NULL"):
        return
    async with connection.transaction():
        for signal in signals:
            await connection.execute(_WRITE, *astuple(signal))

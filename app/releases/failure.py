"""Puts in words, with a verdict, what PostgreSQL or the way to it said to the gate."""

from typing import Final

import asyncpg

from app.releases.verdict import Stopped, Verdict

# Classes that fail again however often they are tried: bad values, broken constraints, bad SQL.
_WRONG_CLASSES: Final = frozenset({"0A", "22", "23", "2B", "42", "P0"})
# What may come of a statement, or of the connection it was sent on.
LOST: Final = (
    asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError,
    TimeoutError,
)  # fmt: skip

SAFE: Final = "Nothing half-done is lost and the old version serves on"


def failed(error: Exception, where: str) -> Stopped:
    """Put in words what PostgreSQL, or the way to it, said to a statement.

    What fails again however often it is tried is BROKEN; a full disk or a missing right is not the
    image's fault and FAILED; a connection that ended is UNREACHABLE.
    """
    at = f" at: {where}" if where else ""
    if not isinstance(error, asyncpg.PostgresError) or _gone(error):
        return Stopped(
            Verdict.UNREACHABLE,
            f"The connection to the database ended{at} ({error or type(error).__name__}). {SAFE}; "
            "run the release again when the database answers.",
        )
    code = error.sqlstate or ""
    if isinstance(error, asyncpg.DiskFullError):
        return Stopped(
            Verdict.FAILED,
            f"The database's disk is full{at}: {error} ({code}). {SAFE}; make room on it, then run "
            "the release again.",
            {"sqlstate": code, "statement": where},
        )
    wrong = code[:2] in _WRONG_CLASSES and not isinstance(error, asyncpg.InsufficientPrivilegeError)
    return Stopped(
        Verdict.BROKEN if wrong else Verdict.FAILED,
        f"PostgreSQL refused{at}: {error} ({code}). {SAFE}; "
        + (
            "the same would happen again: mend the revision, or the rows it meets."
            if wrong
            else "mend the cause, then run the release again."
        ),
        {"sqlstate": code, "statement": where},
    )


def _gone(error: asyncpg.PostgresError) -> bool:
    ended = (
        asyncpg.PostgresConnectionError,
        asyncpg.AdminShutdownError,
        asyncpg.CrashShutdownError,
        asyncpg.InvalidCatalogNameError,
    )
    return isinstance(error, (*ended, asyncpg.CannotConnectNowError))

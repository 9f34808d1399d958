"""Puts in words, with a verdict, what PostgreSQL or the way to it said to the gate."""

from typing import Final

import asyncpg

from app.database.url import BadDatabaseUrl
from app.releases.connection.migration_session import MigrationContended, MigrationError
from app.releases.connection.server_faults import server_fault
from app.releases.migrations.revisions import BadRevisions
from app.releases.migrations.version_row import BadVersionRow
from app.releases.verdict import Stopped, Verdict

# Classes that fail again however often they are tried: bad values, broken constraints, bad SQL.
_WRONG_CLASSES: Final = frozenset({"0A", "22", "23", "2B", "42", "P0"})
# What may come of a statement, or of the connection it was sent on.
LOST: Final = (
    asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError,
    TimeoutError,
)  # fmt: skip

SAFE: Final = "Nothing half-done is lost and the old version serves on"


def stopped(error: Exception) -> Stopped | None:
    """Return the verdict on an error, None for one that nobody foresaw."""
    if isinstance(error, Stopped):
        return error
    if isinstance(error, BadDatabaseUrl):
        return Stopped(Verdict.MISCONFIGURED, str(error))
    if (found := server_fault(error)) is not None:
        return found
    if isinstance(error, MigrationError):
        return Stopped(_verdict(error), str(error))
    cause = getattr(getattr(error, "orig", None), "__cause__", None) or error
    return failed(cause, "") if isinstance(cause, LOST) else None


def _verdict(error: MigrationError) -> Verdict:
    if isinstance(error, MigrationContended):
        return Verdict.CONTENDED
    if isinstance(error, BadVersionRow):
        return Verdict.DRIFTED
    return Verdict.BROKEN if isinstance(error, BadRevisions) else Verdict.FAILED


def failed(error: Exception, where: str) -> Stopped:
    """Put in words what PostgreSQL, or the way to it, said to a statement.

    What fails again however often it is tried is BROKEN; a full disk or a missing right is not the
    image's fault and FAILED; a connection that ended is UNREACHABLE.
    """
    at = f" at: {where}" if where else ""
    found = server_fault(error)
    lost = not isinstance(error, asyncpg.PostgresError) or _gone(error)
    if found is not None and not (lost and found.verdict is Verdict.UNREACHABLE):
        evidence = {**found.evidence, "statement": where}
        return Stopped(found.verdict, f"{found.words} {SAFE}{at}.", evidence)
    if lost:
        return Stopped(
            Verdict.UNREACHABLE,
            f"The connection to the database ended{at} ({error or type(error).__name__}). {SAFE}; "
            "run the release again when the database answers.",
        )
    code = getattr(error, "sqlstate", None) or ""
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

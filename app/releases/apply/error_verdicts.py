"""The verdicts on errors of PostgreSQL, or of the connection to it."""

from typing import Final

import asyncpg

from app.database.url import BadDatabaseUrl
from app.releases.connection.server_faults import server_fault
from app.releases.migrations.revisions import BadRevisions
from app.releases.migrations.version_row import BadVersionRow
from app.releases.verdict import MigrationContended, MigrationError, Stopped, Verdict

# Classes that fail again however often they are tried: bad values, broken constraints, bad SQL.
_WRONG_CLASSES: Final = frozenset({"0A", "22", "23", "2B", "42", "P0"})
# The errors of a statement, or of its connection.
LOST: Final = (
    asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError,
    TimeoutError,
)  # fmt: skip
# The errors of the server for which it ends the connection.
_ENDED: Final = (
    asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError, asyncpg.CrashShutdownError,
    asyncpg.InvalidCatalogNameError, asyncpg.CannotConnectNowError,
)  # fmt: skip

SAFE: Final = "Nothing half-done is lost and the old version serves on"


def stopped(error: Exception) -> Stopped | None:
    """Return the verdict on an error, None for an unexpected one."""
    if isinstance(error, Stopped):
        return error
    if isinstance(error, BadDatabaseUrl):
        return Stopped(Verdict.MISCONFIGURED, str(error))
    if (fault := server_fault(error)) is not None:
        return fault
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
    """Return the verdict on the error of a statement; ``where`` is its first line.

    BROKEN is what fails again however often it is tried; FAILED, as for a full disk or a missing
    right, is not the image's fault; UNREACHABLE is a connection that ended.
    """
    at = f" at: {where}" if where else ""
    fault = server_fault(error)
    lost = not isinstance(error, asyncpg.PostgresError) or isinstance(error, _ENDED)
    if fault is not None and not (lost and fault.verdict is Verdict.UNREACHABLE):
        evidence = {**fault.evidence, "statement": where}
        return Stopped(fault.verdict, f"{fault.words} {SAFE}{at}.", evidence)
    if lost:
        return Stopped(
            Verdict.UNREACHABLE,
            f"The connection to the database ended{at} ({error or type(error).__name__}). {SAFE}; "
            "run the release again when the database answers.",
        )
    code = getattr(error, "sqlstate", None) or ""
    wrong = code[:2] in _WRONG_CLASSES and not isinstance(error, asyncpg.InsufficientPrivilegeError)
    mend = "mend the cause, then run the release again."
    if wrong:
        mend = "the same would happen again: mend the revision, or the rows it meets."
    words = f"PostgreSQL refused{at}: {error} ({code}). {SAFE}; {mend}"
    evidence = {"sqlstate": code, "statement": where}
    return Stopped(Verdict.BROKEN if wrong else Verdict.FAILED, words, evidence)

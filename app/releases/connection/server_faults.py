"""Errors for which the server or the network is to blame, and never a revision.

A connection that is refused, a full disk or too little memory meets whatever runs at that moment,
on the live database and on a rehearsal's copy alike.
"""

import errno
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Final

import asyncpg

from app.releases.verdict import Stopped, Verdict

_LIMIT: Final = "53300"
_FULL: Final = "53100"
_NO_ROOM: Final = "No space left"
# What pg_dump and psql print of an error; its code they keep to themselves.
_SAYINGS: Final = (
    (re.compile(r"too many (?:connections|clients)[^\n]*|connection slots are reserved[^\n]*"),
     asyncpg.TooManyConnectionsError),
    (re.compile(r"ERROR:[^\n]*No space left on device|[^\n]*[Dd]isk full[^\n]*"),
     asyncpg.DiskFullError),
    (re.compile(r"ERROR:\s+out of (?:shared )?memory"), asyncpg.OutOfMemoryError),
    (re.compile(r"(?:server closed the connection|terminating connection)[^\n]*"),
     asyncpg.ConnectionFailureError),
)  # fmt: skip
_DEEPEST: Final = 10  # causes of causes
_CONNECTIONS: Final = 8
"""How many connections the gate may have at once, its copy's included."""

_LOST: Final = (
    Verdict.UNREACHABLE,
    "The connection to the database ended: run it again when the database answers.",
)
# By a whole code, else by its class (the first two characters).
_WORDS: Final[Mapping[str, str]] = {
    _LIMIT: "PostgreSQL takes no more connections: {words}. Close some, or raise the limit that it "
    f"names (the release needs up to {_CONNECTIONS} at once), then run it again.",
    _FULL: "The disk of the database server is full: {words}. Make room there (a rehearsal needs "
    "as much again as the database is large), then run it again.",
    "53200": "The database server is out of memory: {words}. Give it more, or lower work_mem, "
    "maintenance_work_mem or what else runs there, then run it again.",
    **dict.fromkeys(("53", "58"), "The database server lacks what it needs: {words}. Look into its "
    "log, mend the cause, then run it again."),
    "25006": "The database takes no writes: {words}. It is a standby, or was set to read only, as "
    "hosts do when a disk is nearly full; mend that, then run it again.",
    "28": "PostgreSQL lets us not in: {words}. Check the user and the password of DATABASE_URL "
    "(DATABASE_UNPOOLED_URL where it is set), and who may connect from here.",
    "3D000": "The server has no such database: {words}. Check the name at the end of DATABASE_URL "
    "(DATABASE_UNPOOLED_URL where it is set).",
    "57P03": "The database server takes no connections now: {words}. Run it again in a moment.",
    **dict.fromkeys(("08", "57P01", "57P02", "57P05"), "The connection to the database ended: "
    "{words}. Run it again when the database answers."),
}  # fmt: skip


def server_fault(error: BaseException) -> Stopped | None:
    """Return the verdict where the server or the network caused an error; else None."""
    for cause in _causes(error):
        if isinstance(cause, asyncpg.PostgresError):
            fault = _of_server(cause)
        elif isinstance(cause, OSError | TimeoutError):
            fault = _of_way(cause)
        else:
            is_closed = re.search("connection is closed|closed in the middle", str(cause))
            fault = _LOST if isinstance(cause, asyncpg.InterfaceError) and is_closed else None
        if fault is not None:
            return Stopped(*fault, {"error": type(cause).__name__})
    return None


def raise_if_server_fault(error: BaseException) -> None:
    """Raise Stopped where the server or the network caused an error."""
    if (fault := server_fault(error)) is not None:
        raise fault from error


def fault_in_output(last: str) -> Stopped | None:
    """Return the verdict on what a program of PostgreSQL's own said last, None for any other."""
    for pattern, error in _SAYINGS:
        if fault := pattern.search(last):
            return server_fault(error(fault[0]))
    if _NO_ROOM in last:
        return server_fault(OSError(errno.ENOSPC, _NO_ROOM))
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error, what the driver said, and what either came from."""
    cause: BaseException | None = error
    for _ in range(_DEEPEST):
        if cause is None:
            return
        yield cause
        original = getattr(cause, "orig", None)
        cause = original if isinstance(original, BaseException) else cause.__cause__


def _of_server(error: asyncpg.PostgresError) -> tuple[Verdict, str] | None:
    """Return the verdict on an error that the server reports, by its code; else None."""
    code, words = error.sqlstate or "", str(error).partition("\n")[0].rstrip(".")
    words = words or type(error).__name__
    words = f"{words} ({code})" if code else words
    if code[:2] == "58" and _NO_ROOM in words:
        code = _FULL
    if isinstance(error, asyncpg.ConnectionFailureError) and code not in _WORDS:
        code = "08"
    template = _WORDS.get(code) or _WORDS.get(code[:2])
    if template is None:
        return None
    verdict = Verdict.FAILED if code[:2] in {"25", "53", "58"} else Verdict.UNREACHABLE
    verdict = Verdict.CONTENDED if code == _LIMIT else verdict
    return verdict, template.format(words=words)


def _of_way(error: OSError | TimeoutError) -> tuple[Verdict, str] | None:
    """Return the verdict on an error of the network, or of a full disk; else None."""
    if error.errno == errno.ENOSPC:
        return Verdict.FAILED, (
            "The disk of the machine that runs this is full: make room, then run it again."
        )
    words = _way(error)
    return (Verdict.UNREACHABLE, words) if words else None


def _way(error: OSError | TimeoutError) -> str | None:
    if isinstance(error, socket.gaierror):
        return (
            "The database's host is not found: check the name of the host in DATABASE_URL "
            "(DATABASE_UNPOOLED_URL where it is set), or wait until the network knows it."
        )
    if isinstance(error, ssl.SSLError) or "SSL" in str(error):
        reason = getattr(error, "verify_message", "") or str(error)
        return (
            f"The database cannot be reached with TLS as DATABASE_URL asks for it: {reason}. "
            "Correct its sslmode or sslrootcert, or the server's certificate."
        )
    is_refused = f"Errno {errno.ECONNREFUSED}" in str(error)
    if isinstance(error, ConnectionRefusedError) or is_refused:
        return (
            "The database does not answer: nothing listens at the host and port of DATABASE_URL "
            "(connection refused). Check both, and that the server runs."
        )
    if isinstance(error, FileNotFoundError) and "Connect call" not in str(error):
        return None
    if isinstance(error, TimeoutError) or error.errno == errno.ETIMEDOUT:
        return (
            "The database does not answer in time: check the host and port of DATABASE_URL, and "
            "whether a firewall stands between."
        )
    lost = isinstance(error, ConnectionError) or "Connect call failed" in str(error)
    unroutable = error.errno in {errno.ENETUNREACH, errno.EHOSTUNREACH}
    plain = error.strerror or type(error).__name__
    return f"The database does not answer ({plain})." if lost or unroutable else None

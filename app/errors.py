"""The errors that Signalbook answers with; each has its status and a stable code.

::

    SignalbookError                     500  INTERNAL
    ├── BadRequest                      400  BAD_REQUEST
    │   ├── BrokenJson                       BROKEN_JSON
    │   ├── ProductionNotFound               PRODUCTION_NOT_FOUND
    │   ├── WrongProduction                  WRONG_PRODUCTION
    │   ├── VersionMissing                   VERSION_REQUIRED
    │   ├── NotJoined                        NOT_JOINED
    │   └── InvalidTimestamp                 INVALID_TIMESTAMP
    ├── Unauthorized                    401  UNAUTHORIZED
    ├── Forbidden                       403  FORBIDDEN
    ├── NotFound                        404  NOT_FOUND
    ├── Conflict                        409  CONFLICT
    │   ├── DuplicateId                      DUPLICATE_ID
    │   ├── DuplicateUuid                    DUPLICATE_UUID
    │   ├── AmbiguousId                      AMBIGUOUS_ID
    │   ├── VersionConflict                  VERSION_CONFLICT
    │   ├── BulkFailed                       BULK_FAILED
    │   ├── SyncFailed                       SYNC_FAILED
    │   ├── MutationReused                   MUTATION_REUSED
    │   ├── PlanClosed                       PLAN_CLOSED
    │   ├── NotRehearsed                     NOT_REHEARSED
    │   └── Destroys                         DESTROYS
    ├── PreconditionFailed              412  PRECONDITION_FAILED
    ├── LogTrimmed                      410  LOG_TRIMMED
    ├── BodyTooLarge                    413  BODY_TOO_LARGE
    ├── UnsupportedMediaType            415  UNSUPPORTED_MEDIA_TYPE
    ├── Invalid                         422  INVALID
    ├── KeyReused                       422  IDEMPOTENCY_KEY_REUSED
    ├── TooFast                         429  TOO_FAST
    └── Unavailable                     503  UNAVAILABLE
        ├── DatabaseAway                     DATABASE_AWAY
        ├── Busy                             BUSY
        ├── TooManyConnections               TOO_MANY_CONNECTIONS
        ├── OutOfMemory                      OUT_OF_MEMORY
        ├── DiskFull                         DISK_FULL
        ├── PoolerInTheWay                   POOLER
        └── SchemaMismatch                   SCHEMA_MISMATCH

The body is ``application/problem+json``. Its ``error`` is the short text that the frontend shows,
its ``message`` the sentence that says what to do. A subclass has its base's status. The errors of a
server that has run out of something are in ``app.database.driver_errors``.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar


class SignalbookError(Exception):
    """The root of all; raised itself only for the unforeseen."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "INTERNAL"
    error: str = "Internal server error"
    headers: ClassVar[Mapping[str, str]] = {}

    def __init__(self, message: str, *, error: str | None = None, **members: Any) -> None:
        super().__init__(message)
        self.message = message
        self.error = error or type(self).error
        self.members = members

    def body(self, instance: str) -> dict[str, Any]:
        """Return the problem+json members; ``instance`` is the path of the request."""
        return {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.message,
            "instance": instance,
            "error": self.error,
            "message": self.message,
            "code": self.code,
            **self.members,
        }


class BadRequest(SignalbookError):
    """The request cannot be understood."""

    status, code, error = 400, "BAD_REQUEST", "Bad request"


class BrokenJson(BadRequest):
    """The body is not JSON."""

    code, error = "BROKEN_JSON", "Invalid JSON"


class ProductionNotFound(BadRequest):
    """The body's ``productionId`` names no live production."""

    code, error = "PRODUCTION_NOT_FOUND", "Production not found"


class WrongProduction(BadRequest):
    """An update names another production than the row's, but rows do not move."""

    code, error = "WRONG_PRODUCTION", "Rows do not move between productions"


class VersionMissing(BadRequest):
    """An update lacks the version that it started from, which it must have."""

    code, error = "VERSION_REQUIRED", "Version required for conflict detection"


class NotJoined(BadRequest):
    """A socket announces a change to a production that it has not joined."""

    code, error = "NOT_JOINED", "Not joined"


class InvalidTimestamp(BadRequest):
    """A time in a path is not a number of milliseconds."""

    code, error = "INVALID_TIMESTAMP", "Invalid timestamp"


class Unauthorized(SignalbookError):
    """No credential, or a wrong one."""

    status, code, error = 401, "UNAUTHORIZED", "Unauthorized"
    headers: ClassVar[Mapping[str, str]] = {"www-authenticate": "Bearer"}


class Forbidden(SignalbookError):
    """Only this machine itself may request this, and no web page of another origin."""

    status, code, error = 403, "FORBIDDEN", "Forbidden"


class NotFound(SignalbookError):
    """There is no row under that key, or no route under that path."""

    status, code, error = 404, "NOT_FOUND", "Not found"


class Conflict(SignalbookError):
    """The request contradicts what is stored."""

    status, code, error = 409, "CONFLICT", "Conflict"


class DuplicateId(Conflict):
    """The label is in use; ``suggestedId`` is the next free one."""

    code, error = "DUPLICATE_ID", "Duplicate ID"


class DuplicateUuid(Conflict):
    """The uuid that the client made belongs to a row already."""

    code, error = "DUPLICATE_UUID", "Duplicate UUID"


class AmbiguousId(Conflict):
    """Several live rows hold that label; ``candidates`` lists them."""

    code, error = "AMBIGUOUS_ID", "Ambiguous ID"


class VersionConflict(Conflict):
    """Somebody else changed the same fields; carries base, theirs and yours."""

    code = "VERSION_CONFLICT"


class BulkFailed(Conflict):
    """One operation of an atomic request failed; ``results`` shows which."""

    code, error = "BULK_FAILED", "Bulk edit failed"


class SyncFailed(Conflict):
    """One mutation of an atomic batch failed; ``results`` shows which."""

    code, error = "SYNC_FAILED", "Sync failed"


class MutationReused(Conflict):
    """A different mutation was applied before under that id."""

    code, error = "MUTATION_REUSED", "Mutation ID reused"


class PlanClosed(Conflict):
    """The plan of a release was begun or finished, so it can no longer be approved or declined."""

    code, error = "PLAN_CLOSED", "Plan closed"


class NotRehearsed(Conflict):
    """The last rehearsal of the plan is missing or did not pass."""

    code, error = "NOT_REHEARSED", "Not rehearsed"


class Destroys(Conflict):
    """The plan destroys data: ``destroys`` is the table that the approval must name."""

    code, error = "DESTROYS", "Destructive release"


class PreconditionFailed(SignalbookError):
    """The row has changed since the one that ``If-Match`` names; ``serverData`` is the new one."""

    status, code, error = 412, "PRECONDITION_FAILED", "Precondition failed"


class LogTrimmed(SignalbookError):
    """The change log does not hold the requested entries, or no longer."""

    status, code, error = 410, "LOG_TRIMMED", "Change log trimmed"


class BodyTooLarge(SignalbookError):
    """The body is larger than MAX_BODY_BYTES."""

    status, code, error = 413, "BODY_TOO_LARGE", "Body too large"


class UnsupportedMediaType(SignalbookError):
    """The body is not declared as JSON."""

    status, code, error = 415, "UNSUPPORTED_MEDIA_TYPE", "Unsupported media type"


class Invalid(SignalbookError):
    """The body is JSON but not valid; ``errors`` lists a ``{path, message}`` for each problem."""

    status, code, error = 422, "INVALID", "Invalid request"

    def __init__(self, errors: Sequence[Mapping[str, str]]) -> None:
        first = errors[0]
        super().__init__(f"{first['path']}: {first['message']}", errors=list(errors))

    @classmethod
    def at(cls, path: str, message: str) -> "Invalid":
        """Return the error for one field."""
        return cls([{"path": path, "message": message}])


class KeyReused(SignalbookError):
    """The Idempotency-Key was sent before, with another request."""

    status, code, error = 422, "IDEMPOTENCY_KEY_REUSED", "Idempotency key reused"


class TooFast(SignalbookError):
    """A socket sends more events at once than it may."""

    status, code, error = 429, "TOO_FAST", "Too many events"


class Unavailable(SignalbookError):
    """The service cannot answer now; the same request may succeed in a moment."""

    status, code, error = 503, "UNAVAILABLE", "Service unavailable"
    headers: ClassVar[Mapping[str, str]] = {"retry-after": "2"}


class DatabaseAway(Unavailable):
    """The database does not answer."""

    code = "DATABASE_AWAY"


class Busy(Unavailable):
    """Every connection is in use, or a lock was not granted in time."""

    code = "BUSY"


class PoolerInTheWay(Unavailable):
    """A pooler in transaction mode, which DATABASE_URL does not announce, mixes up sessions."""

    code = "POOLER"
    headers: ClassVar[Mapping[str, str]] = {"retry-after": "10"}


class SchemaMismatch(Unavailable):
    """The database lacks what this version of the code needs."""

    code = "SCHEMA_MISMATCH"


class WriteRace(Exception):
    """Internal retry signal, never sent to a client: the write starts again, under a lock.

    The row changed after it was read, or the write touches several rows.
    """

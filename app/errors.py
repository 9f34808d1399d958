"""Every error that Signalbook answers with; each carries its status and its stable code.

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

The body is ``application/problem+json`` with the members that people and the frontend read:
``error`` is the short text the frontend shows, ``message`` the sentence that says what to do.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar


class SignalbookError(Exception):
    """The root; raised itself only for what nobody foresaw."""

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
        """Give the problem+json members; ``instance`` is the path that was asked for."""
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
    """The request makes no sense as it stands."""

    status, code, error = 400, "BAD_REQUEST", "Bad request"


class BrokenJson(BadRequest):
    """The body is not JSON."""

    code, error = "BROKEN_JSON", "Invalid JSON"


class ProductionNotFound(BadRequest):
    """The body's ``productionId`` names no live production."""

    code, error = "PRODUCTION_NOT_FOUND", "Production not found"


class WrongProduction(BadRequest):
    """An update names another production than the row's: rows do not move."""

    code, error = "WRONG_PRODUCTION", "Rows do not move between productions"


class VersionMissing(BadRequest):
    """An update that must say what it started from does not."""

    code, error = "VERSION_REQUIRED", "Version required for conflict detection"


class NotJoined(BadRequest):
    """A socket speaks to those who watch a production that it does not watch itself."""

    code, error = "NOT_JOINED", "Not joined"


class InvalidTimestamp(BadRequest):
    """A time in a path is not a number of milliseconds."""

    code, error = "INVALID_TIMESTAMP", "Invalid timestamp"


class Unauthorized(SignalbookError):
    """No credential, or a wrong one."""

    status, code, error = 401, "UNAUTHORIZED", "Unauthorized"
    headers: ClassVar[Mapping[str, str]] = {"www-authenticate": "Bearer"}


class Forbidden(SignalbookError):
    """Only this machine itself may ask this, and no web page of another origin."""

    status, code, error = 403, "FORBIDDEN", "Forbidden"


class NotFound(SignalbookError):
    """Nothing lives under that key, or no route under that path."""

    status, code, error = 404, "NOT_FOUND", "Not found"


class Conflict(SignalbookError):
    """What was asked contradicts what is stored."""

    status, code, error = 409, "CONFLICT", "Conflict"


class DuplicateId(Conflict):
    """The label is taken; ``suggestedId`` is the next free one."""

    code, error = "DUPLICATE_ID", "Duplicate ID"


class DuplicateUuid(Conflict):
    """The uuid that the client made is already a row's."""

    code, error = "DUPLICATE_UUID", "Duplicate UUID"


class AmbiguousId(Conflict):
    """Several live rows hold that label; ``candidates`` lists them."""

    code, error = "AMBIGUOUS_ID", "Ambiguous ID"


class VersionConflict(Conflict):
    """Somebody else changed the same fields; carries base, theirs and yours."""

    code = "VERSION_CONFLICT"


class BulkFailed(Conflict):
    """One of several operations that belong together was refused; ``results`` tells which."""

    code, error = "BULK_FAILED", "Bulk edit failed"


class SyncFailed(Conflict):
    """A mutation of a batch that belongs together was not taken; ``results`` tells which."""

    code, error = "SYNC_FAILED", "Sync failed"


class MutationReused(Conflict):
    """A mutation with that id was taken before, and was another one."""

    code, error = "MUTATION_REUSED", "Mutation ID reused"


class PlanClosed(Conflict):
    """The plan of a release was begun or is done: nothing is left to decide."""

    code, error = "PLAN_CLOSED", "Plan closed"


class NotRehearsed(Conflict):
    """The last rehearsal of the plan is missing or did not pass."""

    code, error = "NOT_REHEARSED", "Not rehearsed"


class Destroys(Conflict):
    """The plan takes something away: ``destroys`` is the table that the approval must name."""

    code, error = "DESTROYS", "Destructive release"


class PreconditionFailed(SignalbookError):
    """The row is no longer the one that ``If-Match`` names; ``serverData`` is what it is now."""

    status, code, error = 412, "PRECONDITION_FAILED", "Precondition failed"


class LogTrimmed(SignalbookError):
    """The change log does not hold what was asked for, or not any more."""

    status, code, error = 410, "LOG_TRIMMED", "Change log trimmed"


class BodyTooLarge(SignalbookError):
    """The body is larger than MAX_BODY_BYTES."""

    status, code, error = 413, "BODY_TOO_LARGE", "Body too large"


class UnsupportedMediaType(SignalbookError):
    """The body is not declared as JSON."""

    status, code, error = 415, "UNSUPPORTED_MEDIA_TYPE", "Unsupported media type"


class Invalid(SignalbookError):
    """The body is JSON but not valid; ``errors`` lists ``{path, message}`` for each fault."""

    status, code, error = 422, "INVALID", "Invalid request"

    def __init__(self, errors: Sequence[Mapping[str, str]]) -> None:
        first = errors[0]
        super().__init__(f"{first['path']}: {first['message']}", errors=list(errors))

    @classmethod
    def at(cls, path: str, message: str) -> "Invalid":
        """Build the error for one field."""
        return cls([{"path": path, "message": message}])


class KeyReused(SignalbookError):
    """The Idempotency-Key was sent before, with another request."""

    status, code, error = 422, "IDEMPOTENCY_KEY_REUSED", "Idempotency key reused"


class TooFast(SignalbookError):
    """A socket says more at once than anybody could mean."""

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
    """A pooler lends each transaction another session, and DATABASE_URL does not announce it."""

    code = "POOLER"
    headers: ClassVar[Mapping[str, str]] = {"retry-after": "10"}


class SchemaMismatch(Unavailable):
    """The database lacks what this version of the code needs."""

    code = "SCHEMA_MISMATCH"


class WriteRace(Exception):
    """No error of ours, and nobody is ever answered with it: what a write was decided from no
    longer holds, or it has more rows to write than one. It starts again, under a lock."""

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
    ├── MethodNotAllowed                405  METHOD_NOT_ALLOWED
    ├── RequestTooSlow                  408  REQUEST_TOO_SLOW
    ├── Conflict                        409  CONFLICT
    │   ├── DuplicateId                      DUPLICATE_ID
    │   ├── DuplicateUuid                    DUPLICATE_UUID
    │   ├── DuplicateValue                   DUPLICATE_VALUE
    │   ├── InputInUse, ChannelInUse         INPUT_IN_USE, CHANNEL_IN_USE
    │   ├── AmbiguousId                      AMBIGUOUS_ID
    │   ├── VersionConflict                  VERSION_CONFLICT
    │   ├── BulkFailed, SyncFailed           BULK_FAILED, SYNC_FAILED
    │   ├── MutationReused                   MUTATION_REUSED
    │   ├── PlanClosed, NotRehearsed         PLAN_CLOSED, NOT_REHEARSED
    │   └── Destroys                         DESTROYS
    ├── PreconditionFailed              412  PRECONDITION_FAILED
    ├── LogTrimmed                      410  LOG_TRIMMED
    ├── BodyTooLarge                    413  BODY_TOO_LARGE
    ├── UnsupportedMediaType            415  UNSUPPORTED_MEDIA_TYPE
    ├── Invalid                         422  INVALID
    │   ├── SelfLoop, SameDirection          SELF_LOOP, SAME_DIRECTION
    │   └── ChannelOutOfRange                CHANNEL_OUT_OF_RANGE
    ├── KeyReused                       422  IDEMPOTENCY_KEY_REUSED
    ├── TooFast                         429  TOO_FAST
    │   └── TooManyFromAddress               TOO_MANY_FROM_ADDRESS
    ├── TooManyRefusals                 429  TOO_MANY_REFUSALS
    ├── HeadTooLarge                    431  HEAD_TOO_LARGE
    └── Unavailable                     503  UNAVAILABLE
        ├── DatabaseAway, Busy               DATABASE_AWAY, BUSY
        ├── TooManyConnections               TOO_MANY_CONNECTIONS
        ├── OutOfMemory, DiskFull            OUT_OF_MEMORY, DISK_FULL
        ├── PoolerInTheWay                   POOLER
        └── SchemaMismatch                   SCHEMA_MISMATCH

The body is ``application/problem+json``. Its ``error`` is the short text that the frontend shows,
its ``message`` the sentence that says what to do. A subclass has what its base has, or says so.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar
from uuid import UUID

from app.masking import masked


class SignalbookError(Exception):
    """Something that nobody foresaw. All other errors are kinds of it."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "INTERNAL"
    error: str = "Internal server error"
    headers: Mapping[str, str] = {}

    def __init_subclass__(
        cls, *, code: str, status: int | None = None, error: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        super().__init_subclass__()
        cls.code, cls.status = code, status or cls.status
        cls.error, cls.headers = error or cls.error, headers or cls.headers

    def __init__(self, message: str, *, error: str | None = None, **members: Any) -> None:
        super().__init__(message)
        self.message, self.members, self.error = message, members, error or type(self).error

    def body(self, instance: str) -> dict[str, Any]:
        """Return the problem+json members; ``instance`` is the path of the request."""
        return {
            "type": "about:blank", "title": HTTPStatus(self.status).phrase, "status": self.status,
            "detail": masked(self.message), "instance": masked(instance), "error": self.error,
            "message": masked(self.message), "code": self.code, **self.members,
        }  # fmt: skip

    def acknowledgement(self) -> dict[str, Any]:
        """Return what the acknowledgement of a socket's event says of it."""
        names = ("oldest", "latest", "resync", "candidates")
        more = {name: self.members[name] for name in names if name in self.members}
        return {"error": self.error, "message": masked(self.message), "code": self.code, **more}


class BadRequest(SignalbookError, status=400, code="BAD_REQUEST", error="Bad request"):
    """The request cannot be understood."""


class BrokenJson(BadRequest, code="BROKEN_JSON", error="Invalid JSON"):
    """The body is not JSON."""


class ProductionNotFound(BadRequest, code="PRODUCTION_NOT_FOUND", error="Production not found"):
    """The body's ``productionId`` names no live production."""


class WrongProduction(
    BadRequest, code="WRONG_PRODUCTION", error="Rows do not move between productions"
):
    """An update names another production than the row's, but rows do not move."""


class VersionMissing(
    BadRequest, code="VERSION_REQUIRED", error="Version required for conflict detection"
):
    """An update lacks the version that it started from, which it must have."""


class NotJoined(BadRequest, code="NOT_JOINED", error="Not joined"):
    """A socket announces a change to a production that it has not joined."""


class InvalidTimestamp(BadRequest, code="INVALID_TIMESTAMP", error="Invalid timestamp"):
    """A time in a path is not a number of milliseconds."""


class Unauthorized(
    SignalbookError, status=401, code="UNAUTHORIZED", error="Unauthorized",
    headers={"www-authenticate": "Bearer"},
):  # fmt: skip
    """No credential, or one that is wrong, revoked or expired."""


class Forbidden(SignalbookError, status=403, code="FORBIDDEN", error="Forbidden"):
    """The role is too low; or only this machine may request this; or it ships with the service."""


class NotFound(SignalbookError, status=404, code="NOT_FOUND", error="Not found"):
    """There is no row under that key, or no route under that path."""


class MethodNotAllowed(
    SignalbookError, status=405, code="METHOD_NOT_ALLOWED", error="Method not allowed"
):
    """The path does not take that method; the header ``Allow`` lists those that it takes."""

    def __init__(self, method: str, allow: str) -> None:
        super().__init__(f"{method[:100]!r} is not possible here: this path takes {allow}.")
        self.headers = {"allow": allow}


class RequestTooSlow(SignalbookError, status=408, code="REQUEST_TOO_SLOW", error="Too slow"):
    """The head or the body of the request came too slowly, and the connection is closed."""


class Conflict(SignalbookError, status=409, code="CONFLICT", error="Conflict"):
    """The request contradicts what is stored."""


class DuplicateId(Conflict, code="DUPLICATE_ID", error="Duplicate ID"):
    """The label is in use; ``suggestedId`` is the next free one."""


class DuplicateUuid(Conflict, code="DUPLICATE_UUID", error="Duplicate UUID"):
    """The uuid that the client made belongs to a row already."""


class DuplicateValue(Conflict, code="DUPLICATE_VALUE", error="Duplicate value"):
    """Another live row of the production has a value that only one may have."""


class AmbiguousId(Conflict, code="AMBIGUOUS_ID", error="Ambiguous ID"):
    """Several live rows hold that label, or another show did lately; ``candidates`` lists them."""

    @classmethod
    def of_two_shows(cls, label: str, holder: UUID, former: Mapping[str, str]) -> "AmbiguousId":
        """Return the error for the label of a show that another live one had lately."""
        return cls(
            f"{label!r} was lately the label of the show that is now {former['productionId']!r}, "
            "and is another's: use the uuid of the one you mean.",
            candidates=[{"uuid": str(holder), "productionId": label}, former],
        )


class VersionConflict(Conflict, code="VERSION_CONFLICT"):
    """Somebody else changed the same fields; carries base, theirs and yours."""


class BulkFailed(Conflict, code="BULK_FAILED", error="Bulk edit failed"):
    """One operation of an atomic request failed; ``results`` shows which."""


class SyncFailed(Conflict, code="SYNC_FAILED", error="Sync failed"):
    """One mutation of an atomic batch failed; ``results`` shows which."""


class MutationReused(Conflict, code="MUTATION_REUSED", error="Mutation ID reused"):
    """A different mutation was applied before under that id."""


class PlanClosed(Conflict, code="PLAN_CLOSED", error="Plan closed"):
    """The plan of a release was begun or finished, so it can no longer be approved or declined."""


class NotRehearsed(Conflict, code="NOT_REHEARSED", error="Not rehearsed"):
    """The last rehearsal of the plan is missing or did not pass."""


class Destroys(Conflict, code="DESTROYS", error="Destructive release"):
    """The plan destroys data: ``destroys`` is the table that the approval must name."""


class PreconditionFailed(
    SignalbookError, status=412, code="PRECONDITION_FAILED", error="Precondition failed"
):
    """The row has changed since the one that ``If-Match`` names; ``serverData`` is the new one."""


class LogTrimmed(SignalbookError, status=410, code="LOG_TRIMMED", error="Change log trimmed"):
    """The change log does not hold the requested entries, or no longer."""


class BodyTooLarge(SignalbookError, status=413, code="BODY_TOO_LARGE", error="Body too large"):
    """The body is larger than MAX_BODY_BYTES, or holds more values than may be parsed."""


class UnsupportedMediaType(
    SignalbookError, status=415, code="UNSUPPORTED_MEDIA_TYPE", error="Unsupported media type"
):
    """The body is not declared as JSON."""


class Invalid(SignalbookError, status=422, code="INVALID", error="Invalid request"):
    """The body is JSON but not valid; ``errors`` lists a ``{path, message}`` for each problem."""

    def __init__(self, errors: Sequence[Mapping[str, str]]) -> None:
        first = errors[0]
        super().__init__(f"{first['path']}: {first['message']}", errors=list(errors))

    @classmethod
    def at(cls, path: str, message: str) -> "Invalid":
        return cls([{"path": path, "message": message}])


class KeyReused(
    SignalbookError, status=422, code="IDEMPOTENCY_KEY_REUSED", error="Idempotency key reused"
):
    """The Idempotency-Key was sent before, with another request."""


class TooFast(SignalbookError, status=429, code="TOO_FAST", error="Too many at once"):
    """A socket sends more events at once than it may."""


class TooManyFromAddress(TooFast, code="TOO_MANY_FROM_ADDRESS", headers={"retry-after": "10"}):
    """The client's address has too many connections, or sockets without a CONNECT."""


class TooManyRefusals(SignalbookError, status=429, code="TOO_MANY_REFUSALS", error="Throttled"):
    """Too many wrong credentials came from one address, or for one token."""


class HeadTooLarge(SignalbookError, status=431, code="HEAD_TOO_LARGE", error="Headers too large"):
    """The head of the request has more bytes or lines than it may, and the connection is closed."""


class Unavailable(
    SignalbookError, status=503, code="UNAVAILABLE", error="Service unavailable",
    headers={"retry-after": "2"},
):  # fmt: skip
    """The service cannot answer now; the same request may succeed in a moment."""


class DatabaseAway(Unavailable, code="DATABASE_AWAY"):
    """The database does not answer."""


class Busy(Unavailable, code="BUSY"):
    """Every connection is in use, or a lock was not granted in time."""


class TooManyConnections(Unavailable, code="TOO_MANY_CONNECTIONS", headers={"retry-after": "5"}):
    """PostgreSQL lets no further connection in: its own limit, the role's or the database's."""


class OutOfMemory(Unavailable, code="OUT_OF_MEMORY", headers={"retry-after": "10"}):
    """PostgreSQL has no memory left for the statement."""


class DiskFull(Unavailable, code="DISK_FULL", headers={"retry-after": "60"}):
    """The disk of the database is full: nothing can be written until somebody makes room."""


class PoolerInTheWay(Unavailable, code="POOLER", headers={"retry-after": "10"}):
    """A pooler in transaction mode, which DATABASE_URL does not announce, mixes up sessions."""


class SchemaMismatch(Unavailable, code="SCHEMA_MISMATCH"):
    """The database lacks what this version of the code needs."""

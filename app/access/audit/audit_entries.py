"""The audit: who signed in, who was refused, and what was done with access and the installation.

What somebody does is noted in the transaction that does it (``note_in``): neither is there without
the other. Refusals are noted beside requests, by the ``Audit`` of ``audit_writer``.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from pydantic_core import to_json

from app.access.caller import Caller
from app.access.client_address import Scope, address_of
from app.changelog.log import Actor
from app.database.database import DatabaseConnection
from app.masking import masked
from app.sql.projection import MOMENT
from app.sql.registry import statement

OK: Final = "ok"
REFUSED: Final = "refused"
_PRUNED: Final = 1_000
_LONGEST: Final = 300
"""Characters of what a client has sent."""

_COLUMNS: Final = "at, event, outcome, subject, user_id, user_name, address, request_id, details"
# Add the entries of the JSON array $1.
ADD_ENTRIES: Final = statement(
    f"INSERT INTO access_audit ({_COLUMNS}) SELECT {_COLUMNS} FROM jsonb_to_recordset($1::jsonb) "
    "AS entry(at timestamptz, event text, outcome text, subject text, user_id text, "
    "user_name text, address text, request_id text, details jsonb)"
)
_ENTRY: Final = (
    f'uuid, {MOMENT.format(column="at")} AS at, event, outcome, subject, user_id AS "userId", '
    'user_name AS "userName", address, request_id AS "requestId", details'
)
# A page: the $2 newest entries before entry $1, the newest of all where it is NULL.
PAGE_OF_ENTRIES: Final = statement(
    f"WITH page AS (SELECT {_ENTRY}, access_audit.at AS moment FROM access_audit "
    "WHERE (access_audit.at, uuid) < (CASE WHEN $1::uuid IS NULL THEN 'infinity'::timestamptz "
    "ELSE (SELECT known.at FROM access_audit AS known WHERE known.uuid = $1) END, "
    "coalesce($1, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)) "
    "ORDER BY access_audit.at DESC, uuid DESC LIMIT $2) "
    "SELECT json_build_object('entries', coalesce(json_agg("
    "to_jsonb(page) - 'moment' ORDER BY moment DESC, uuid DESC), '[]'), 'next', "
    "CASE WHEN count(*) = $2 THEN (array_agg(uuid ORDER BY moment, uuid))[1] END) FROM page"
)
# Up to $4 entries from before $1, behind entry $3 of the time $2, the oldest first.
OLDEST_ENTRIES: Final = statement(
    "SELECT access_audit.at AS moment, uuid, (SELECT row_to_json(e) FROM "
    f"(SELECT {_ENTRY}) AS e) AS entry FROM access_audit WHERE access_audit.at < $1 "
    "AND (access_audit.at, uuid) > ($2, $3) ORDER BY access_audit.at, uuid LIMIT $4"
)
# Removes a batch of entries that are older than $1 days.
FORGET_ENTRIES: Final = statement(
    "WITH gone AS (DELETE FROM access_audit WHERE uuid = ANY (ARRAY(SELECT uuid FROM access_audit "
    "WHERE at < CURRENT_TIMESTAMP - make_interval(days => $1::int) "
    f"ORDER BY at LIMIT {_PRUNED} FOR UPDATE SKIP LOCKED)) RETURNING 1) "
    "SELECT count(*) AS removed FROM gone"
)


@dataclass(frozen=True)
class AuditEntry:
    """What happened: a word like "token.created", and its outcome, ``OK`` or ``REFUSED``.

    ``details`` are of JSON, and hold no secret.
    """

    event: str
    outcome: str = OK
    subject: str | None = None
    user_id: str | None = None
    user_name: str | None = None
    address: str | None = None
    request_id: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


def of_request(scope: Scope, event: str, outcome: str = OK, **details: Any) -> AuditEntry:
    """Return the entry of what a request did: with its caller, its address and its id."""
    return of_caller(scope.get("state", {}).get("caller"), scope, event, outcome, **details)


def of_caller(
    caller: Caller | None, scope: Scope, event: str, outcome: str = OK, **details: Any
) -> AuditEntry:
    """Return the entry of what a request did whose caller is another than its credential says."""
    who = (caller.subject, caller.user_id, caller.user_name) if caller else (None, None, None)
    subject, user_id, user_name = who
    return AuditEntry(
        event, outcome, subject, user_id, user_name, address_of(scope),
        scope.get("state", {}).get("request_id"), details,
    )  # fmt: skip


def of_actor(actor: Actor, event: str, **details: Any) -> AuditEntry:
    """Return the entry of what somebody did to a row. Who a request only says it is, counts not."""
    person = (actor.user_id, actor.user_name) if actor.is_proven else (None, None)
    return AuditEntry(event, OK, actor.subject, *person, actor.address, actor.request_id, details)


async def note_in(connection: DatabaseConnection, *entries: AuditEntry) -> None:
    """Note in the open transaction what it does."""
    await connection.execute(ADD_ENTRIES, as_json(*entries))


def as_json(*entries: AuditEntry) -> str:
    """Return the entries as ``ADD_ENTRIES`` takes them: without NUL, no text longer than needed."""
    rows = []
    for entry in entries:
        row = asdict(entry)
        texts = {name: _clean(value) for name, value in row.items() if isinstance(value, str)}
        details = {name: _clean(value) for name, value in entry.details.items()}
        rows.append({**row, **texts, "details": details})
    return to_json(rows).decode()


def _clean(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return masked(value)[:_LONGEST].replace("\0", "�").encode("utf-8", "replace").decode()

"""The change log: one row for each write of an entity, in the write's own transaction.

``seq`` counts a production's changes without a gap and in the order of their commits. It comes from
the production's row under that row's lock, because the order of a sequence is not the order of
commits. ``older_events`` is what the older service logged; it stays readable for ever.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from pydantic_core import from_json
from sqlalchemy.dialects.postgresql import ENUM, JSON, JSONB

from app.database.database import DatabaseConnection
from app.model.entity import metadata
from app.rules.merge import Base
from app.sql.registry import statement

_MOMENT: Final = sa.DateTime(timezone=True)
_NOW: Final = sa.text("CURRENT_TIMESTAMP")
_NEW_UUID: Final = sa.text("gen_random_uuid()")


def _production() -> sa.Column[UUID]:
    owner = sa.ForeignKey("productions.uuid", ondelete="CASCADE")
    return sa.Column("production_uuid", sa.Uuid, owner, nullable=False)


changes: Final = sa.Table(
    "changes",
    metadata,
    _production(),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("uuid", sa.Uuid, nullable=False, server_default=_NEW_UUID),
    sa.Column("collection", sa.Text, nullable=False),
    sa.Column("entity_uuid", sa.Uuid, nullable=False),
    sa.Column("operation", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("changes", JSONB, nullable=False),
    sa.Column("entity", JSON),
    sa.Column("blind", sa.Boolean, nullable=False, server_default="false"),
    sa.Column("user_id", sa.Text, nullable=False),
    sa.Column("user_name", sa.Text, nullable=False),
    sa.Column("request_id", sa.Text),
    sa.Column("at", _MOMENT, nullable=False, server_default=_NOW),
    sa.PrimaryKeyConstraint("production_uuid", "seq"),
    sa.Index(None, "production_uuid", "entity_uuid", "seq"),
    sa.Index(None, "production_uuid", "at"),
    sa.Index(None, "at", postgresql_where=sa.text("collection = 'productions'")),
)

_OLDER_TYPES: Final = (
    "SOURCE", "SEND", "CAMERA", "CCU", "MEDIA_SERVER", "VIDEO_SWITCHER", "ROUTER", "CABLE_SNAKE",
    "PROJECTION_SCREEN", "LED_SCREEN", "COMPUTER", "IP_ADDRESS", "CHECKLIST_ITEM", "PRODUCTION",
    "CAM_SWITCHER", "VISION_SWITCHER", "RECORD", "STREAM",
)  # fmt: skip

_OPERATIONS: Final = ENUM("CREATE", "UPDATE", "DELETE", name="EventOperation")

older_events: Final = sa.Table(
    "events",
    metadata,
    sa.Column("uuid", sa.Uuid, primary_key=True, server_default=_NEW_UUID),
    sa.Column("id", sa.Text, nullable=False),
    _production(),
    sa.Column("event_type", ENUM(*_OLDER_TYPES, name="EventType"), nullable=False),
    sa.Column("operation", _OPERATIONS, nullable=False),
    sa.Column("entity_id", sa.Text, nullable=False),
    sa.Column("entity_data", JSONB),
    sa.Column("changes", JSONB),
    sa.Column("user_id", sa.Text, nullable=False),
    sa.Column("user_name", sa.Text),
    sa.Column("version", sa.Integer, nullable=False, server_default="1"),
    sa.Column("timestamp", _MOMENT, nullable=False, server_default=_NOW),
    sa.Index(None, "production_uuid", "timestamp"),
    sa.Index(None, "production_uuid", "entity_id"),
)


@dataclass(frozen=True)
class Actor:
    """Who writes, as the row and the log have it.

    ``subject`` names the credential. Where that is one person's, ``is_proven``; else the user is
    only what the request says. ``address`` is the client's, which only the audit has.
    """

    user_id: str | None = None
    user_name: str | None = None
    modified_by: str | None = None
    request_id: str | None = None
    subject: str | None = None
    is_proven: bool = False
    address: str | None = None

    @property
    def row_value(self) -> str | None:
        """What ``last_modified_by`` becomes."""
        return self.modified_by or self.user_id or None

    @property
    def logged_request(self) -> str | None:
        """The request as the log has it: its id, a blank, and the credential's subject.

        So the log says which users are proven, those of ``token:`` and ``issuer:``, and which are
        only hints. A request's id has no blank.
        """
        return f"{self.request_id} {self.subject}" if self.subject else self.request_id

    def or_else(self, other: "Actor") -> "Actor":
        """Return this actor, in what it does not say the other: id and name belong together.

        One who is proven is nobody else, whatever this one says.
        """
        if other.is_proven:
            return other
        person = self if self.user_id or self.user_name else other
        return replace(other, user_id=person.user_id, user_name=person.user_name,
                       modified_by=self.modified_by or other.modified_by)  # fmt: skip


async def bases(
    connection: DatabaseConnection, production: UUID, entity: UUID, version: int,
    client_versions: Mapping[str, int],
) -> dict[str, Base]:  # fmt: skip
    """Return the fields that changed since a client saw them, with what it saw.

    ``version`` is the row's, ``client_versions`` maps wire names to versions of it. The log has a
    field's value only where it holds every version since: an older service logs elsewhere, and the
    log is trimmed. Else the field counts as changed, its base as not known.
    """
    names, versions = list(client_versions), list(client_versions.values())
    rows = await connection.fetch(BASES, production, entity, names, versions, version)
    by_name = {row["name"]: _base(row) for row in rows}
    return {name: base for name, base in by_name.items() if base}


def _base(row: Any) -> Base | None:
    """Return what the client saw of a field; None where it has not changed since."""
    if not row["whole"]:
        return Base(is_known=False, changed=True)
    return None if row["value"] is None else Base(from_json(row["value"]), changed=True)


async def changed_members(
    connection: DatabaseConnection, production: UUID, entity: UUID, since: int
) -> dict[int, set[str]]:
    """Return the wire names that each write of a row after a version changed, by version."""
    rows = await connection.fetch(CHANGED_MEMBERS, production, entity, since)
    return {row["version"]: set(row["names"]) for row in rows}


# Whether entity $2 of production $1 was once labelled $3.
FORMER_LABEL: Final = statement(
    "SELECT EXISTS (SELECT FROM changes WHERE production_uuid = $1 AND entity_uuid = $2 "
    "AND operation = 'UPDATE' AND changes.changes -> 'id' ->> 0 = $3)"
)
# Which of the labels $3 entity $2 of production $1 once had.
FORMER_LABELS: Final = statement(
    "SELECT coalesce(array_agg(DISTINCT changes.changes -> 'id' ->> 0), '{}') FROM changes "
    "WHERE production_uuid = $1 AND entity_uuid = $2 AND operation = 'UPDATE' "
    "AND changes.changes -> 'id' ->> 0 = ANY($3::text[])"
)
# Who wrote row $2 of production $1 last.
LAST_WRITER: Final = statement(
    "SELECT user_name FROM changes WHERE production_uuid = $1 AND entity_uuid = $2 "
    "ORDER BY seq DESC LIMIT 1"
)
# Of production $1: the oldest and the latest number that the log holds, and entry $2 if it does.
NUMBERED: Final = statement(
    "SELECT (SELECT seq FROM changes WHERE production_uuid = place.uuid ORDER BY seq LIMIT 1) "
    "AS oldest, place.change_seq AS latest, entry.seq, entry.collection, entry.entity_uuid, "
    "entry.operation, entry.version, entry.changes FROM productions AS place "
    "LEFT JOIN changes AS entry ON entry.production_uuid = place.uuid AND entry.seq = $2 "
    "WHERE place.uuid = $1"
)
_OTHER_REQUEST: Final = (
    "SELECT seq FROM changes WHERE production_uuid = $1 AND seq {than} $2 "
    "AND request_id IS DISTINCT FROM own.request_id ORDER BY seq {way} LIMIT 1"
)
# The entries of production $1 that the request of entry $2 wrote, the last first: they follow one
# another. Without an id of a request, it is that entry alone.
OF_REQUEST: Final = statement(
    "SELECT entry.seq, entry.collection, entry.entity_uuid, entry.operation, entry.version, "
    "entry.changes FROM changes AS own JOIN changes AS entry "
    "ON entry.production_uuid = own.production_uuid "
    f"AND entry.seq > coalesce(({_OTHER_REQUEST.format(than='<', way='DESC')}), 0) "
    f"AND entry.seq < coalesce(({_OTHER_REQUEST.format(than='>', way='ASC')}), {2**63 - 1}) "
    "WHERE own.production_uuid = $1 AND own.seq = $2 "
    "AND (own.request_id IS NOT NULL OR entry.seq = own.seq) ORDER BY entry.seq DESC"
)
# Whether each field of entry $2 of production $1 has gone back since, and not forth again.
GONE_BACK: Final = statement(
    "SELECT bool_and(since.back > since.forth) FROM changes AS own, "
    "jsonb_each(own.changes) AS field(name, pair), LATERAL (SELECT "
    "count(*) FILTER (WHERE later.changes -> name = jsonb_build_array(pair -> 1, pair -> 0)) "
    "AS back, count(*) FILTER (WHERE later.changes -> name = pair) AS forth FROM changes AS later "
    "WHERE later.production_uuid = own.production_uuid AND later.entity_uuid = own.entity_uuid "
    "AND later.seq > own.seq) AS since WHERE own.production_uuid = $1 AND own.seq = $2"
)
# Whether anything but the production itself was written in production $1 after number $2.
WORKED_IN: Final = statement(
    "SELECT EXISTS (SELECT FROM changes WHERE production_uuid = $1 AND seq > $2 "
    "AND collection <> 'productions')"
)
# Who changed each of members $3 of row $2 of production $1 last, and when.
LAST_CHANGES: Final = statement(
    "SELECT name, user_id, user_name, at FROM unnest($3::text[]) AS name, LATERAL (SELECT user_id, "
    "user_name, at FROM changes WHERE production_uuid = $1 AND entity_uuid = $2 "
    "AND changes.changes ? name ORDER BY seq DESC LIMIT 1) AS last"
)
# Which members of entity $2 of production $1 each write after version $3 changed.
CHANGED_MEMBERS: Final = statement(
    "SELECT version, ARRAY(SELECT jsonb_object_keys(changes.changes)) AS names FROM changes "
    "WHERE production_uuid = $1 AND entity_uuid = $2 AND version > $3"
)
# For each field $3, seen at version $4: what the first change since replaced, NULL where there was
# none, and whether the log holds them all, up to version $5.
BASES: Final = statement(
    "WITH entries AS (SELECT seq, version, changes.changes AS pairs FROM changes "
    "WHERE production_uuid = $1 AND entity_uuid = $2 AND version BETWEEN 2 AND $5) "
    "SELECT name, (SELECT count(*) FROM entries WHERE version > seen.at) = $5 - seen.at AS whole, "
    "(SELECT (pairs -> name -> 0)::json FROM entries WHERE version > seen.at AND pairs ? name "
    "ORDER BY seq LIMIT 1) AS value FROM unnest($3::text[], $4::int[]) AS seen(name, at)"
)

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
    """Who writes, as the row and the log have it."""

    user_id: str | None = None
    user_name: str | None = None
    modified_by: str | None = None
    request_id: str | None = None

    @property
    def row_value(self) -> str | None:
        """What ``last_modified_by`` becomes."""
        return self.modified_by or self.user_id or None

    def or_else(self, other: "Actor") -> "Actor":
        """Return this actor, in what it does not say the other: id and name belong together."""
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
# Who wrote row $2 of production $1 last.
LAST_WRITER: Final = statement(
    "SELECT user_name FROM changes WHERE production_uuid = $1 AND entity_uuid = $2 "
    "ORDER BY seq DESC LIMIT 1"
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

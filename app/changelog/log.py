"""The change log: one row per written entity, in the write's own transaction.

``seq`` counts a production's changes without a gap and in the order of their commits: it is
taken from the production's row under that row's lock, because a sequence's order is not the
order of commits. ``History`` is what the older service logged; it stays readable for ever.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
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

history: Final = sa.Table(
    "events",
    metadata,
    sa.Column("uuid", sa.Uuid, primary_key=True, server_default=_NEW_UUID),
    sa.Column("id", sa.Text, nullable=False),
    _production(),
    sa.Column("event_type", ENUM(*_OLDER_TYPES, name="EventType"), nullable=False),
    sa.Column(
        "operation", ENUM("CREATE", "UPDATE", "DELETE", name="EventOperation"), nullable=False
    ),
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
    """Who writes: for the row, the log, and (later) those who watch."""

    user_id: str | None = None
    user_name: str | None = None
    modified_by: str | None = None
    request_id: str | None = None

    @property
    def row_value(self) -> str | None:
        """What ``last_modified_by`` becomes."""
        return self.modified_by or self.user_id or None


async def bases(
    connection: DatabaseConnection,
    production: UUID,
    entity: UUID,
    version: int,
    seen: Mapping[str, int],
) -> dict[str, Base]:
    """Give what is known of the fields that changed since a client saw them.

    ``version`` is the row's, ``seen`` maps wire names to versions of it. The log tells a field's
    value only where it holds every version since: an older service logs elsewhere, and the log is
    trimmed. Else the field counts as changed, its base as not known.
    """
    rows = await connection.fetch(
        BASES, production, entity, list(seen), list(seen.values()), version
    )
    known = {row["name"]: row["value"] for row in rows if row["whole"]}
    unknown = {row["name"]: Base(known=False, changed=True) for row in rows if not row["whole"]}
    changed = {name: value for name, value in known.items() if value is not None}
    return unknown | {name: Base(from_json(v), changed=True) for name, v in changed.items()}


async def written(
    connection: DatabaseConnection, production: UUID, entity: UUID, since: int
) -> dict[int, set[str]]:
    """Give the wire names of what each write of a row after a version changed, where it is held."""
    rows = await connection.fetch(WRITTEN, production, entity, since)
    return {row["version"]: set(row["names"]) for row in rows}


# Whether entity $2 of production $1 was once labelled $3.
FORMER_LABEL: Final = statement(
    "SELECT EXISTS (SELECT FROM changes WHERE production_uuid = $1 AND entity_uuid = $2 "
    "AND operation = 'UPDATE' AND changes.changes -> 'id' ->> 0 = $3)"
)
# Which fields of entity $2 of production $1 each write after version $3 changed.
WRITTEN: Final = statement(
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

"""The change log: one row per written entity, in the write's own transaction.

``seq`` counts a production's changes without a gap and in the order of their commits: it is
taken from the production's row under that row's lock, because a sequence's order is not the
order of commits. ``History`` is what the older service logged; it stays readable for ever.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast
from uuid import UUID

import sqlalchemy as sa
from pydantic_core import to_json
from sqlalchemy.dialects.postgresql import ENUM, JSON, JSONB
from sqlmodel import SQLModel
from uuid_utils.compat import uuid7

from app.db import Connection
from app.entity import Row
from app.statements import statements

_metadata: Final = SQLModel.metadata
_MOMENT: Final = sa.DateTime(timezone=True)
_NOW: Final = sa.text("CURRENT_TIMESTAMP")
_NEW_UUID: Final = sa.text("gen_random_uuid()")


def _production() -> sa.Column[UUID]:
    owner = sa.ForeignKey("productions.uuid", ondelete="CASCADE")
    return sa.Column("production_uuid", sa.Uuid, owner, nullable=False)


changes: Final = sa.Table(
    "changes",
    _metadata,
    _production(),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("uuid", sa.Uuid, nullable=False, server_default=_NEW_UUID),
    sa.Column("collection", sa.Text, nullable=False),
    sa.Column("entity_uuid", sa.Uuid, nullable=False),
    sa.Column("operation", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("changes", JSONB, nullable=False),
    sa.Column("entity", JSON),
    sa.Column("user_id", sa.Text, nullable=False),
    sa.Column("user_name", sa.Text, nullable=False),
    sa.Column("request_id", sa.Text),
    sa.Column("at", _MOMENT, nullable=False, server_default=_NOW),
    sa.PrimaryKeyConstraint("production_uuid", "seq"),
    sa.Index(None, "production_uuid", "entity_uuid", "seq"),
    sa.Index(None, "production_uuid", "at"),
)

_OLDER_TYPES: Final = (
    "SOURCE", "SEND", "CAMERA", "CCU", "MEDIA_SERVER", "VIDEO_SWITCHER", "ROUTER", "CABLE_SNAKE",
    "PROJECTION_SCREEN", "LED_SCREEN", "COMPUTER", "IP_ADDRESS", "CHECKLIST_ITEM", "PRODUCTION",
    "CAM_SWITCHER", "VISION_SWITCHER", "RECORD", "STREAM",
)  # fmt: skip

history: Final = sa.Table(
    "events",
    _metadata,
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


async def record(
    connection: Connection,
    entity: type[Row],
    operation: str,
    place: tuple[UUID, UUID],
    changed: Mapping[str, Any],
    actor: Actor,
) -> bytes:
    """Log a write inside its transaction and give the entity as JSON, as every answer has it.

    ``place`` is the production's uuid and the row's; ``changed`` maps wire names to
    ``[before, after]``. The caller holds the production's lock.
    """
    body = await connection.fetchval(
        statements(entity).record,
        *place,
        operation,
        to_json(changed).decode(),
        actor.user_id or "system",
        actor.user_name or "System",
        actor.request_id,
        uuid7(),
    )
    return cast("bytes", body)


async def bases(
    connection: Connection, production: UUID, entity: UUID, seen: Mapping[str, int]
) -> dict[str, Any]:
    """Give the value each field had at the version seen of it, for the fields changed since.

    ``seen`` maps wire names to versions of the entity.
    """
    rows = await connection.fetch(BASES, production, entity, list(seen), list(seen.values()))
    return {row["field"]: row["value"] for row in rows}


# Whether entity $2 of production $1 was once labelled $3.
FORMER_LABEL: Final = (
    "SELECT EXISTS (SELECT FROM changes WHERE production_uuid = $1 AND entity_uuid = $2 "
    "AND operation = 'UPDATE' AND changes.changes -> 'id' ->> 0 = $3)"
)
BASES: Final = (
    "SELECT DISTINCT ON (field) field, (pair -> 0)::json AS value FROM changes, "
    "jsonb_each(changes.changes) AS each(field, pair), unnest($3::text[], $4::int[]) "
    "AS seen(name, at) WHERE production_uuid = $1 AND entity_uuid = $2 AND seen.name = field "
    "AND version > seen.at AND operation = 'UPDATE' ORDER BY field, seq"
)

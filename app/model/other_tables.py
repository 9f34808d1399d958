"""The tables beside entities and change log, declared for Alembic and the drift check.

``app.store.idempotency``, ``app.sync.records`` and ``app.live.sockets.presence`` write them.
"""

from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSON, JSONB

from app.model.entity import metadata

_NOW: Final = sa.text("CURRENT_TIMESTAMP")


def _at() -> sa.Column[object]:
    return sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=_NOW)


def _production() -> sa.Column[UUID]:
    owner = sa.ForeignKey("productions.uuid", ondelete="CASCADE")
    return sa.Column("production_uuid", sa.Uuid, owner, nullable=False)


def _required(kind: type[sa.types.TypeEngine[Any]], *names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind, nullable=False) for name in names]


# The answer to a POST with an Idempotency-Key; ``status`` is NULL only inside its transaction.
idempotency_keys: Final = sa.Table(
    "idempotency_keys", metadata,
    sa.Column("key", sa.Text, primary_key=True), *_required(sa.Text, "fingerprint"),
    sa.Column("status", sa.Integer), sa.Column("headers", JSON), sa.Column("body", sa.LargeBinary),
    _at(),
    sa.Index(None, "at"),
)  # fmt: skip

# One row for each batch of offline work, with the result of each mutation.
sync_runs: Final = sa.Table(
    "sync_runs", metadata,
    sa.Column("uuid", sa.Uuid, primary_key=True), _production(), *_required(sa.Text, "client_id"),
    sa.Column("since", sa.BigInteger), *_required(sa.BigInteger, "latest"),
    *_required(sa.Boolean, "atomic", "dry_run"), *_required(JSONB, "results"),
    *_required(sa.Text, "user_id", "user_name"), sa.Column("request_id", sa.Text), _at(),
    sa.Index(None, "production_uuid", "at"),
    sa.Index(None, "at"),
)  # fmt: skip

# The mutations that were applied: one that comes again is recognised by its id.
sync_mutations: Final = sa.Table(
    "sync_mutations", metadata, _production(),
    *_required(sa.Text, "client_id", "mutation_id", "fingerprint", "status", "collection"),
    *_required(sa.Uuid, "entity_uuid", "run_uuid"), _at(),
    sa.PrimaryKeyConstraint("production_uuid", "client_id", "mutation_id"),
    sa.Index(None, "at"),
)  # fmt: skip

# Which sockets watch which production, and the number of the process that serves each.
presence: Final = sa.Table(
    "presence", metadata,
    *_required(sa.Uuid, "production_uuid"), *_required(sa.Text, "socket_id"),
    *_required(sa.Integer, "process"), *_required(sa.Text, "user_id", "user_name"), _at(),
    sa.PrimaryKeyConstraint("production_uuid", "socket_id"),
    sa.Index(None, "process"),
)  # fmt: skip

"""The tables of access, declared for Alembic and the drift check."""

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from app.model.entity import metadata

_NOW: Final = sa.text("CURRENT_TIMESTAMP")


def _text(name: str, *, nullable: bool = False, key: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text, nullable=nullable, primary_key=key)


def _moment(name: str, *, nullable: bool = False, now: bool = False) -> sa.Column[Any]:
    default = _NOW if now else None
    kind = sa.DateTime(timezone=True)
    return sa.Column(name, kind, nullable=nullable, server_default=default)


def _every_production() -> sa.Column[Any]:
    return sa.Column("every_production", sa.Boolean, nullable=False, server_default="false")


# A token of a person or a device. Of its secret only a hash is kept, keyed with a named pepper.
access_tokens: Final = sa.Table(
    "access_tokens", metadata, _text("key", key=True),
    sa.Column("secret_hash", sa.LargeBinary, nullable=False), _text("pepper"), _text("label"),
    _text("user_id"), _text("user_name"), _text("role"), _every_production(),
    _moment("created_at", now=True), _text("created_by"), _moment("expires_at", nullable=True),
    _moment("last_used_at", nullable=True), _moment("revoked_at", nullable=True),
)  # fmt: skip

# In which productions a subject has which role.
access_memberships: Final = sa.Table(
    "access_memberships", metadata, _text("subject", key=True),
    sa.Column(
        "production_uuid", sa.Uuid, sa.ForeignKey("productions.uuid", ondelete="CASCADE"),
        primary_key=True,
    ),
    _text("role"), _moment("created_at", now=True), _text("created_by"),
    sa.Index(None, "production_uuid"),
)  # fmt: skip

# A signed-in browser. Its cookie names the row.
page_sessions: Final = sa.Table(
    "page_sessions", metadata, sa.Column("uuid", sa.Uuid, primary_key=True), _text("subject"),
    _text("user_id"), _text("user_name"), _text("role", nullable=True),
    _moment("created_at", now=True), _moment("expires_at"), _moment("ended_at", nullable=True),
    sa.Index(None, "expires_at"),
)  # fmt: skip

# What happened with access. A trigger lets nobody change a row, or delete one that is young.
access_audit: Final = sa.Table(
    "access_audit", metadata,
    sa.Column(
        "uuid", sa.Uuid, primary_key=True, server_default=sa.text("gen_random_uuid()"),
    ),
    _moment("at", now=True), _text("event"), _text("outcome"), _text("subject", nullable=True),
    _text("user_id", nullable=True), _text("user_name", nullable=True),
    _text("address", nullable=True), _text("request_id", nullable=True),
    sa.Column("details", JSONB), sa.Index(None, "at", "uuid"),
)  # fmt: skip

# How often somebody was refused lately, over all processes.
access_counts: Final = sa.Table(
    "access_counts", metadata, _text("bucket", key=True),
    sa.Column("refusals", sa.Integer, nullable=False), _moment("expires_at"),
    sa.Index(None, "expires_at"),
)  # fmt: skip

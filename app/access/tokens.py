"""Tokens of people and devices: ``sb_<key>.<secret>``. Of the secret only a keyed hash is stored.

The key names the row, in lists and to revoke it. Whoever changes what a token may do announces its
subject on ``memberships.CHANNEL``, so that every process forgets it at once.
"""

import re
import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from pydantic_core import from_json

from app.access import memberships
from app.access.audit.audit_entries import AuditEntry, note_in
from app.access.caller import Caller, Role
from app.access.peppers import Peppers
from app.access.watches import SUBJECT
from app.database.database import DatabaseConnection
from app.errors import Unauthorized
from app.sql.registry import statement

_FORM: Final = re.compile(r"sb_([A-Za-z0-9]{16})\.([A-Za-z0-9_-]{32,128})")
_KEY: Final = string.ascii_letters + string.digits  # no hyphen: a command would read an option

# The tokens with the keys $1, each with the roles of its memberships by production.
FIND: Final = statement(
    "SELECT key, secret_hash, pepper, user_id, user_name, role, every_production, expires_at,"
    " revoked_at, (SELECT json_object_agg(production_uuid, m.role) FROM access_memberships m"
    "  WHERE m.subject = 'token:' || t.key) AS memberships"
    " FROM access_tokens t WHERE key = ANY ($1::text[])"
)
ADD: Final = statement(
    "INSERT INTO access_tokens (key, secret_hash, pepper, label, user_id, user_name, role,"
    " every_production, created_by, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
)
EVERY_TOKEN: Final = statement(
    "SELECT key, label, user_id, user_name, role, every_production, created_at, created_by,"
    " expires_at, last_used_at, revoked_at FROM access_tokens ORDER BY created_at, key"
)
# Revoke the token with the key $1, and announce it. No row: there is none, or it was revoked.
REVOKE: Final = statement(
    "WITH revoked AS (UPDATE access_tokens SET revoked_at = CURRENT_TIMESTAMP"
    "  WHERE key = $1 AND revoked_at IS NULL RETURNING key, label)"
    f" SELECT label, pg_notify('{memberships.CHANNEL}', '{SUBJECT}' || key) FROM revoked"
)
TOUCH: Final = statement(
    "UPDATE access_tokens SET last_used_at = CURRENT_TIMESTAMP WHERE key = $1"
    " AND (last_used_at IS NULL OR last_used_at < CURRENT_TIMESTAMP - interval '1 minute')"
)


@dataclass(frozen=True)
class NewToken:
    """What a token is to be: for whom, and what they may do.

    ``productions`` are those where the role counts, None for all. Without ``expires_at`` it lasts
    until it is revoked.
    """

    label: str
    user_id: str
    user_name: str
    role: Role
    created_by: str
    productions: Sequence[UUID] | None = None
    expires_at: datetime | None = None


def read(token: str) -> tuple[str, str] | None:
    """Return key and secret of what looks like a token."""
    parts = _FORM.fullmatch(token)
    return (parts[1], parts[2]) if parts else None


async def create(connection: DatabaseConnection, peppers: Peppers, new: NewToken) -> str:
    """Store a token in the open transaction and return it: it can never be shown again."""
    key = "".join(secrets.choice(_KEY) for _ in range(16))
    secret = secrets.token_urlsafe(32)
    pepper, secret_hash = peppers.hash_new(secret)
    await connection.execute(
        ADD, key, secret_hash, pepper, new.label, new.user_id, new.user_name, new.role.word,
        new.productions is None, new.created_by, new.expires_at,
    )  # fmt: skip
    for production in new.productions or ():
        subject = f"{SUBJECT}{key}"
        await memberships.give(connection, subject, production, new.role, new.created_by)
    details = {
        "token": key, "label": new.label, "role": new.role.word,
        "productions": None if new.productions is None else [str(u) for u in new.productions],
        "expires": new.expires_at and new.expires_at.isoformat(),
    }  # fmt: skip
    await note_in(
        connection, AuditEntry("token.created", user_name=new.created_by, details=details)
    )
    return f"sb_{key}.{secret}"


def verified(row: Any, key: str, secret: str, peppers: Peppers) -> Caller:
    """Return who calls with a token whose row was found. Raises Unauthorized.

    Whether it has expired or was revoked only the holder of the secret is told.
    """
    stored = row["secret_hash"] if row else b""
    is_right = peppers.matches(row["pepper"] if row else "", secret, stored)
    if row is None or not is_right:
        raise Unauthorized("This access token is not known here: ask an operator for another.")
    return holder(row, key)


def holder(row: Any, key: str) -> Caller:
    """Return whose token a row is. Raises Unauthorized for one that is no longer valid."""
    if row["revoked_at"] is not None:
        raise Unauthorized("This access token was revoked: ask an operator for another.")
    if row["expires_at"] is not None and row["expires_at"] <= datetime.now(UTC):
        raise Unauthorized("This access token has expired: ask an operator for another.")
    role = Role[row["role"].upper()] if row["every_production"] else None
    of_members = from_json(row["memberships"] or b"{}")
    memberships = {UUID(uuid): Role[word.upper()] for uuid, word in of_members.items()}
    return Caller(
        f"{SUBJECT}{key}", row["user_id"], row["user_name"], role, memberships,
        expires_at=row["expires_at"],
    )  # fmt: skip

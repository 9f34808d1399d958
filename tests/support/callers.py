"""Callers of every kind: tokens of people and devices, and what is no credential at all."""

import base64
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import SecretStr

from app.access import tokens
from app.access.caller import Role
from app.access.peppers import Peppers
from app.access.watches import SUBJECT
from app.releases.connection.open_connection import open_connection
from tests.support.service import settings

PEPPERS: Final = SecretStr(f"test:{'p' * 32}")


async def token(
    url: str, role: Role, *productions: dict[str, Any], expires_at: datetime | None = None
) -> str:
    """Make a token of somebody with a role in some productions, in all where none is named."""
    within: Sequence[UUID] | None = [UUID(show["uuid"]) for show in productions] or None
    new = tokens.NewToken("A laptop", "ann", "Ann", role, "the tests", within, expires_at)
    async with open_connection(url) as connection:
        return await tokens.create(connection, Peppers(settings(token_peppers=PEPPERS)), new)


async def revoke(url: str, token: str) -> None:
    """Revoke a token."""
    async with open_connection(url) as connection:
        await connection.execute(tokens.REVOKE, token[3:19])


def subject_of(token: str) -> str:
    """Return the subject of a token's holder."""
    return f"{SUBJECT}{token[3:19]}"


def bearer(token: str) -> dict[str, str]:
    """Return the header that sends a token."""
    return {"authorization": f"Bearer {token}"}


def unsigned(**claims: Any) -> str:
    """Return a token of another issuer's form that nobody has signed."""
    parts = ({"alg": "none", "typ": "JWT"}, claims)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts]
    return ".".join(part.rstrip("=") for part in encoded) + "."

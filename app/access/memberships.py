"""Memberships: in which productions a subject has which role.

Whoever gives or takes one announces the subject when the transaction commits. So every process
forgets at once what it has remembered of it, and reads it anew.
"""

import time
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from app.access.caller import Role
from app.database.database import Database, DatabaseConnection
from app.sql.projection import MOMENT
from app.sql.registry import statement

CHANNEL: Final = "signalbook_access"
"""Announces a subject whose credential or memberships have changed."""
_FRESH: Final = 5.0
"""Seconds for which memberships are remembered, in case an announcement is lost."""
_MOST: Final = 10_000

OF_SUBJECT: Final = statement(
    "SELECT production_uuid, role FROM access_memberships WHERE subject = $1"
)
_ANNOUNCED: Final = f"SELECT pg_notify('{CHANNEL}', subject) FROM"
# Give subject $1 the role $3 in production $2, in place of any other; $4 has done it.
GIVE: Final = statement(
    "WITH given AS (INSERT INTO access_memberships AS known (subject, production_uuid, role, "
    "created_by) VALUES ($1, $2, $3, $4) ON CONFLICT (subject, production_uuid) DO UPDATE SET "
    "role = excluded.role, created_at = CURRENT_TIMESTAMP, created_by = excluded.created_by "
    f"RETURNING subject) {_ANNOUNCED} given"
)
# Take from subject $1 its role in production $2; no row where it had none.
WITHDRAW: Final = statement(
    "WITH taken AS (DELETE FROM access_memberships WHERE subject = $1 AND production_uuid = $2 "
    f"RETURNING subject) {_ANNOUNCED} taken"
)
# The memberships of subject $1 and in production $2, of all where either is NULL, as JSON.
LIST: Final = statement(
    "SELECT coalesce(json_agg(row_to_json(membership)), '[]') FROM (SELECT subject, "
    'production_uuid AS "productionUuid", productions.id AS "productionId", role, '
    f"{MOMENT.format(column='member.created_at')} "
    'AS "createdAt", created_by AS "createdBy" FROM access_memberships AS member '
    "JOIN productions ON productions.uuid = production_uuid "
    "WHERE ($1::text IS NULL OR subject = $1) "
    "AND ($2::uuid IS NULL OR production_uuid = $2) ORDER BY subject, production_uuid LIMIT $3) "
    "AS membership"
)


class Memberships:
    """What subjects may do where, remembered for a few seconds unless a change is announced."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._remembered: dict[str, tuple[float, Mapping[UUID, Role]]] = {}
        self._generation = 0

    async def of(self, subject: str) -> Mapping[UUID, Role]:
        """Return the roles of a subject by production. Raises what the database does."""
        until, roles = self._remembered.get(subject, (0.0, {}))
        if until > time.monotonic():
            return roles
        generation = self._generation
        async with self._database.connection() as connection:
            rows = await connection.fetch(OF_SUBJECT, subject)
        roles = {row["production_uuid"]: Role[row["role"].upper()] for row in rows}
        # What was read before a change is not remembered after it.
        if generation == self._generation:
            if len(self._remembered) >= _MOST:
                self._remembered.clear()
            self._remembered[subject] = time.monotonic() + _FRESH, roles
        return roles

    def forget(self, subject: str) -> None:
        """Read a subject's memberships anew next time."""
        self._generation += 1
        self._remembered.pop(subject, None)

    def forget_all(self) -> None:
        """Read everybody's anew, since announcements may have been lost."""
        self._generation += 1
        self._remembered.clear()


async def give(
    connection: DatabaseConnection, subject: str, production: UUID, role: Role, by: str
) -> None:
    """Grant a subject a role in a production, in place of any other that it has there."""
    await connection.execute(GIVE, subject, production, role.word, by)


async def take(connection: DatabaseConnection, subject: str, production: UUID) -> bool:
    """Take a subject's role in a production; return whether it had one."""
    return bool(await connection.fetch(WITHDRAW, subject, production))


async def listed(
    connection: DatabaseConnection, subject: str | None, production: UUID | None, limit: int
) -> bytes:
    """Return memberships as a JSON array, of one subject or in one production where named."""
    return bytes(await connection.fetchval(LIST, subject, production, limit))

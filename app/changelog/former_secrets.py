"""What secrets were, as digests: enough to know an echo by, too little to know the secret.

The change log holds no secrets, so it cannot say what a client saw of one. Yet a form that is sent
back whole echoes the secret as it was, and such an echo must not count as an edit. So before a
secret is replaced, a digest of it is stored with the row's version. It stands where stale forms do,
for as long (``app.store.stale_forms``), and is short on purpose. Where none is stored, what a
client sends counts as its own, and conflicts.
"""

from collections.abc import Collection, Mapping
from hashlib import blake2b
from typing import Any, Final
from uuid import UUID

from pydantic_core import from_json, to_json

from app.database.database import DatabaseConnection
from app.model.entity import Row
from app.rules.merge import Base
from app.sql.registry import statement

_LENGTH: Final = 5
"""Bytes of a digest: one guess in a million million is taken for an echo by mistake."""
# Adds digests $2 to those of row $1, a JSON object by version and field, and keeps the newest.
REMEMBER_SECRETS: Final = statement(
    "INSERT INTO idempotency_keys AS known (key, fingerprint, headers, at) VALUES "
    "('secrets ' || $1::uuid, '', $2, statement_timestamp() + interval '30 days') "
    "ON CONFLICT (key) DO UPDATE SET at = excluded.at, headers = (SELECT json_object_agg(key, "
    "value) FROM (SELECT key, value FROM jsonb_each(known.headers::jsonb || "
    "excluded.headers::jsonb) ORDER BY split_part(key, ' ', 1)::bigint DESC LIMIT 50) AS newest)"
)
# The digests of row $1.
FORMER_SECRETS: Final = statement(
    "SELECT headers FROM idempotency_keys WHERE key = 'secrets ' || $1::uuid"
)


async def remember(
    connection: DatabaseConnection, entity: type[Row], row: UUID, members: Mapping[str, Any],
    names: Collection[str],
) -> None:  # fmt: skip
    """Store what the secrets among these fields are, before they are replaced.

    ``members`` is the row as it is, by wire name.
    """
    secrets = {name: members[entity.wire(name)] for name in entity.secrets if name in names}
    if secrets:
        version = members["version"]
        digests = {f"{version} {name}": _digest(row, value) for name, value in secrets.items()}
        await connection.execute(REMEMBER_SECRETS, row, to_json(digests))


async def bases(
    connection: DatabaseConnection, row: UUID, versions: Mapping[str, int],
    submitted: Mapping[str, Any],
) -> dict[str, Base]:  # fmt: skip
    """Return what a client saw of secrets that have changed since it looked at these versions.

    It is known where the client sends just that back: the first digest from its version on says so.
    """
    bases = {name: Base(is_known=False, changed=True) for name in versions}
    stored = await connection.fetchval(FORMER_SECRETS, row)
    digests: Mapping[str, str] = from_json(stored) if stored else {}
    for name in versions.keys() & submitted.keys():
        at = [int(key.partition(" ")[0]) for key in digests if key.endswith(f" {name}")]
        first = min((each for each in at if each >= versions[name]), default=None)
        if digests.get(f"{first} {name}") == _digest(row, submitted[name]):
            bases[name] = Base(submitted[name], changed=True)
    return bases


def _digest(row: UUID, value: Any) -> str:
    return blake2b(to_json(value), digest_size=_LENGTH, key=row.bytes).hexdigest()

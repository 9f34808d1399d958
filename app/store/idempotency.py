"""What became of a POST that bore an Idempotency-Key: kept for 24 hours, to be given again.

The key is claimed in the transaction of the write itself, and what the write led to is noted there
before the commit. So both are there, or neither: a crash before the commit leaves no claim, and
after it the outcome. Who sends the same key meanwhile waits at the unique index until that is
decided.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

from pydantic_core import from_json, to_json

from app.database.database import DatabaseConnection
from app.database.driver_errors import translate
from app.errors import Invalid, KeyReused, SignalbookError, WriteRace
from app.sql.registry import statement

HEADER: Final = "Idempotency-Key"
LONGEST: Final = 255
"""Characters of a key."""
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+")
# A string of RFC 8941: quotes and backslashes in it are escaped.
_QUOTED: Final = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_ESCAPED: Final = re.compile(r"\\(.)")
_BATCH: Final = 500

_KEPT_SINCE: Final = "statement_timestamp() - interval '24 hours'"
# Claims key $1 for fingerprint $2; no row where it is somebody's and not yet too old. Waits for a
# transaction that has claimed it and is not yet decided.
CLAIM: Final = statement(
    "INSERT INTO idempotency_keys AS known (key, fingerprint, at) "
    "VALUES ($1, $2, statement_timestamp()) ON CONFLICT (key) DO UPDATE SET "
    "fingerprint = excluded.fingerprint, status = NULL, headers = NULL, body = NULL, "
    f"at = excluded.at WHERE known.at < {_KEPT_SINCE} RETURNING true"
)
# What key $1 led to.
KNOWN: Final = statement(
    "SELECT fingerprint, status, headers, body FROM idempotency_keys WHERE key = $1"
)
# Notes what key $1 led to.
NOTE: Final = statement(
    "UPDATE idempotency_keys SET status = $2, headers = $3, body = $4 WHERE key = $1"
)
# Removes a batch of keys that are too old; one that is being claimed anew is passed by.
PRUNE: Final = statement(
    "WITH gone AS (DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY("
    f"SELECT ctid FROM idempotency_keys WHERE at < {_KEPT_SINCE} ORDER BY at LIMIT {_BATCH} "
    "FOR UPDATE SKIP LOCKED)) RETURNING 1) SELECT count(*) AS removed FROM gone"
)


@dataclass(frozen=True)
class Claim:
    """A key, and the fingerprint of the request that bears it."""

    key: str
    fingerprint: str


@dataclass(frozen=True)
class KeptAnswer:
    """An answer as it is sent; ``replayed`` if it is an earlier one given again."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    replayed: bool = False


def key_of(values: Sequence[bytes]) -> str:
    """Read a key out of the values of its header. Raises Invalid.

    It may be quoted or not: that is the same key.
    """
    said = values[0].decode("latin-1") if len(values) == 1 else ""
    if quoted := _QUOTED.fullmatch(said):
        said = _ESCAPED.sub(r"\1", quoted[1])
    elif said.startswith('"'):
        said = ""
    if len(said) <= LONGEST and _VISIBLE.fullmatch(said):
        return said
    raise Invalid.at(HEADER, f"send one key of 1 to {LONGEST} visible ASCII characters")


def fingerprint(*parts: bytes) -> str:
    """Give what tells one request from another.

    A change to it makes the keys of the last 24 hours look reused.
    """
    digest = sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


async def once(
    connection: DatabaseConnection, claim: Claim, work: Callable[[], Awaitable[KeptAnswer]]
) -> KeptAnswer:
    """Do ``work`` in the open transaction and note its outcome, or give the one that was noted.

    Raises KeyReused, WriteRace where the claim was removed in this very moment, and whatever
    ``work`` does; then the transaction must not be committed.
    """
    if await connection.fetchval(CLAIM, claim.key, claim.fingerprint) is None:
        return await _known(connection, claim)
    made = await work()
    headers = to_json(dict(made.headers))
    await connection.execute(NOTE, claim.key, made.status, headers, made.body)
    return replace(made, replayed=False)


async def _known(connection: DatabaseConnection, claim: Claim) -> KeptAnswer:
    row = await connection.fetchrow(KNOWN, claim.key)
    if row is None:
        raise WriteRace
    if row["fingerprint"] != claim.fingerprint:
        raise KeyReused(
            f"This {HEADER} was sent with another request in the last 24 hours: "
            "make a new one for each thing that is to be done."
        )
    return KeptAnswer(row["status"], from_json(row["headers"]), row["body"], replayed=True)


@asynccontextmanager
async def refusable(connection: DatabaseConnection) -> AsyncIterator[None]:
    """Undo what is done inside where it is refused, and nothing else of the transaction.

    A refusal is raised as an error of ours with a status below 500; what else is raised stays what
    it is, since only that tells whether the connection is sound.
    """
    try:
        async with connection.transaction():
            yield
    except SignalbookError:
        raise
    except Exception as error:
        ours = translate(error)
        if ours is None or ours.status >= 500:
            raise
        raise ours from error

"""The answers to POSTs with an Idempotency-Key: stored for 24 hours, to be sent again.

The key is claimed in the transaction of the write itself, and the answer is stored there before the
commit. So a crash leaves both or neither. A request with the same key meanwhile waits at the unique
index until the transaction ends.

An answer is stored without secrets: in place of each stands ``true``. When the answer is sent
again, the secret is read from its row and put back there, so that the bytes are those of the first
answer; only where somebody has replaced the secret meanwhile, it is the new one.
"""

import re
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Final
from uuid import UUID

from pydantic_core import from_json, to_json

from app.database.database import DatabaseConnection
from app.database.driver_errors import translate
from app.database.pool import WriteRace
from app.entities import discovered
from app.errors import Invalid, KeyReused, SignalbookError
from app.model.entity import Row
from app.model.secret_fields import secret_members
from app.sql.projection import table
from app.sql.registry import statement, statements_of_entities

HEADER: Final = "Idempotency-Key"
LONGEST: Final = 255
"""Characters of a key."""
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+")
# A string of RFC 8941: quotes and backslashes in it are escaped.
_QUOTED: Final = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_ESCAPED: Final = re.compile(r"\\(.)")
_BATCH: Final = 500

_KEPT_SINCE: Final = "statement_timestamp() - interval '24 hours'"
# Claims key $1 for fingerprint $2; no row where it is claimed and not yet too old. Waits for
# another transaction that has claimed it and has not ended.
CLAIM: Final = statement(
    "INSERT INTO idempotency_keys AS known (key, fingerprint, at) "
    "VALUES ($1, $2, statement_timestamp()) ON CONFLICT (key) DO UPDATE SET "
    "fingerprint = excluded.fingerprint, status = NULL, headers = NULL, body = NULL, "
    f"at = excluded.at WHERE known.at < {_KEPT_SINCE} RETURNING true"
)
# The answer stored for key $1.
STORED: Final = statement(
    "SELECT fingerprint, status, headers, body FROM idempotency_keys WHERE key = $1"
)
# Stores the answer for key $1.
STORE: Final = statement(
    "UPDATE idempotency_keys SET status = $2, headers = $3, body = $4 WHERE key = $1"
)
# PostgreSQL writes a row without a blank between a member and its value, the uuid first. In free
# JSON it writes a blank, and in a text it escapes the quotes: neither is taken for a secret.
_UUID: Final = rb'"uuid":"([0-9a-f-]{36})"'
_WITHHELD: Final = b"true"
# Removes a batch of keys that are too old, except for those that are being claimed again.
PRUNE: Final = statement(
    "WITH gone AS (DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY("
    f"SELECT ctid FROM idempotency_keys WHERE at < {_KEPT_SINCE} ORDER BY at LIMIT {_BATCH} "
    "FOR UPDATE SKIP LOCKED)) RETURNING 1) SELECT count(*) AS removed FROM gone"
)


@dataclass(frozen=True)
class KeptAnswer:
    """An answer as it is sent; ``replayed`` if it is an earlier one."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    replayed: bool = False


Work = Callable[[], Awaitable[KeptAnswer]]


def key_of(values: Sequence[bytes]) -> str:
    """Read the key from the values of its header, quoted or not. Raises Invalid."""
    key = values[0].decode("latin-1") if len(values) == 1 else ""
    if quoted := _QUOTED.fullmatch(key):
        key = _ESCAPED.sub(r"\1", quoted[1])
    elif key.startswith('"'):
        key = ""
    if len(key) <= LONGEST and _VISIBLE.fullmatch(key):
        return key
    raise Invalid.at(HEADER, f"send one key of 1 to {LONGEST} visible ASCII characters")


def fingerprint(*parts: bytes) -> str:
    """Return a digest that is another for another request.

    If this function changes, the keys of the last 24 hours seem to be reused for other requests.
    """
    digest = sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


async def once(connection: DatabaseConnection, key: str, request: str, work: Work) -> KeptAnswer:
    """Do ``work`` in the open transaction and store its answer, or return the stored one.

    ``request`` is the fingerprint of what has the key. Raises KeyReused, WriteRace where the claim
    was removed in this very moment, and whatever ``work`` does; then nothing may be committed.
    """
    if await connection.fetchval(CLAIM, key, request) is None:
        return await _stored(connection, key, request)
    answer = await work()
    headers = to_json(dict(answer.headers))
    await connection.execute(STORE, key, answer.status, headers, without_secrets(answer.body))
    return answer


async def _stored(connection: DatabaseConnection, key: str, request: str) -> KeptAnswer:
    row = await connection.fetchrow(STORED, key)
    if row is None:
        raise WriteRace
    if row["fingerprint"] != request:
        raise KeyReused(
            f"This {HEADER} was sent with another request in the last 24 hours: "
            "make a new one for each thing that is to be done."
        )
    body = await with_secrets(connection, row["body"])
    return KeptAnswer(row["status"], from_json(row["headers"]), body, replayed=True)


@asynccontextmanager
async def refusable(connection: DatabaseConnection) -> AsyncIterator[None]:
    """Run the block in a savepoint, so that only the block is undone if it fails.

    An error of the driver's that means a refusal is raised as ours, with a status below 500. Others
    are raised as they are, because the pool judges by them whether the connection is sound.
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


@dataclass(frozen=True)
class SecretStatements:
    """The statements of a type that has secrets; none for any other type."""

    secrets: Mapping[str, str]
    """By wire name: the secret of each row with a uuid in $1, as JSON, with the row's uuid."""


@statements_of_entities
def secret_statements(entity: type[Row]) -> SecretStatements:
    """Return the statements of a type."""
    return SecretStatements({
        entity.wire(name): f"SELECT {table(entity)}.uuid, coalesce("
        f"to_json({table(entity)}.{name}), 'null') AS value FROM {table(entity)} "
        f"WHERE {table(entity)}.uuid = ANY($1::uuid[])"
        for name in entity.secrets
    })  # fmt: skip


@cache
def _member() -> re.Pattern[bytes]:
    """Return what matches a uuid, or a secret member with its value."""
    names = {name for entity in discovered().values() for name in secret_members(entity)}
    either = "|".join(sorted(map(re.escape, names))) or "(?!)"
    return re.compile(rb'%b|"(%b)":("(?:[^"\\]|\\.)*"|true)' % (_UUID, either.encode()))


def without_secrets(answer: bytes) -> bytes:
    """Return an answer with each secret withheld."""
    return _member().sub(
        lambda match: b'"%b":%b' % (match[2], _WITHHELD) if match[2] else match[0], answer
    )


async def with_secrets(connection: DatabaseConnection, answer: bytes) -> bytes:
    """Return an answer as it was before its secrets were withheld."""
    places = list(_withheld(answer))
    if not places:
        return answer
    values = await _read(connection, {UUID(row) for _, row in places})
    following = iter(places)

    def put_back(match: re.Match[bytes]) -> bytes:
        if match[1]:
            return match[0]
        return b'"%b":%b' % (match[2], values.get(next(following), b"null"))

    return _member().sub(put_back, answer)


def _withheld(answer: bytes) -> Iterator[tuple[str, str]]:
    """Yield the member and the row's uuid of each secret that was withheld, in their order."""
    row = ""
    for match in _member().finditer(answer):
        if match[1]:
            row = match[1].decode()
        else:
            yield match[2].decode(), row


async def _read(
    connection: DatabaseConnection, rows: Collection[UUID]
) -> dict[tuple[str, str], bytes]:
    """Return the secrets of these rows as JSON, by member and uuid."""
    values: dict[tuple[str, str], bytes] = {}
    for entity in discovered().values():
        for member, sql in secret_statements(entity).secrets.items():
            for row in await connection.fetch(sql, rows):
                values[member, str(row["uuid"])] = row["value"]
    return values

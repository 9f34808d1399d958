"""One write: all that it depends on is read, then one statement writes it, or nothing happens.

Every write of a production raises its change number, and only from the number that its own
reading saw. So when the number is still the same, nothing of the production has changed since, and
what was decided from it holds. Reading and writing are two statements in autocommit: no
transaction is open while Python thinks, and none waits for another.

A writer that lost such a race, or that has several rows to write, starts again in a transaction
that locks the production first. There nobody can overtake it.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import asyncpg
from pydantic_core import from_json, to_json
from uuid_utils.compat import uuid7

from app.changelog.log import Actor
from app.database.database import DatabaseConnection
from app.database.pool import WriteRace
from app.errors import AmbiguousId
from app.model.entity import Row
from app.sql.registry import statement
from app.sql.writes import write_statements
from app.store.read import find_row

# Adds the answers $2 to those of row $1, each a JSON object by version and user, and keeps the
# newest. No Idempotency-Key has a blank. They stay for 30 days longer than keys do.
REMEMBER_FORMS: Final = statement(
    "INSERT INTO idempotency_keys AS known (key, fingerprint, headers, at) VALUES "
    "('form ' || $1::uuid, '', $2, statement_timestamp() + interval '30 days') "
    "ON CONFLICT (key) DO UPDATE SET at = excluded.at, headers = (SELECT json_object_agg(key, "
    "value) FROM (SELECT key, value FROM jsonb_each(known.headers::jsonb || "
    "excluded.headers::jsonb) ORDER BY split_part(key, ' ', 1)::bigint DESC LIMIT 50) AS newest)"
)
LOCK: Final = statement("SELECT FROM productions WHERE uuid = $1 FOR NO KEY UPDATE")


@dataclass(frozen=True)
class StoredRow:
    """A row as it was read, with its members by wire name, and the number of its production."""

    uuid: UUID
    production: UUID
    seq: int
    body: bytes
    members: Mapping[str, Any]
    is_deleted: bool = False
    in_deleted_production: bool = False
    stale_forms: bytes | None = None
    """What answers about it are remembered (``app.store.stale_forms``), as JSON."""

    @property
    def version(self) -> int:
        """The row's version."""
        version: int = self.members["version"]
        return version

    @property
    def label(self) -> str:
        """What people call the row."""
        return str(self.members["id"])


@dataclass(frozen=True)
class StaleForm:
    """What a client's form shows otherwise than the answer that it gets, which names ``version``.

    ``saw`` has the versions of these fields by wire name. ``is_new``: this very write makes the
    version.
    """

    row: UUID
    version: int
    user: str | None
    saw: Mapping[str, int]
    is_new: bool = False


@dataclass(frozen=True)
class WriteContext:
    """A connection to write with: in autocommit, or ``locked``, in a transaction."""

    connection: DatabaseConnection
    locked: bool = False
    locked_productions: set[UUID] = field(default_factory=set)
    own_shows: Collection[UUID] | None = None
    """The productions that the writer sees, None for all: no other one is told of."""
    keys: dict[str, UUID] = field(default_factory=dict)
    """The production of each key that the write has met."""
    stale_forms: list[StaleForm] = field(default_factory=list)
    """What is to be remembered of the answers, whatever becomes of the write."""

    def require_lock(self) -> None:
        """Raise WriteRace in autocommit, so that the write starts again in a transaction."""
        if not self.locked:
            raise WriteRace

    async def find(
        self, entity: type[Row], by_uuid: str, key: str, *args: object, by_label: str = ""
    ) -> Any:
        """Find a row by ``find_row``; in a transaction, under the lock of its ``production``."""
        row = await find_row(self.connection, entity, by_uuid, key, *args, by_label=by_label)
        production = row["production"]
        if former := row.get("former"):
            raise AmbiguousId.of_two_shows(key, production, from_json(former))
        if self.locked and production not in self.locked_productions:
            await self.connection.execute(LOCK, production)
            self.locked_productions.add(production)
            row = await find_row(self.connection, entity, by_uuid, key, *args, by_label=by_label)
        self.keys[key] = production
        return row

    async def read(self, entity: type[Row], key: str) -> StoredRow:
        """Read the live row under a key. Raises NotFound and AmbiguousId."""
        sql = write_statements(entity)
        return self._stored(await self.find(entity, sql.live, key, by_label=sql.live_by_label))

    async def read_any(self, entity: type[Row], key: str) -> StoredRow:
        """Read the row with a uuid, deleted or not, else the live row that has the label."""
        row = await self.find(entity, write_statements(entity).with_deleted, key)
        return self._stored(row, deleted=row["deleted"], closed=row["closed"])

    def _stored(self, row: Any, *, deleted: bool = False, closed: bool = False) -> StoredRow:
        members = from_json(row["body"])
        self.keys[members["uuid"]] = row["production"]
        uuid = UUID(members["uuid"])
        return StoredRow(
            uuid, row["production"], row["seq"], row["body"], members, deleted, closed, row["forms"]
        )

    async def write(self, sql: str, *args: object) -> bytes:
        """Run a statement of ``write_statements`` and return the row as JSON. Raises WriteRace."""
        try:
            row = await self.connection.fetchrow(sql, *args)
        except asyncpg.DivisionByZeroError:
            raise WriteRace from None
        if row is None:
            raise WriteRace
        body: bytes = row["body"]
        return body


def log_values(changes: Mapping[str, Any], actor: Actor, *, blind: bool = False) -> tuple[Any, ...]:
    """Return what a write tells the log: ``[before, after]`` by wire name, and who wrote."""
    who = (actor.user_id or "system", actor.user_name or "System")
    return (to_json(changes).decode(), *who, actor.logged_request, uuid7(), blind)


async def remember(connection: DatabaseConnection, forms: Iterable[StaleForm]) -> None:
    """Remember what clients still show, before they are answered."""
    rows: dict[Any, dict[str, Mapping[str, int]]] = {}
    for form in forms:
        rows.setdefault(form.row, {})[f"{form.version} {form.user or ''}"] = form.saw
    for row, answers in rows.items():
        await connection.execute(REMEMBER_FORMS, row, to_json(answers))

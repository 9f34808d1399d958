"""A large database, made by the server itself from the declarations.

It has many shows, each with some rows of every type, their parts, their log and the older service's
events.

Row ``n`` of a table has the uuid ``key(table, n)`` and lies in show ``n / rows``.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from sqlmodel import SQLModel

from app.access.access_tables import (
    access_audit,
    access_counts,
    access_memberships,
    access_tokens,
    page_sessions,
)
from app.changelog.log import changes, older_events
from app.database.url import DatabaseUrl
from app.entities import discovered, root
from app.model.entity import Entity, Row
from app.model.other_tables import idempotency_keys, presence, sync_mutations, sync_runs
from app.sql.projection import table

# No foreign key is checked while the rows are made: they are right by construction.
_UNCHECKED: Final = "SET session_replication_role = replica"
_MOMENT: Final = "timestamptz '2027-01-01' + n * interval '1 second'"
_TABLES: Final = [*(table(entity) for entity in discovered().values())]


@dataclass(frozen=True)
class Size:
    """How many shows there are, how many rows of each type and how many log entries in each."""

    shows: int
    rows: int = 20
    logged: int = 20
    first: int = 0
    """The number of the first show, so that shows can be added to a database."""


def key(of: str, n: int) -> UUID:
    """Return the uuid of row ``n`` of a table."""
    return UUID(int=(_TABLES.index(of) + 1 << 96) + n)


def grow(url: str, size: Size) -> None:
    """Add the shows of ``size`` to a migrated database, and renew what the planner knows."""
    asyncio.run(_grow(url, size))


async def _grow(url: str, size: Size) -> None:
    connection = await asyncpg.connect(**DatabaseUrl.parse(url).connect_args())
    try:
        await connection.execute(_UNCHECKED)
        for statement in _filling(size):
            await connection.execute(statement)
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()


def _filling(size: Size) -> Iterator[str]:
    yield _insert(table(root()), _row(root()), size, 1)
    for entity in discovered().values():
        if issubclass(entity, Entity):
            yield _insert(table(entity), _row(entity), size, size.rows)
        for parts in entity.parts.values():
            name = str(parts.model.__tablename__)
            made = {"uuid": "gen_random_uuid()", "id": "'OUT ' || n"}
            made[parts.owner] = _key(table(entity), "n")
            # Where rows are as small as keys alone, PostgreSQL reads them all sooner.
            if "note" in parts.model.model_fields:
                made["note"] = "'as people write them ' || n"
            yield _insert(name, made, size, size.rows)
    yield _insert(changes.name, _LOGGED, size, size.logged)
    yield _insert(older_events.name, _OLDER, size, size.logged)
    yield _insert(idempotency_keys.name, {"key": "n", "at": _MOMENT}, size, size.logged)
    yield _insert(sync_runs.name, _RUN, size, size.logged)
    yield _insert(sync_mutations.name, _MUTATION, size, size.logged)
    yield _insert(presence.name, _SEAT, size, size.logged)
    yield _insert(access_tokens.name, {"key": "n", "secret_hash": "''"}, size, size.logged)
    yield _insert(access_memberships.name, _MEMBERSHIP, size, size.logged)
    session = {"uuid": "gen_random_uuid()", "expires_at": _MOMENT}
    yield _insert(page_sessions.name, session, size, size.logged)
    yield _insert(access_audit.name, {"at": _MOMENT}, size, size.logged)
    count = {"bucket": "n", "expires_at": _MOMENT}
    yield _insert(access_counts.name, count, size, size.logged)


def _key(of: str, n: str) -> str:
    """Return the SQL of ``key``."""
    place = f"{_TABLES.index(of) + 1:08x}"
    return f"('{place}' || lpad(to_hex({n}), 24, '0'))::uuid"


_SHOW: Final = _key(table(root()), "n / {rows}")
_SOME: Final = next(e for e in discovered().values() if issubclass(e, Entity))
_UNIQUE: Final = {name for entity in discovered().values() for name in entity.unique}
_COUNTED: Final = "1 + n % {rows}"
_LOGGED: Final = {
    "production_uuid": _SHOW,
    "seq": _COUNTED,
    "uuid": "gen_random_uuid()",
    "collection": f"'{_SOME.collection}'",
    "entity_uuid": _key(table(_SOME), "n / {rows} * {each} + n % {each}"),
    "operation": "CASE n % 20 WHEN 0 THEN 'DELETE' ELSE 'UPDATE' END",
    "changes": """'{"id": ["A label", "Another"]}'""",
    "entity": f"""json_build_object('id', '{_SOME.prefix} ' || 1 + n % {{each}})""",
    "at": _MOMENT,
}
_RUN: Final = {
    "uuid": "gen_random_uuid()",
    "production_uuid": _SHOW,
    "atomic": "false",
    "dry_run": "false",
    "results": "'{}'",
    "at": _MOMENT,
}
_MUTATION: Final = {
    "production_uuid": _SHOW,
    "mutation_id": "n",
    "entity_uuid": "gen_random_uuid()",
    "run_uuid": "gen_random_uuid()",
    "at": _MOMENT,
}
_SEAT: Final = {"production_uuid": _SHOW, "socket_id": "n", "process": "n / 20"}
_MEMBERSHIP: Final = {"subject": "'token:' || n", "production_uuid": _SHOW}
_OLDER: Final = {
    "production_uuid": _SHOW,
    "entity_id": f"'{_SOME.prefix} ' || 1 + n % {{each}}",
    "timestamp": _MOMENT,
}


def _row(entity: type[Row]) -> dict[str, str]:
    """Return the SQL of what makes row ``n`` what it is; the rest follows from the columns."""
    made = {
        "uuid": _key(table(entity), "n"),
        "id": f"'{entity.prefix} ' || {_COUNTED if issubclass(entity, Entity) else 'n'}",
        "created_at": _MOMENT,
        "is_deleted": "n % 20 = 19",
    }
    if issubclass(entity, Entity):
        made |= {"production_uuid": _SHOW, "note": "repeat('A note. ', 10)"}
    for field, reference in entity.references().items():
        made[field] = _key(table(discovered()[reference.collection]), "n")
    for end in entity.device_references:
        made |= {end.kind: f"'{_SOME.entity_type}'", end.label: f"'{_SOME.prefix} 1'"}
        made[end.uuid] = _key(table(_SOME), "n")
    return made


def _insert(name: str, made: Mapping[str, str], size: Size, rows: int) -> str:
    known = SQLModel.metadata.tables[name]
    values = {c.name: _required(c) for c in known.columns if _must_be_filled(c)}
    values.update(made)
    shown = ", ".join(values.values()).replace("{rows}", str(rows))
    return (
        f"INSERT INTO {name} ({', '.join(values)}) SELECT {shown.replace('{each}', str(size.rows))}"
        f" FROM generate_series({size.first * rows}, {(size.first + size.shows) * rows - 1}) AS n"
    )


def _must_be_filled(column: sa.Column[object]) -> bool:
    return not column.nullable and column.server_default is None


def _required(column: sa.Column[object]) -> str:
    if isinstance(column.type, sa.Enum):
        return f"'{column.type.enums[0]}'"
    if column.name in _UNIQUE:
        return "'A word ' || n"
    return "'A word'" if isinstance(column.type, sa.String) else "1"

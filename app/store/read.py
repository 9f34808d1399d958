"""Reads entities: one statement in autocommit, whose bytes are the answer."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg

from app.access.own_rows import OWN_SHOWS
from app.database.database import Database, DatabaseConnection
from app.entities import root
from app.errors import AmbiguousId, NotFound
from app.model.entity import Entity, Row
from app.model.schemas import can_be_stored, known_uuid
from app.rules import labels
from app.sql.reads import statements
from app.sql.show_reads import (
    COMMON_BY_LABEL,
    COMMON_BY_UUID,
    LABEL_CLASHES,
    SHOW_BY_LABEL,
    SHOW_BY_UUID,
    SHOW_TAG_BY_LABEL,
    SHOW_TAG_BY_UUID,
    members,
)

# Keys of shows that had rows of rare types when they were read last. It only says which statement
# to ask first: both give the same.
_WITH_RARE_ROWS: Final[set[str]] = set()
_MOST_REMEMBERED: Final = 10_000


class Listed(NamedTuple):
    """A list as JSON, and a token that every change of it changes; "" if there is none."""

    body: bytes
    state: str


class Show(NamedTuple):
    """A production with all that belongs to it, each member as JSON, with a state token."""

    members: dict[str, bytes]
    state: str


async def list_all(database: Database, entity: type[Row], production: str = "") -> Listed:
    """Return the live rows of a collection as a JSON array; ``[]`` for an unknown production."""
    sql = statements(entity)
    if issubclass(entity, Entity):
        row = await _by_production(
            database, (sql.list, sql.list_by_label), production,
            lambda row: row["body"] != b"[]" or _state(row),
        )  # fmt: skip
    else:
        row = await database.row(sql.list)
    return Listed(row["body"], _state(row)) if row else Listed(b"[]", "")


async def own_productions(database: Database, shows: Collection[UUID]) -> Listed:
    """Return the live ones of some productions as a JSON array."""
    row = await database.row(OWN_SHOWS, list(shows))
    return Listed(row["body"], _state(row)) if row else Listed(b"[]", "")


async def state_token(database: Database, entity: type[Row], production: str = "") -> str:
    """Return the token of the list that ``list_all`` would return, from one row alone."""
    sql = statements(entity)
    if not issubclass(entity, Entity):
        return _state(await database.row(sql.tag))
    return _state(await _by_production(database, (sql.tag, sql.tag_by_label), production, _state))


async def show_state_token(database: Database, production: str) -> str:
    """Return the token of the show that ``show`` would return, from one row alone."""
    sql = SHOW_TAG_BY_UUID, SHOW_TAG_BY_LABEL
    return _state(await _by_production(database, sql, production, _state))


async def show(
    database: Database, production: str, collections: Sequence[str] | None = None
) -> Show:
    """Return a production and what is live in it, of some collections. Raises NotFound."""
    row = None
    if collections is None and production not in _WITH_RARE_ROWS:
        row = await _show(database, (COMMON_BY_UUID, COMMON_BY_LABEL), production)
        if row["more"]:
            _remember_rare_rows(production)
            row = None
    if row is None:
        row = await _show(database, (SHOW_BY_UUID, SHOW_BY_LABEL), production, collections)
    lists = ((name, row.get(name, b"[]")) for name in members())
    return Show({name: rows for name, rows in lists if rows is not None}, _state(row))


async def _show(
    database: Database, sql: tuple[str, str], production: str, *args: object
) -> asyncpg.Record:
    first = next(iter(members()))
    row = await _by_production(database, sql, production, lambda row: row[first], *args)
    if row is None or row[first] is None:
        raise not_found(root(), production)
    return row


def _remember_rare_rows(production: str) -> None:
    if len(_WITH_RARE_ROWS) >= _MOST_REMEMBERED:
        _WITH_RARE_ROWS.clear()
    _WITH_RARE_ROWS.add(production)


async def label_clashes(database: Database, production: str) -> bytes:
    """Return the labels that several live rows of a production have, as JSON.

    Raises NotFound and AmbiguousId for the production.
    """
    async with database.connection() as connection:
        by_uuid = statements(root()).one
        uuid = known_uuid(production)
        if not uuid or not await connection.fetchval(by_uuid, uuid):
            uuid = await find_uuid(connection, root(), production)
        return bytes(await connection.fetchval(LABEL_CLASHES, uuid))


async def _by_production(
    database: Database, sql: tuple[str, str], key: str, is_there: Callable[[asyncpg.Record], Any],
    *args: object,
) -> asyncpg.Record | None:  # fmt: skip
    """Run the statement by the production's uuid, by its label, and by one that is alike."""
    by_uuid, by_label = sql
    if uuid := known_uuid(key):
        row = await database.row(by_uuid, uuid, *args)
        if row is not None and is_there(row):
            return row
    if not can_be_stored(key):
        return None
    row = await database.row(by_label, key, *args)
    if row is not None and is_there(row):
        return row
    async with database.connection() as connection:
        try:
            uuid = await find_uuid(connection, root(), key)
        except NotFound:
            return row
    return await database.row(by_uuid, uuid, *args)


def _state(row: asyncpg.Record | None) -> str:
    """Return the tag; after a look-up by label with the production that has the label today."""
    if row is None or row["tag"] is None:
        return ""
    production = row.get("labelled")
    return f"{row['tag']}-{production.hex}" if production else str(row["tag"])


async def get(database: Database, entity: type[Row], key: str) -> bytes:
    """Return one live row as JSON. Raises NotFound, and AmbiguousId for a label of several."""
    sql = statements(entity).one
    if (uuid := known_uuid(key)) and (body := await database.read(sql, uuid)):
        return body
    async with database.connection() as connection:
        return bytes((await find_row(connection, entity, sql, key))[0])


async def find_row(
    connection: DatabaseConnection, entity: type[Row], by_uuid: str, key: str, *args: object,
    by_label: str = "",
) -> Any:  # fmt: skip
    """Return the row under a key: a uuid, else the label of exactly one live row.

    ``by_label`` returns two rows where several have the label. Without it the label's uuid is
    found first, and read ``by_uuid``. Raises NotFound and AmbiguousId.
    """
    uuid = known_uuid(key)
    row = await connection.fetchrow(by_uuid, uuid, *args) if uuid else None
    if row is None and not by_label:
        row = await connection.fetchrow(by_uuid, await find_uuid(connection, entity, key), *args)
    elif row is None and can_be_stored(key):
        rows = await connection.fetch(by_label, key, *args)
        row = rows[0] if len(rows) == 1 else None
        if row is None:
            uuid = await find_uuid(connection, entity, key)
            label = await connection.fetchval(statements(entity).label, uuid)
            rows = await connection.fetch(by_label, label, *args)
            row = rows[0] if len(rows) == 1 else await connection.fetchrow(by_uuid, uuid, *args)
    if row is None:
        raise not_found(entity, key)
    return row


async def find_uuid(connection: DatabaseConnection, entity: type[Row], label: str) -> UUID:
    """Return the uuid of the one live row with this label, else with one that is alike.

    Raises NotFound and AmbiguousId.
    """
    rows = await connection.fetch(statements(entity).keys, label) if can_be_stored(label) else []
    if not rows and can_be_stored(label):
        rows = await connection.fetch(statements(entity).keys_alike, labels.spellings(label))
    if not rows:
        raise not_found(entity, label)
    if len(rows) > 1:
        raise ambiguous(label, [(row["uuid"], row["production"]) for row in rows])
    uuid: UUID = rows[0]["uuid"]
    return uuid


def ambiguous(label: str, candidates: Sequence[tuple[UUID, str]]) -> AmbiguousId:
    """Return the error for a label of several rows: each one's uuid and production."""
    shows = {owner for _, owner in candidates} - {label}
    narrower = "name its show with ?production=, or " if len(shows) > 1 else ""
    return AmbiguousId(
        f"{len(candidates)} rows are called {label!r}: {narrower}use the uuid of the one you mean.",
        candidates=[{"uuid": str(uuid), "productionId": owner} for uuid, owner in candidates],
    )


def not_found(entity: type[Row], key: str) -> NotFound:
    """Return the error for a key that no live row has."""
    return NotFound(f"No {entity.noun} is called {key!r}.", error=f"{entity.noun} not found")

"""Reads entities: one statement in autocommit, whose bytes are the answer."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from app.database.database import Database, DatabaseConnection
from app.entities import root
from app.errors import AmbiguousId, NotFound
from app.model.entity import Entity, Row
from app.model.schemas import can_be_stored, known_uuid
from app.sql.reads import statements
from app.sql.show import SHOW_BY_LABEL, SHOW_BY_UUID, SHOW_TAG_BY_LABEL, SHOW_TAG_BY_UUID, members


class Listed(NamedTuple):
    """A list as JSON, and its mark, which every change of it changes; "" where none is known."""

    body: bytes
    mark: str


class Show(NamedTuple):
    """A production with all that belongs to it, by member, each as JSON; and the mark of it all."""

    members: dict[str, bytes]
    mark: str


async def list_all(database: Database, entity: type[Row], production: str = "") -> Listed:
    """Give the live rows of a collection as a JSON array; ``[]`` for an unknown production."""
    sql = statements(entity)
    if issubclass(entity, Entity):
        ways = sql.list, sql.list_by_label
        row = await _row(database, ways, production, lambda r: r["body"] != b"[]" or _mark(r))
    else:
        row = await database.row(sql.list)
    return Listed(row["body"], _mark(row)) if row else Listed(b"[]", "")


async def state_token(database: Database, entity: type[Row], production: str = "") -> str:
    """Give the mark of the list that ``list_all`` would give, from its production's row alone."""
    sql = statements(entity)
    if not issubclass(entity, Entity):
        return _mark(await database.row(sql.tag))
    return _mark(await _row(database, (sql.tag, sql.tag_by_label), production, _mark))


async def show_mark(database: Database, production: str) -> str:
    """Give the mark of the show that ``show`` would give, from its production's row alone."""
    return _mark(await _row(database, (SHOW_TAG_BY_UUID, SHOW_TAG_BY_LABEL), production, _mark))


async def show(
    database: Database, production: str, collections: Sequence[str] | None = None
) -> Show:
    """Give a production and everything live in it, or in some ``collections``, at one moment.

    Raises NotFound, and AmbiguousId where several hold the label.
    """
    first = next(iter(members()))
    ways = SHOW_BY_UUID, SHOW_BY_LABEL
    row = await _row(database, ways, production, lambda r: r[first], collections)
    if row is None or row[first] is None:
        raise not_found(root(), production)
    lists = {name: row[name] for name in members() if row[name] is not None}
    return Show(lists, _mark(row))


async def _row(
    database: Database,
    ways: tuple[str, str],
    key: str,
    is_there: Callable[[asyncpg.Record], Any],
    *more: object,
) -> asyncpg.Record | None:
    """Ask for a production by uuid, and by label where it is not there under that uuid."""
    by_uuid, by_label = ways
    if uuid := known_uuid(key):
        row = await database.row(by_uuid, uuid, *more)
        if row is not None and is_there(row):
            return row
    return await database.row(by_label, key, *more) if can_be_stored(key) else None


def _mark(row: asyncpg.Record | None) -> str:
    """Tell states apart by the tag; one found by label also by which production that is today."""
    if row is None or row["tag"] is None:
        return ""
    production = row.get("labelled")
    return f"{row['tag']}-{production.hex}" if production else str(row["tag"])


async def get(database: Database, entity: type[Row], key: str) -> bytes:
    """Give one live row as JSON. Raises NotFound, and AmbiguousId where several hold the label."""
    sql = statements(entity).one
    if (uuid := known_uuid(key)) and (body := await database.read(sql, uuid)):
        return body
    async with database.connection() as connection:
        body = await connection.fetchval(sql, await find(connection, entity, key))
    if body is None:
        raise not_found(entity, key)
    return bytes(body)


async def find(connection: DatabaseConnection, entity: type[Row], key: str) -> UUID:
    """Give the uuid of the one live row labelled ``key``. Raises NotFound and AmbiguousId."""
    rows = await connection.fetch(statements(entity).keys, key) if can_be_stored(key) else []
    if not rows:
        raise not_found(entity, key)
    if len(rows) > 1:
        candidates = [{"uuid": str(r["uuid"]), "productionId": r["production"]} for r in rows]
        raise AmbiguousId(
            f"{len(rows)} rows are called {key!r}: use the uuid of the one you mean.",
            candidates=candidates,
        )
    uuid: UUID = rows[0]["uuid"]
    return uuid


def not_found(entity: type[Row], key: str) -> NotFound:
    """Give the error for a key that no live row has."""
    return NotFound(f"No {entity.noun} is called {key!r}.", error=f"{entity.noun} not found")

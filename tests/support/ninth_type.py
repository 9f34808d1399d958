"""A pytest plugin that declares a ninth entity type: one declaration and one table, no more.

It is loaded with ``-p`` in a process of its own (``tests/test_ninth_type.py``), so that every
parametrised test meets the type and no other test run does.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement
from sqlmodel import SQLModel

import app.entities  # noqa: F401  # the eight come first, as they do in the service
from app.model.entity import Entity, reference
from app.model.fields import (
    MaybeFlag,
    MaybeLine,
    MaybeMoment,
    MaybeNumber,
    MaybeRows,
    MaybeUuid,
    Name,
)
from tests.support import databases


class MultiViewer(Entity, table=True):
    """A wall of pictures."""

    collection: ClassVar[str] = "multi-viewers"
    noun: ClassVar[str] = "Multiviewer"
    entity_type: ClassVar[str] = "multiViewer"
    event_type: ClassVar[str] = "MULTI_VIEWER"
    prefix: ClassVar[str] = "MV"
    synonyms: ClassVar[Mapping[str, str]] = {"wallName": "name"}
    example: ClassVar[Mapping[str, Any]] = {"name": "VIDEO VILLAGE"}

    name: Name
    layout: MaybeLine = None
    brightness: MaybeNumber = None
    is_curved: MaybeFlag = None
    installed_at: MaybeMoment = None
    tiles: MaybeRows = None
    camera_uuid: MaybeUuid = reference("cameras", on_delete="clear")


_migrated = databases.migrated


def _with_the_table(lent: databases.Server) -> str:
    return lent.template("ninth_type", _add_the_table, _migrated(lent))


def _add_the_table(url: str) -> None:
    table = SQLModel.metadata.tables[str(MultiViewer.__tablename__)]
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # its constructor is untyped
    statements: list[ExecutableDDLElement] = [CreateTable(table), *map(CreateIndex, table.indexes)]
    for statement in statements:
        asyncio.run(databases.execute(url, str(statement.compile(dialect=dialect))))


databases.migrated = _with_the_table

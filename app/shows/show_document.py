"""Takes a whole show out as one document, and puts one in as a new show: all of it or nothing.

A document holds ``production`` (an object) and, each optional, one array per collection under its
name in camel case: ``sources``, ``cableSnakes``, ``checklistItems`` … Members have their names of
the wire; ``productionId`` is filled in. Rows come out of lists in the order of the document.
``format`` is the number of this shape, 1 where it is absent.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import from_json

from app.changelog.log import Actor
from app.database.database import Database
from app.entities import root
from app.errors import DuplicateUuid, Invalid, SignalbookError
from app.model.entity import Row
from app.model.schemas import create_schema
from app.sql.reads import members
from app.store import read
from app.store.create import create
from app.store.edit import edit_from
from app.store.write_context import WriteContext

FORMAT: Final = 1
Document = Mapping[str, Any]


@dataclass(frozen=True)
class NewShow:
    """A show that was made: its production as JSON, and how many rows of each collection it has."""

    production: bytes
    counts: Mapping[str, int]


def lists_of() -> Mapping[str, type[Row]]:
    """Return the entity types within a show by the names of their arrays."""
    return {name: kind for name, kind in members().items() if kind is not root()}


async def export(database: Database, production: str) -> str:
    """Return a show as ``load`` takes it. Raises NotFound and AmbiguousId.

    What the service counts itself, such as versions and times, is in it and is not read again.
    """
    lists = (await read.show(database, production)).members
    show = {name: from_json(rows) for name, rows in lists.items()}
    return json.dumps({"format": FORMAT, **show}, indent=1, ensure_ascii=False)


def check(document: Any) -> Document:
    """Return a document whose shape is right. Raises Invalid."""
    if not isinstance(document, dict) or not isinstance(document.get("production"), dict):
        raise Invalid.at("production", "expected an object: the show itself")
    if document.get("format", FORMAT) != FORMAT:
        raise Invalid.at(
            "format",
            f"this is of format {document['format']!r}, and this version reads {FORMAT}: load it "
            "with the version that wrote it, or a newer one",
        )
    for name in lists_of():
        if not isinstance(document.get(name, []), list):
            raise Invalid.at(name, "expected an array")
    return document


async def load(context: WriteContext, document: Document, actor: Actor) -> NewShow:
    """Make a show of a document that was checked.

    Raises Invalid with the path of a row that is refused; of the production itself DuplicateId
    (with ``suggestedId``); and DuplicateUuid for what is there already.
    """
    context.require_lock()
    body = await _create(context, root(), document["production"], "production", actor)
    label = from_json(body)["id"]
    counts: Counter[str] = Counter()
    for name, kind in _in_order():
        for index, row in enumerate(document.get(name, [])):
            await _create_row(context, kind, row, f"{name}.{index}", label, actor)
        counts[kind.collection] = len(document.get(name, []))
    return NewShow(body, counts)


def _in_order() -> Iterator[tuple[str, type[Row]]]:
    """Yield the entity types, those that others refer to first."""
    yield from sorted(
        lists_of().items(),
        key=lambda each: (bool(each[1].device_references), bool(each[1].references())),
    )


async def _create_row(
    context: WriteContext, kind: type[Row], row: Any, where: str, label: str, actor: Actor
) -> None:
    if not isinstance(row, dict):
        raise Invalid.at(where, "expected an object")
    try:
        await _create(context, kind, {**row, "productionId": label}, where, actor)
    except (DuplicateUuid, Invalid):
        raise
    except SignalbookError as error:
        raise Invalid.at(where, error.message) from None


async def _create(
    context: WriteContext, kind: type[Row], row: Mapping[str, Any], where: str, actor: Actor
) -> bytes:
    """Create a row. Raises Invalid with its place in the document."""
    try:
        edit, _ = edit_from(kind, create_schema(kind), row, actor)
        return await create(context, kind, edit)
    except Invalid as error:
        faults = error.members["errors"]
        raise Invalid([{**fault, "path": f"{where}.{fault['path']}"} for fault in faults]) from None

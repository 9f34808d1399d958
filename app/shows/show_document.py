"""Takes a whole show out as one document, and puts one in as a new show: all of it or nothing.

A document holds ``production`` (an object) and, each optional, one array per collection under its
name in camel case: ``sources``, ``cableSnakes``, ``checklistItems`` … Members have their names of
the wire; ``productionId`` is filled in. Rows come out of lists in the order of the document.
``format`` is the number of this shape, 1 where it is absent.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import from_json

from app.changelog.log import Actor
from app.database.database import Database
from app.entities import root
from app.errors import Invalid, SignalbookError
from app.model.entity import Row
from app.model.schemas import create_schema, read_schema
from app.model.secret_fields import public_json
from app.shows.references_within import Document, lists_of, repeated_keys, self_contained
from app.sql.show_reads import members as kinds_by_name
from app.store import read
from app.store.create import create
from app.store.edit import edit_from
from app.store.write_context import WriteContext

FORMAT: Final = 1
_PERSON: Final = frozenset({"userId", "userName", "lastModifiedBy"})


@dataclass(frozen=True)
class NewShow:
    """A show that was made: its production as JSON, and how many rows of each collection it has.

    ``ignored`` are the paths of what was left out: references that lead out of the document, labels
    that an earlier row has, and members that no row of their type has.
    """

    production: bytes
    counts: Mapping[str, int]
    ignored: Sequence[str] = ()


async def export(database: Database, production: str) -> bytes:
    """Return a show as ``load`` takes it, as JSON. Raises NotFound and AmbiguousId.

    What the service counts itself, such as versions and times, is in it and is not read again.
    Secrets are not in it, since a document goes from hand to hand.
    """
    lists = without_secrets((await read.show(database, production)).members)
    members = [b'"%b":%b' % (name.encode(), rows) for name, rows in lists.items()]
    return b'{"format":%d,%b}' % (FORMAT, b",".join(members))


def without_secrets(lists: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the members of a show, each as JSON, without their secrets."""
    kinds = kinds_by_name()
    return {name: public_json(kinds[name], rows) for name, rows in lists.items()}


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
    if paths := [*repeated_keys(document)]:
        words = "another row of this document has that uuid: give each its own"
        raise Invalid([{"path": path, "message": words} for path in paths[:100]])
    return document


def count(document: Document) -> int:
    """Return how many rows a document has."""
    return sum(len(document.get(name, [])) for name in lists_of())


async def load(context: WriteContext, document: Document, actor: Actor) -> NewShow:
    """Make a show of a document that was checked.

    References to what is not in it are emptied, and of two rows with one label the later gets the
    next free one: a live show may have both. Raises Invalid with the path of a row that is refused;
    of the production itself DuplicateId (with ``suggestedId``), and DuplicateUuid if it is there.
    """
    context.require_lock()
    document, ignored = self_contained(document)
    loader = _Loader(context, actor, ignored)
    body = await loader.create(root(), document["production"], "production")
    production = from_json(body)["uuid"]  # its label may lead elsewhere
    counts: Counter[str] = Counter()
    for name, kind in _in_order():
        rows = document.get(name, [])
        for index, row in enumerate(rows):
            await loader.create_within(kind, row, f"{name}.{index}", production)
        counts[kind.collection] = len(rows)
    return NewShow(body, counts, ignored)


def _in_order() -> Iterator[tuple[str, type[Row]]]:
    """Yield the entity types, those that others refer to first."""
    yield from sorted(
        lists_of().items(),
        key=lambda each: (bool(each[1].device_references), bool(each[1].references())),
    )


@dataclass(frozen=True)
class _Loader:
    """Creates rows; ``ignored`` gets the paths of members that no row of their type has."""

    context: WriteContext
    actor: Actor
    ignored: list[str]

    async def create_within(self, kind: type[Row], row: Any, where: str, production: str) -> None:
        """Create a row of the show. Raises Invalid with its place in the document."""
        if not isinstance(row, dict):
            raise Invalid.at(where, "expected an object")
        try:
            await self.create(kind, {**row, "productionId": production}, where)
        except SignalbookError as error:
            if isinstance(error, Invalid) or error.status >= 500:
                raise
            raise Invalid.at(where, error.message) from None

    async def create(self, kind: type[Row], row: Mapping[str, Any], where: str) -> bytes:
        """Create a row. Raises Invalid with its place in the document, and what ``create`` does."""
        if self.actor != Actor():  # who brings it in has written it
            row = {name: value for name, value in row.items() if name not in _PERSON}
        try:
            edit, unknown = edit_from(kind, create_schema(kind), row, self.actor)
            answered = read_schema(kind).model_fields
            self.ignored.extend(f"{where}.{name}" for name in unknown if name not in answered)
            return await create(self.context, kind, edit)
        except Invalid as error:
            faults = [
                {**fault, "path": f"{where}.{fault['path']}"} for fault in error.members["errors"]
            ]
            raise Invalid(faults) from None

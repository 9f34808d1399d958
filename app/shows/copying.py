"""Changes a show's document before it comes in again: new keys, other dates, fewer rows. Pure."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, get_args

from pydantic.alias_generators import to_camel
from uuid_utils.compat import uuid7

from app.entities import root
from app.model.entity import Row, label_field
from app.model.fields import parse_moment
from app.shows.show_document import Document, lists_of
from app.timestamps import wire_moment

_LABEL: Final = ("id", "productionId")


def with_new_uuids(document: Document) -> dict[str, Any]:
    """Return a document whose rows, and the parts in their lists, all have new uuids.

    What refers to one of them refers to the new one. The show itself gets the next free label.
    """
    new = {uuid.lower(): str(uuid7()) for uuid in _own_uuids(document)}
    unnamed = {name: v for name, v in document["production"].items() if name not in _LABEL}

    def replaced(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: replaced(each) for name, each in value.items()}
        if isinstance(value, list):
            return [replaced(each) for each in value]
        return new.get(value.lower(), value) if isinstance(value, str) else value

    return dict(replaced({**document, "production": unnamed}))


def _own_uuids(value: Any) -> Iterator[str]:
    """Yield the uuids that rows and parts of them bear."""
    if isinstance(value, dict):
        if isinstance(uuid := value.get("uuid"), str) and uuid:
            yield uuid
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _own_uuids(each)


def only(document: Document, names: Collection[str]) -> dict[str, Any]:
    """Return a document with these arrays alone; what referred to other rows is emptied."""
    rest = {n: v for n, v in document.items() if n not in lists_of() or n in names}
    there = {uuid.lower() for uuid in _own_uuids(rest)}

    def emptied(kind: type[Row], row: Mapping[str, Any]) -> dict[str, Any]:
        ends = {**{uuid: label_field(uuid) for uuid in kind.references()}, **kind.ends()}
        lost = {
            member
            for uuid, label in ends.items()
            if (value := row.get(kind.wire(uuid))) and str(value).lower() not in there
            for member in (kind.wire(uuid), kind.wire(label), to_camel(label))
        }
        return {name: None if name in lost else value for name, value in row.items()}

    lists = {
        n: [emptied(kind, row) for row in rest[n]] for n, kind in lists_of().items() if n in rest
    }
    return {**rest, **lists}


def without_ticks(document: Document) -> dict[str, Any]:
    """Return a document in which nothing is done yet."""
    ticks = {name: {kind.wire(field) for field in kind.ticks} for name, kind in lists_of().items()}
    return dict(document) | {
        name: [{m: v for m, v in row.items() if m not in ticks[name]} for row in document[name]]
        for name in lists_of()
        if ticks[name] and name in document
    }


def moved_to(document: Document, load_in: datetime) -> dict[str, Any]:
    """Return a document whose dates all lie as far from this load-in as from their own.

    A show without a load-in gets this one, and keeps its other dates.
    """
    production = dict(document["production"])
    before = production.get("loadIn")
    shift = load_in - parse_moment(before) if before else timedelta()
    lists = {
        name: [_moved(kind, row, shift) for row in document[name]]
        for name, kind in lists_of().items()
        if name in document
    }
    return {
        **document, **lists,
        "production": {**_moved(root(), production, shift), "loadIn": wire_moment(load_in)},
    }  # fmt: skip


def _moved(kind: type[Row], row: Mapping[str, Any], shift: timedelta) -> dict[str, Any]:
    dates = {
        kind.wire(name) for name in kind.editable()
        if datetime in get_args(kind.model_fields[name].annotation)
    }  # fmt: skip
    return {
        name: wire_moment(parse_moment(value) + shift) if name in dates and value else value
        for name, value in row.items()
    }

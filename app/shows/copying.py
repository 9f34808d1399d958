"""Changes a show's document before it comes in again: new keys, other dates, fewer rows. Pure."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, get_args

from uuid_utils.compat import uuid7

from app.entities import root
from app.errors import Invalid
from app.model.entity import Row
from app.model.fields import parse_moment
from app.model.schemas import known_uuid
from app.shows.references_within import Document, lists_of, own_uuids
from app.timestamps import wire_moment

_LABEL: Final = ("id", "productionId")


def with_new_uuids(document: Document) -> dict[str, Any]:
    """Return a document whose rows, and the parts in their lists, all have new uuids.

    Whatever is one of their uuids becomes the new one, in free JSON too. The show itself gets the
    next free label.
    """
    new = {uuid: str(uuid7()) for uuid in own_uuids(document)}
    unnamed = {name: v for name, v in document["production"].items() if name not in _LABEL}

    def replaced(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: replaced(each) for name, each in value.items()}
        if isinstance(value, list):
            return [replaced(each) for each in value]
        uuid = known_uuid(value) if isinstance(value, str) else None
        return new.get(uuid, value) if uuid else value

    return dict(replaced({**document, "production": unnamed}))


def only(document: Document, names: Collection[str]) -> dict[str, Any]:
    """Return a document with these arrays alone."""
    return {n: v for n, v in document.items() if n not in lists_of() or n in names}


def without_ticks(document: Document) -> dict[str, Any]:
    """Return a document in which nothing is done yet, and the show is being planned."""
    planned = {name: v for name, v in document["production"].items() if name != "status"}
    ticks = {name: {kind.wire(field) for field in kind.ticks} for name, kind in lists_of().items()}
    return {**document, "production": planned} | {
        name: [{m: v for m, v in row.items() if m not in ticks[name]} for row in document[name]]
        for name in lists_of()
        if ticks[name] and name in document
    }


def moved_to(document: Document, load_in: datetime) -> dict[str, Any]:
    """Return a document whose dates all lie as far from this load-in as from their own.

    A show without a load-in gets this one, and keeps its other dates. What says when something was
    done stays. Raises Invalid for a date that would lie beyond the years 1 to 9999.
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
        if datetime in get_args(kind.model_fields[name].annotation) and name not in kind.ticks
    }  # fmt: skip
    try:
        return {
            name: wire_moment(parse_moment(value) + shift) if name in dates and value else value
            for name, value in row.items()
        }
    except OverflowError:
        raise Invalid.at("loadIn", "moves a date out of the years 1 to 9999") from None

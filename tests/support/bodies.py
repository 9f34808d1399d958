"""Request bodies made from the declarations, so that a new entity type needs none by hand."""

import re
from itertools import count
from typing import Any, Final, Literal, get_args, get_origin
from uuid import UUID

from app.entities import discovered
from app.model.entity import Entity, Row, label_field
from app.model.schemas import create_schema
from tests import legacy

ALL: Final = tuple(discovered().values())
SCOPED: Final = tuple(entity for entity in ALL if issubclass(entity, Entity))
# Where a behaviour is the same for all types, a test takes those that differ: the production,
# sources with their list, connections with their references, those with a rule of their own, and
# every type that is new.
_LIKE_OTHERS: Final = {
    "cable-snakes", "cameras", "ccus", "checklist-items", "sends", "cam-switchers", "media-servers",
    "projection-screens", "records", "routers", "vision-switchers",
}  # fmt: skip
REPRESENTATIVES: Final = tuple(e for e in ALL if e.collection not in _LIKE_OTHERS)
SCOPED_REPRESENTATIVES: Final = tuple(e for e in SCOPED if e in REPRESENTATIVES)
# The types whose tables an older service has: their labels are unique while it runs.
OLDER: Final = tuple(entity for entity in SCOPED if str(entity.__tablename__) in legacy.TABLES)
# The types of which no two rows of a show may get one label.
UNIQUE_LABELS: Final = tuple(e for e in SCOPED_REPRESENTATIVES if not e.allow_duplicate_labels)
NOT_A_VALUE: Final = {"uuid", "production_id", "user_id", "user_name", "last_modified_by", "id"}
_NUMBERS: Final = count(1)
SOME_UUID: Final = str(UUID(int=0x018F_0000_0000_7000_8000_0000_0000_0001))
_VALUES: Final[dict[str, Any]] = {
    "PLANNING": "READY",
    "SourceOutputInput": [{"connector": "HDMI", "hRes": 1920, "rate": 59.94}],
    "SnakeChannelInput": [{"number": 7, "connectorA": "SDI", "direction": "A>B", "feed": "CAM 1"}],
    "ConnectionLegInput": [],  # the other members of a path would follow them
    "datetime": "2027-03-01T08:30:00.000Z",
    "UUID": SOME_UUID,
    "dict": [{"id": "A", "Free Key": {"deep": [1, None, "é"]}}],
    "list": [1, "two", {"three": 3.5}],
    "bool": True,
    "float": 59.94,
    "int": 1_500,
    "Any": {"free": ["form", 1]},
}


def named(entity: type[Row]) -> str:
    """Return the collection, as the id of a parametrised test."""
    return entity.collection


def minimal(entity: type[Row], **members: Any) -> dict[str, Any]:
    """Return the least that a create takes."""
    fields = create_schema(entity).model_fields.items()
    needed = [n for n, field in fields if field.is_required() and n != "production_id"]
    values = {name: _least(entity, name) for name in needed}
    return {entity.wire(name): value for name, value in values.items()} | members


def _least(entity: type[Row], name: str) -> Any:
    words = choices(create_schema(entity).model_fields[name].annotation)
    if name in entity.unique:
        return f"10.0.{next(_NUMBERS)}"
    return words[0] if words else "A name"


def full(entity: type[Row], **members: Any) -> dict[str, Any]:
    """Return a create that sets every member to a value of its kind; references are left out."""
    skipped = NOT_A_VALUE | set(entity.references()) | set(entity.part_references)
    skipped |= {label_field(name) for name in (*entity.references(), *entity.part_references)}
    skipped |= {*entity.ends(), *entity.ends().values()}
    made = {
        entity.wire(name): _least(entity, name)
        if name in entity.unique
        else value(field.annotation, name)
        for name, field in create_schema(entity).model_fields.items()
        if name not in skipped
    }
    return made | members


def value(annotation: Any, name: str = "") -> Any:
    """Return a value that an annotation takes, in the form that the wire gives it back."""
    if (words := choices(annotation)) and kind(annotation) == "Any":
        return words[-1]
    return {**_VALUES, "str": f"Some {name} é"}[kind(annotation)]


def choices(annotation: Any) -> tuple[str, ...]:
    """Return the words that a member may have, none where it may have any."""
    if get_origin(annotation) is Literal:
        return tuple(word for word in get_args(annotation) if word)
    return next(filter(None, map(choices, get_args(annotation))), ())


def kind(annotation: Any) -> str:
    """Return the word for a member's type."""
    words = re.findall(r"\w+", str(annotation))
    return next((word for word in [*_VALUES, "str"] if word in words), "Any")


def optional(entity: type[Row]) -> dict[str, str]:
    """Return the nullable members by wire name, each with the word for its type."""
    return {
        entity.wire(name): kind(field.annotation)
        for name, field in entity.model_fields.items()
        if name in entity.editable() and "None" in str(field.annotation)
    }

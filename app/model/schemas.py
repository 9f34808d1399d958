"""The Pydantic models of an entity's requests and answers, derived from its declaration.

Create and Update validate requests. Read documents answers, whose bytes PostgreSQL makes; a test
validates them against it for every type.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Final, Literal, get_args
from uuid import UUID

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    create_model,
)
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from sqlmodel.main import FieldInfoMetadata

from app.errors import Invalid
from app.model.entity import Entity, PartList, Row, label_field
from app.model.fields import (
    LONGEST_LABEL,
    NO_NUL,
    Label,
    MaybeLine,
    MaybeUuid,
    blank_or,
    blank_to_none,
)
from app.rules.json_bounds import LONGEST_TEXT

MOST_PARTS: Final = 500
"""Elements of a list that has a table of its own, as the outputs of a source."""
_REQUEST: Final = ConfigDict(extra="allow", validate_by_name=True, validate_by_alias=True)
_ANSWER: Final = ConfigDict(extra="forbid")

Key = Annotated[str, StringConstraints(min_length=1, max_length=1_000, pattern=NO_NUL)]
"""What names a row in a request: its uuid or its label."""

_AnyText = Annotated[str, StringConstraints(max_length=LONGEST_TEXT, pattern=NO_NUL)]
_AnyLabel = Annotated[str, StringConstraints(max_length=LONGEST_LABEL, pattern=NO_NUL)]
_MaybeAnyText = Annotated[_AnyText | None, BeforeValidator(blank_to_none)]
MaybeLabel = Annotated[Label | None, BeforeValidator(blank_to_none)]
WireMoment = Annotated[
    str,
    StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""An instant in an answer: ISO 8601, UTC, milliseconds."""

Version = Annotated[int, Field(strict=True, ge=0, le=2**31 - 1)]
MaybeVersion = Annotated[Version | None, Field(description="What this edit started from.")]


class RequestModel(BaseModel):
    """The model of a request, which collects what it does not know: the answer names it."""

    model_config = _REQUEST


class FieldVersion(BaseModel):
    """The version at which a field last changed."""

    model_config = ConfigDict(extra="allow")

    version: Version
    """The version of the row at which the field last changed."""
    updatedAt: Any = None
    """When that was, as the answer had it."""


def _incoming(
    name: str, default: Any, *, wire: str | None = None, also: tuple[str, ...] = ()
) -> Any:
    primary = wire or to_camel(name)
    choices = dict.fromkeys((primary, *also))
    return Field(default, validation_alias=AliasChoices(*choices))


def _annotation(field: FieldInfo) -> Any:
    """Return a field's type with its bounds, without what only SQLModel understands."""
    bounds = tuple(m for m in field.metadata if not isinstance(m, FieldInfoMetadata))
    return Annotated[field.annotation, *bounds] if bounds else field.annotation


def _default(field: FieldInfo) -> Any:
    return ... if field.is_required() else field.get_default(call_default_factory=True)


def bounded(entity: type[Row], name: str, value: Any, member: str, *, lenient: bool = False) -> Any:
    """Validate one field's value. Raises Invalid, naming ``member`` of the request."""
    try:
        return _adapter(entity, name, lenient).validate_python(value)
    except ValidationError as wrong:
        raise Invalid.at(member, _words(wrong.errors()[0])) from None


def refuse_unbounded(entity: type[Row], values: Mapping[str, Any]) -> None:
    """Raise Invalid where what is to be written exceeds the declaration's bounds."""
    for name, value in values.items():
        if name not in entity.parts:
            bounded(entity, name, value, entity.wire(name))


@cache
def _adapter(
    entity: type[Row], name: str, lenient: bool,  # noqa: FBT001  # a cache's key
) -> TypeAdapter[Any]:  # fmt: skip
    field = entity.model_fields[name]
    return TypeAdapter(_lenient(field) if lenient else _annotation(field))


def _lenient(field: FieldInfo) -> Any:
    """Return a text field's type without its bounds.

    A row of an older service may exceed them, and a form sends the whole row back. So an update's
    text must keep its bounds only where it differs from what is stored.
    """
    if field.annotation is str:
        return _AnyText
    kinds = [getattr(kind, "__origin__", kind) for kind in get_args(field.annotation)]
    return _MaybeAnyText if str in kinds else _annotation(field)


def _with_default(annotation: Any, default: Any) -> Any:
    """Let ``null`` and ``""`` in a create mean the default, where the member cannot be empty."""
    blank = BeforeValidator(
        lambda value: default if value is None or value == "" else value,
        json_schema_input_type=annotation | Literal[""] | None,
    )
    return Annotated[annotation, blank]


def _own_fields(entity: type[Row], *, create: bool) -> dict[str, Any]:
    """Return the members a client may write, each under its wire name and its synonyms."""
    fields: dict[str, Any] = {"id": (MaybeLabel if create else _AnyLabel, _incoming("id", None))}
    for name in entity.editable()[1:]:
        field = entity.model_fields[name]
        also = tuple(word for word, target in entity.synonyms.items() if target == name)
        default = _default(field) if create else None
        kind = _annotation(field) if create else _lenient(field)
        if default not in (None, ...) and type(None) not in get_args(field.annotation):
            kind = _with_default(kind, default)
        fields[name] = (kind, _incoming(name, default, wire=entity.wire(name), also=also))
    for name in entity.references():
        label = label_field(name)
        fields[label] = (MaybeLine, _incoming(label, None))
    for name, parts in entity.parts.items():
        rows: Any = list[part_schema(parts)]  # type: ignore[misc]  # made at run time
        elements: Any = Annotated[rows, Field(max_length=MOST_PARTS)] | None
        fields[name] = (Annotated[elements, blank_or(elements)], _incoming(name, None))
    return fields


@cache
def part_schema(parts: PartList) -> type[BaseModel]:
    """Return the model of one element of a list that has a table of its own."""
    fields: dict[str, Any] = {
        "uuid": (MaybeUuid, _incoming("uuid", None)),
        "id": (MaybeLabel, _incoming("id", None)),
    }
    for name, field in parts.columns().items():
        fields.setdefault(name, (_annotation(field), _incoming(name, _default(field))))
    config = ConfigDict(validate_by_name=True, validate_by_alias=True)
    return create_model(f"{parts.model.__name__}Input", __config__=config, **fields)


@cache
def create_schema(entity: type[Row]) -> type[BaseModel]:
    """Return what a create may hold; a client may send the uuid of a row it made offline."""
    scope = {"productionId": "SHOW 1"} if issubclass(entity, Entity) else {}
    return _request_schema(
        entity, "Create", {**scope, **entity.example}, uuid=(MaybeUuid, _incoming("uuid", None)),
        production_id=(Key, _incoming("production_id", ...)), **_own_fields(entity, create=True),
    )  # fmt: skip


@cache
def update_schema(entity: type[Row]) -> type[BaseModel]:
    """Return what an update may hold: absent members stay untouched."""
    versions = dict[str, FieldVersion | Version] | None
    return _request_schema(
        entity, "Update", entity.example, version=(MaybeVersion, None),
        field_versions=(versions, _incoming("field_versions", None)),
        production_id=(Key | None, _incoming("production_id", None)),
        **_own_fields(entity, create=False),
    )  # fmt: skip


def _request_schema(
    entity: type[Row], suffix: str, example: Mapping[str, Any], **fields: Any
) -> type[BaseModel]:
    """Return a model with these fields and those that say who did it."""
    if not issubclass(entity, Entity):
        del fields["production_id"]
    fields |= {name: (MaybeLine, _incoming(name, None)) for name in DeleteBody.model_fields}
    config = ConfigDict(**_REQUEST, json_schema_extra={"example": dict(example)})
    name = f"{entity.__name__}{suffix}"
    return create_model(name, __config__=config, __doc__=entity.__doc__, **fields)


class DeleteBody(RequestModel):
    """Who deletes, where the client says."""

    user_id: MaybeLine = _incoming("user_id", None)
    """Who does it, by the id that the client has for people."""
    user_name: MaybeLine = _incoming("user_name", None)
    """Who does it, by name. Others are shown it."""
    last_modified_by: MaybeLine = _incoming("last_modified_by", None)
    """The same person once more, where an older client sends it so."""


@cache
def read_schema(entity: type[Row]) -> type[BaseModel]:
    """Return the model of every answer that holds the entity: no member is ever missing."""
    fields: dict[str, Any] = {}
    for member in entity.model_fields:
        if member not in {"field_versions", *entity.hidden}:
            fields[entity.wire(member)] = (_outgoing(entity.model_fields[member]), ...)
    for name in entity.references():
        fields[to_camel(label_field(name))] = (str | None, ...)
    for name, parts in entity.parts.items():
        fields[name] = (list[_part_answer(parts)], ...)  # type: ignore[misc]  # made at run time
    for word, target in entity.synonyms.items():
        fields[word] = (_outgoing(entity.model_fields[target]), ...)
    if entity.ends():
        fields["unresolved"] = (list[str], ...)
    if issubclass(entity, Entity):
        fields["productionId"] = (str, ...)
    fields["fieldVersions"] = (dict[str, Any], ...)
    return create_model(entity.__name__, __config__=_ANSWER, __doc__=entity.__doc__, **fields)


@cache
def _part_answer(parts: PartList) -> type[BaseModel]:
    fields: dict[str, Any] = {
        to_camel(name): (_outgoing(field), ...) for name, field in parts.columns().items()
    }
    return create_model(
        parts.model.__name__, __config__=_ANSWER, __doc__=parts.model.__doc__, **fields
    )


def _outgoing(field: FieldInfo) -> Any:
    """Return a field's type in answers: without bounds, since an older row may exceed them."""
    text = str(field.annotation)
    if "datetime" in text:
        return WireMoment | None if "None" in text else WireMoment
    return field.annotation


def invalid(faults: Sequence[Mapping[str, Any]]) -> Invalid:
    """Return the error for what Pydantic refused. What was sent may be a secret: it is left out."""
    return Invalid([
        {"path": ".".join(map(str, fault["loc"])) or "body", "message": _words(fault)}
        for fault in faults[:100]
    ])  # fmt: skip


def _words(fault: Mapping[str, Any]) -> str:
    return str(fault["msg"]).removeprefix("Value error, ")


def unknown_members(body: BaseModel) -> list[str]:
    """Return the members of a request that are unknown."""
    return list(body.model_extra or {})


def can_be_stored(key: str) -> bool:
    """Return whether a row can have this label: PostgreSQL's text holds no NUL."""
    return "\x00" not in key


def known_uuid(key: str) -> UUID | None:
    """Read a key as a uuid in its usual spelling, None where it is a label."""
    if len(key) != 36:
        return None
    try:
        return UUID(key)
    except ValueError:
        return None

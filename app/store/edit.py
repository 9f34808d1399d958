"""What a client submits: an edit, read from a validated request body."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Any, TypeVar, get_args
from uuid import UUID

from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_snake

from app.access.sender import Sender
from app.changelog.log import Actor
from app.errors import Invalid
from app.model.entity import Row
from app.model.fields import LONGEST, LONGEST_LABEL
from app.model.schemas import bounded, create_schema, invalid, unknown_members
from app.rules.labels import tidy, tidy_label
from app.rules.merge import Start, same
from app.timestamps import wire_moment

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Edit:
    """What a client submits: values by field, what it started from, and the row's production.

    Values have the form that they have on the wire. ``alternate_values`` holds the other value of
    fields that were sent in both of their spellings. ``match`` holds the entity tags of which the
    row must have one (RFC 9110, If-Match). ``is_form`` says that several values came together, and
    ``updated_at`` is the row's time if it was sent back with them.
    """

    values: Mapping[str, Any]
    actor: Actor = field(default_factory=Actor)
    start: Start = field(default_factory=Start)
    production: str | None = None
    uuid: UUID | None = None
    alternate_values: Mapping[str, Any] = field(default_factory=dict)
    match: bytes = b""
    is_form: bool = False
    updated_at: str | None = None

    @property
    def is_blind(self) -> bool:
        """Whether it says nothing of what it started from."""
        return self.start == Start() and not self.match

    def values_unlike(self, entity: type[Row], *bases: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values, of two spellings the one unlike all bases. Raises Invalid for two."""
        values = dict(self.values)
        for name, other in self.alternate_values.items():
            echoes = [base[name] for base in bases if name in base]
            if any(same(values[name], echo) for echo in echoes):
                values[name] = other
            elif not any(same(other, echo) for echo in [*echoes, values[name]]):
                raise Invalid.at(entity.wire(name), "differs between its two spellings: send one")
        return values


def tidy_values(entity: type[Row], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return an update's values with their texts tidy, as those of a create are.

    An optional text of which nothing is left is no value.
    """
    return {name: _tidy_value(entity, name, value) for name, value in values.items()}


def _tidy_value(entity: type[Row], name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    field = entity.model_fields.get(name)
    is_optional = field is None or type(None) in get_args(field.annotation)
    if len(value) > (LONGEST_LABEL if name == "id" else LONGEST):
        return value  # of an older service: it may stay as it is, and is refused as another
    text = tidy_label(value) if name == "id" else tidy(value)
    return text or (None if is_optional else text)


def validate(schema: type[M], members: Mapping[str, Any]) -> M:
    """Read one of several bodies of a request. Raises Invalid as a body of its own would."""
    try:
        return schema.model_validate(members)
    except ValidationError as error:
        raise invalid(error.errors(include_input=False)) from None


def edit_of(entity: type[Row], body: BaseModel, sender: Sender | None = None) -> Edit:
    """Return the edit that a validated body asks for."""
    members = {name: _plain(getattr(body, name)) for name in _submitted(body)}
    take = members.pop
    person = take("user_id", None), take("user_name", None), take("last_modified_by", None)
    actor = sender.actor(*person) if sender else Actor(*person)
    start = _start(entity, take("version", None), take("field_versions", None))
    uuid, production = take("uuid", None), take("production_id", None)
    values = {name: _on_wire(value) for name, value in members.items()}
    extra = body.model_extra or {}
    moment = extra.get("updatedAt") or extra.get("updated_at")
    return Edit(
        values, actor, start, production, uuid, _alternates(entity, body, values),
        is_form=len(values) > 1, updated_at=moment if isinstance(moment, str) else None,
    )  # fmt: skip


def edit_from(
    entity: type[Row], schema: type[BaseModel], members: Mapping[str, Any], actor: Actor
) -> tuple[Edit, list[str]]:
    """Return one of several edits, by ``actor`` if it names nobody, and what it ignores of it.

    Raises Invalid.
    """
    body = validate(schema, members)
    edit = edit_of(entity, body)
    spellings = {word for word, name in entity.synonyms.items() if name in edit.alternate_values}
    ignored = [name for name in unknown_members(body) if name not in spellings]
    return replace(edit, actor=edit.actor.or_else(actor)), ignored


def creation_from(
    entity: type[Row], production: str, members: Mapping[str, Any], actor: Actor
) -> tuple[Edit, list[str]]:
    """Read a create as ``edit_from`` does; ``productionId`` may be left out."""
    if not {"productionId", "production_id"} & members.keys():
        members = {**members, "productionId": production}
    return edit_from(entity, create_schema(entity), members, actor)


def _submitted(body: BaseModel) -> Iterable[str]:
    """Return the fields that count: all of a create's, and of an update's those that were sent."""
    fields = type(body).model_fields.keys()
    return fields & body.model_fields_set if "version" in fields else fields


def _plain(value: Any) -> Any:
    """Return nested bodies as dictionaries of what was sent."""
    if isinstance(value, BaseModel):
        members = value.model_dump(exclude_unset=True)
        return {name: _on_wire(inner) for name, inner in members.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def _alternates(entity: type[Row], body: BaseModel, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the second value of what was sent in both spellings: a form echoes one. Or Invalid."""
    extra = body.model_extra or {}
    return {
        name: _on_wire(bounded(entity, name, extra[word], word, lenient=True))
        for word, name in entity.synonyms.items()
        if word in extra and name in values
    }


def _start(entity: type[Row], version: int | None, versions: Mapping[str, Any] | None) -> Start:
    """Read what the client started from; it may spell fields in either case."""
    fields, by_field = _fields(entity), {}
    for name, at in (versions or {}).items():
        by_field[fields.get(name) or to_snake(name)] = at if isinstance(at, int) else at.version
    return Start(version, by_field or None)


def _on_wire(value: Any) -> Any:
    if isinstance(value, datetime):
        return wire_moment(value)
    return str(value) if isinstance(value, UUID) else value


@cache
def _fields(entity: type[Row]) -> Mapping[str, str]:
    """Return the fields by what they are called on the wire."""
    return {**entity.synonyms, **{entity.wire(name): name for name in entity.editable()}}

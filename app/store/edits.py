"""Turns a validated request body into what the store writes."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_snake

from app.changelog.log import Actor
from app.errors import Invalid
from app.model.entity import Row
from app.model.schemas import bounded
from app.rules.merge import Start
from app.store.update import Edit
from app.timestamps import wire_moment


def validated(shape: type[BaseModel], members: Mapping[str, Any]) -> BaseModel:
    """Read one of several bodies of a request. Raises Invalid as a body of its own would."""
    try:
        return shape.model_validate(members)
    except ValidationError as wrong:
        raise Invalid(
            [_fault(fault) for fault in wrong.errors(include_input=False)[:100]]
        ) from None


def _fault(fault: Mapping[str, Any]) -> dict[str, str]:
    path = ".".join(map(str, fault["loc"])) or "body"
    return {"path": path, "message": str(fault["msg"]).removeprefix("Value error, ")}


def edit_of(entity: type[Row], body: BaseModel, request_id: str | None = None) -> Edit:
    """Give the values by field, in the form the wire has them, with who edits and from what."""
    said = {name: _plain(getattr(body, name)) for name in _said(body)}
    actor = actor_of(said, request_id)
    start = _start(entity, said.pop("version", None), said.pop("field_versions", None))
    uuid = said.pop("uuid", None)
    production = said.pop("production_id", None)
    values = {name: _on_wire(value) for name, value in said.items()}
    return Edit(values, actor, start, production, uuid, _other_spellings(entity, body, values))


def actor_of(said: dict[str, Any], request_id: str | None) -> Actor:
    """Take who did it out of what a request said."""
    return Actor(
        user_id=said.pop("user_id", None),
        user_name=said.pop("user_name", None),
        modified_by=said.pop("last_modified_by", None),
        request_id=request_id,
    )


def _said(body: BaseModel) -> Iterable[str]:
    """Give the fields to take: an update's absent ones stay untouched, a create's are defaults."""
    fields = type(body).model_fields.keys()
    return fields & body.model_fields_set if "version" in fields else fields


def _plain(value: Any) -> Any:
    """Give nested shapes as dictionaries, of what was sent alone."""
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_unset=True)
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def _other_spellings(
    entity: type[Row], body: BaseModel, values: Mapping[str, Any]
) -> dict[str, Any]:
    """Give the values of members sent in both of their spellings: a form echoes one of them.

    Raises Invalid where the second spelling's value is not valid.
    """
    extra = body.model_extra or {}
    twice = {word: name for word, name in entity.synonyms.items() if word in extra}
    return {
        name: _on_wire(bounded(entity, name, extra[word], word, lenient=True))
        for word, name in twice.items()
        if name in values
    }


def _start(entity: type[Row], version: int | None, versions: Mapping[str, Any] | None) -> Start:
    """Read what the client started from; it may spell fields and members in either case."""
    seen = {
        _field_named(entity, name): said if isinstance(said, int) else said.version
        for name, said in (versions or {}).items()
    }
    return Start(version, seen or None)


def _field_named(entity: type[Row], name: str) -> str:
    return _by_wire(entity).get(name) or entity.synonyms.get(name) or to_snake(name)


def _on_wire(value: Any) -> Any:
    if isinstance(value, datetime):
        return wire_moment(value)
    return str(value) if isinstance(value, UUID) else value


@cache
def _by_wire(entity: type[Row]) -> Mapping[str, str]:
    return {entity.wire(field): field for field in entity.editable()}

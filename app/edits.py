"""Turns a validated request body into what the store writes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from pydantic.alias_generators import to_snake

from app.changes import Actor
from app.entity import Row
from app.fields import wire_moment
from app.merge import Start
from app.store import Edit


def edit_of(entity: type[Row], body: BaseModel, request_id: str | None = None) -> Edit:
    """Give the values by field, in the form the wire has them, with who edits and from what."""
    ignored = body.model_extra or {}
    said = {k: v for k, v in body.model_dump(exclude_unset=True).items() if k not in ignored}
    said |= _defaults(body)
    actor = actor_of(said, request_id)
    start = _start(entity, said.pop("version", None), said.pop("field_versions", None))
    uuid = said.pop("uuid", None)
    production = said.pop("production_id", None)
    values = {name: _on_wire(value) for name, value in said.items()}
    return Edit(values, actor, start, production, uuid)


def actor_of(said: dict[str, Any], request_id: str | None) -> Actor:
    """Take who did it out of what a request said."""
    return Actor(
        user_id=said.pop("user_id", None),
        user_name=said.pop("user_name", None),
        modified_by=said.pop("last_modified_by", None),
        request_id=request_id,
    )


def _defaults(body: BaseModel) -> dict[str, Any]:
    """Give what a create leaves out; an update's absent members stay untouched."""
    if "version" in type(body).model_fields:
        return {}
    unset = type(body).model_fields.keys() - body.model_fields_set
    return {name: getattr(body, name) for name in unset}


def _start(entity: type[Row], version: int | None, versions: Mapping[str, Any] | None) -> Start:
    """Read what the client started from; it may spell fields and members in either case."""
    seen = {
        _field_named(entity, name): said if isinstance(said, int) else said["version"]
        for name, said in (versions or {}).items()
    }
    return Start(version, seen or None)


def _field_named(entity: type[Row], name: str) -> str:
    by_wire = {entity.wire(field): field for field in entity.editable()}
    return by_wire.get(name) or entity.synonyms.get(name) or to_snake(name)


def _on_wire(value: Any) -> Any:
    if isinstance(value, datetime):
        return wire_moment(value)
    return str(value) if isinstance(value, UUID) else value

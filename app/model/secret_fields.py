"""What is kept from view of a row that has secrets: who may edit it sees them, and nobody else.

The answers to a request for the row itself hold them. The change log, pushed messages, offline
work, exports and errors hold what the functions of this module return. For a type without secrets
all of them return what they were handed. docs/decisions/0039-secrets-of-a-show.md says why.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, create_model
from pydantic_core import from_json, to_json

from app.model.entity import Row
from app.model.schemas import read_schema

Members = Mapping[str, Any]


@cache
def secret_members(entity: type[Row]) -> frozenset[str]:
    """Return the wire names of a type's secrets."""
    return frozenset(map(entity.wire, entity.secrets))


def public(entity: type[Row], members: Members) -> Members:
    """Return a row without its secrets."""
    names = secret_members(entity)
    return {n: value for n, value in members.items() if n not in names} if names else members


def public_json(entity: type[Row], body: bytes) -> bytes:
    """Return a row, or a list of rows, without their secrets, as JSON."""
    if not entity.secrets:
        return body
    content = from_json(body)
    is_list = isinstance(content, list)
    return to_json([public(entity, row) for row in content] if is_list else public(entity, content))


def logged_changes(entity: type[Row], changes: Members) -> dict[str, Sequence[Any]]:
    """Return ``[before, after]`` by wire name as the log has it: of a secret an empty list.

    So the log says that a secret has changed, and no reader can take a value out of it, not even
    null.
    """
    return {
        entity.wire(name): [] if name in entity.secrets else pair for name, pair in changes.items()
    }


@cache
def public_schema(entity: type[Row]) -> type[BaseModel]:
    """Return the model of a row without its secrets."""
    whole = read_schema(entity)
    if not entity.secrets:
        return whole
    fields: dict[str, Any] = {
        name: (
            Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation,
            ...,
        )
        for name, field in whole.model_fields.items()
        if name not in secret_members(entity)
    }
    return create_model(
        f"{entity.__name__}Public", __config__=whole.model_config, __doc__=entity.__doc__, **fields
    )

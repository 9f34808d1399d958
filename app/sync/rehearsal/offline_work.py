"""What the client of a sync round trip does offline: made from the declarations, for every type."""

from collections.abc import Mapping
from typing import Any, Final, Literal, get_args, get_origin
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlmodel import SQLModel

from app.entities import discovered, root
from app.model.entity import Row, label_field
from app.model.schemas import create_schema

Mutation = dict[str, Any]
BEFORE: Final = "before"
"""The value of the client's texts before others change them."""


def texts(entity: type[Row]) -> list[str]:
    """Return the fields that hold free text, those first that may hold nothing."""
    columns = SQLModel.metadata.tables[str(entity.__tablename__)].columns
    fields = create_schema(entity).model_fields
    others = {"id", *entity.unique, *_naming(entity)}
    free = [
        name
        for name in entity.editable()
        if name not in others
        and isinstance(columns[name].type, sa.Text)
        and not _is_choice(fields[name].annotation)
    ]
    return sorted(free, key=lambda name: not columns[name].nullable)


def _is_choice(annotation: Any) -> bool:
    """Return whether a field takes some words only."""
    return get_origin(annotation) is Literal or any(map(_is_choice, get_args(annotation)))


def _naming(entity: type[Row]) -> set[str]:
    """Return the fields that name another row."""
    ends = {
        member for end in entity.device_references for member in (end.kind, end.label, end.uuid)
    }
    references = entity.references()
    labels = {label_field(name) for name in (*references, *entity.part_references)}
    return {*references, *labels, *entity.part_references, *ends}


def show() -> list[Mutation]:
    """Return creates of a row of every type in a production, those that others refer to first."""
    uuids: dict[str, str] = {}
    kinds = [kind for kind in discovered().values() if kind is not root()]
    kinds.sort(key=lambda kind: bool(kind.references() or kind.device_references))
    return [_create(kind, uuids) for kind in kinds]


def _create(entity: type[Row], uuids: dict[str, str]) -> Mutation:
    """Return the create of a row that refers to those in ``uuids``, by collection; add its own."""
    linked = {name: uuids.get(to.collection) for name, to in entity.references().items()}
    linked |= {end.uuid: uuids.get(end.likely) for end in entity.device_references}
    kinds = {entity.wire(end.kind) for end in entity.device_references}
    names = {entity.wire(name) for name in _naming(entity)} - kinds
    values = {member: value for member, value in body(entity).items() if member not in names}
    values |= {entity.wire(name): uuid for name, uuid in linked.items()}
    uuid = uuids.setdefault(entity.collection, str(uuid4()))
    return _mutation("create", entity, uuid, data=values)


def body(entity: type[Row]) -> dict[str, Any]:
    """Return the body of a create: the example, and a text in every other required field."""
    fields = create_schema(entity).model_fields.items()
    needed = {entity.wire(name) for name, field in fields if field.is_required()}
    free = {entity.wire(name): BEFORE for name in texts(entity)[:2]}
    return dict.fromkeys(needed - {"productionId"}, "Rehearsed") | {**entity.example} | free


def another(creation: Mutation) -> Mutation:
    """Return the create of one more row like it."""
    return {**creation, "mutationId": str(uuid4()), "uuid": str(uuid4())}


def changing(entity: type[Row], uuid: UUID, version: int, members: Mapping[str, Any]) -> Mutation:
    """Return the update of a row that the client knows at a version."""
    values = {entity.wire(name): value for name, value in members.items()}
    return _mutation("update", entity, str(uuid), data=values, version=version)


def deleting(creation: Mutation, version: int) -> Mutation:
    """Return the delete of a row that the client knows at a version."""
    return {
        "mutationId": str(uuid4()), "op": "delete", "collection": creation["collection"],
        "uuid": creation["uuid"], "version": version,
    }  # fmt: skip


def _mutation(op: str, entity: type[Row], uuid: str, **members: Any) -> Mutation:
    return {
        "mutationId": str(uuid4()), "op": op, "collection": entity.collection, "uuid": uuid,
        **members,
    }  # fmt: skip

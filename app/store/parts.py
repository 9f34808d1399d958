"""Lists that belong to an entity and have a table of their own, such as a source's outputs."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from pydantic.alias_generators import to_camel, to_snake
from pydantic_core import to_json
from uuid_utils.compat import uuid7

from app.database.database import DatabaseConnection
from app.errors import Invalid
from app.model.entity import PartList, Row
from app.model.schemas import part_shape
from app.rules import labels
from app.sql.reads import part_owners
from app.store.part_order import Element, assign_numbers, sort_key


def prepare(
    entity: type[Row], values: dict[str, Any], current: Mapping[str, Any], was: Mapping[str, Any]
) -> dict[str, Any]:
    """Take the lists out of ``values`` and give them complete, as the wire will show them.

    An element keeps its identity by ``uuid``, else by ``id``, among those stored now and those
    that the client saw; one with neither is new and gets both. Raises Invalid where two elements
    claim the same uuid.
    """
    label = values.get("id") or current.get("id") or ""
    return {
        name: _complete(
            name, declared, values.pop(name) or [], current.get(name) or [], was.get(name) or [],
            label,
        )
        for name, declared in entity.parts.items()
        if name in values
    }  # fmt: skip


def _complete(
    name: str,
    declared: PartList,
    submitted: list[Element],
    now: list[Element],
    was: list[Element],
    label: str,
) -> list[Element]:
    stored = [*now, *was]
    by_id = {element["id"]: element["uuid"] for element in stored}
    ids = {element["uuid"]: element["id"] for element in stored}
    taken = {e["id"] for e in [*stored, *submitted] if e.get("id")}
    elements = []
    for element in submitted:
        made = {**_defaults(declared), **{to_camel(k): v for k, v in element.items()}}
        known = ids.get(str(made["uuid"]))
        made["id"] = made["id"] or known or _next_id(f"{label}-{declared.label}", taken)
        made["uuid"] = str(made["uuid"] or by_id.get(made["id"]) or uuid7())
        elements.append(made)
    _refuse_twice(name, elements)
    assign_numbers(to_camel(declared.order), elements, now, was)
    return sorted(elements, key=sort_key(declared))


def _defaults(declared: PartList) -> Element:
    """Give what an element that says nothing has, save for its number."""
    fields = {to_camel(k): f.default for k, f in part_shape(declared).model_fields.items()}
    return {k: value for k, value in fields.items() if k != to_camel(declared.order)}


def _next_id(prefix: str, taken: set[str]) -> str:
    free = labels.next_free(prefix, taken).replace(f"{prefix} ", prefix)
    taken.add(free)
    return free


def _refuse_twice(name: str, elements: Iterable[Element]) -> None:
    seen: set[tuple[str, str]] = set()
    for index, element in enumerate(elements):
        for word in ("uuid", "id"):
            if (word, element[word]) in seen:
                raise Invalid.at(f"{name}.{index}.{word}", f"two elements have the same {word}")
            seen.add((word, element[word]))


async def forget_foreign(
    connection: DatabaseConnection, entity: type[Row], values: dict[str, Any]
) -> None:
    """Take from a new entity's elements the uuids that are other rows' already: it is a copy."""
    for name, declared in entity.parts.items():
        elements = values.get(name) or []
        uuids = [element["uuid"] for element in elements if element.get("uuid")]
        if not uuids:
            continue
        taken = {row["uuid"] for row in await connection.fetch(part_owners(declared), uuids)}
        values[name] = [
            {**element, "uuid": None} if element.get("uuid") in taken else element
            for element in elements
        ]


def rows(entity: type[Row], name: str, owner: UUID, elements: list[Element]) -> bytes:
    """Give a list's elements as a JSON array of rows, for the statement that replaces the list."""
    owned = {entity.parts[name].owner: owner}
    return to_json([{**{to_snake(k): value for k, value in e.items()}, **owned} for e in elements])

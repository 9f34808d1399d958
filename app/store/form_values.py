"""What a client's form means beside the stored row: fields and wire names, echoes, bounds. Pure."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from app.errors import Invalid
from app.model.entity import Row
from app.model.schemas import bounded, label_field
from app.rules.merge import same


def by_field(entity: type[Row], row: Mapping[str, Any]) -> dict[str, Any]:
    """Give an answer's values by field name, the labels of references included."""
    return {name: row.get(wire) for name, wire in _members(entity)}


@cache
def _members(entity: type[Row]) -> tuple[tuple[str, str], ...]:
    names = [*entity.editable(), *entity.parts, *map(label_field, entity.references())]
    return tuple((name, entity.wire(name)) for name in names)


def on_wire(entity: type[Row], values: Mapping[str, Any]) -> dict[str, Any]:
    """Give values by wire name."""
    return {entity.wire(name): value for name, value in values.items()}


def one_spelling(
    entity: type[Row], current: Mapping[str, Any], sent: Mapping[str, Any], twice: Mapping[str, Any]
) -> dict[str, Any]:
    """Of two spellings of a field, take the one that does not repeat what is stored."""
    values = dict(sent)
    for name, other in twice.items():
        if same(values[name], current.get(name)):
            values[name] = other
        elif not same(other, current.get(name)) and not same(other, values[name]):
            raise Invalid.at(entity.wire(name), "differs between its two spellings: send one")
    return values


def refuse_unbounded(entity: type[Row], wanted: Mapping[str, Any]) -> None:
    """Raise Invalid where what is to be written exceeds the declaration's bounds."""
    for name, value in wanted.items():
        if name not in entity.parts:
            bounded(entity, name, value, entity.wire(name))

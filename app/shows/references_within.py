"""Which rows a show's document has, and what in it leads out of it. Pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from pydantic.alias_generators import to_camel

from app.entities import root
from app.model.entity import Row, label_field
from app.model.schemas import known_uuid
from app.rules.labels import folded
from app.sql.show_reads import members
from app.store.references import device_type

Document = Mapping[str, Any]


def lists_of() -> Mapping[str, type[Row]]:
    """Return the entity types within a show by the names of their arrays."""
    return {name: kind for name, kind in members().items() if kind is not root()}


def own_uuids(document: Document) -> set[UUID]:
    """Return the uuids that the rows of a document, and the parts in their lists, bear."""
    uuids = {_uuid_of(document["production"])}
    for name, kind in lists_of().items():
        for row in filter(_is_object, document.get(name, [])):
            lists = [row.get(part) for part in kind.parts]
            parts = [each for part in lists if isinstance(part, list) for each in part]
            uuids |= {_uuid_of(each) for each in (row, *parts)}
    return {uuid for uuid in uuids if uuid}


def repeated_keys(document: Document) -> Iterator[str]:
    """Yield the paths of the rows that have the uuid of an earlier one."""
    uuids = set[UUID]()
    for name in lists_of():
        for index, row in enumerate(document.get(name, [])):
            if uuid := _uuid_of(row):
                if uuid in uuids:
                    yield f"{name}.{index}.uuid"
                uuids.add(uuid)


def self_contained(document: Document) -> tuple[dict[str, Any], list[str]]:
    """Return a document in which nothing leads out of it, and the paths of what was emptied.

    A live show may hold such ends, since a deleted source stays named; and two of its devices may
    bear one label for a while. The later of two gets another one.
    """
    own = own_uuids(document)
    closed, paths = dict(document), list[str]()
    for name, kind in lists_of().items():
        if name not in document:
            continue
        rows = list(document[name])
        for index, row in enumerate(rows):
            if lost := _lost_members(kind, row, own):
                rows[index] = {**row, **dict.fromkeys(lost)}
                paths += [f"{name}.{index}.{member}" for member in sorted(lost) if row.get(member)]
            for member, place, lost_part in _lost_ends(kind, rows[index], own):
                rows[index] = _without(rows[index], member, place, lost_part)
                paths += [f"{name}.{index}.{member}.{place}.{end}" for end in lost_part]
        for index in _repeated_labels(kind, rows):
            rows[index] = {**rows[index], "id": None}
            paths.append(f"{name}.{index}.id")
        closed[name] = rows
    return closed, paths


def _is_object(row: Any) -> bool:
    return isinstance(row, dict)


def _uuid_of(row: Any) -> UUID | None:
    uuid = row.get("uuid") if isinstance(row, dict) else None
    return known_uuid(uuid) if isinstance(uuid, str) else None


def _lost_members(kind: type[Row], row: Any, own: Collection[UUID]) -> set[str]:
    """Return the members of a row that name what is not in the document.

    A label alone counts if the export says that it led to no row: a typing mistake is refused.
    """
    if not _is_object(row):
        return set()
    ends = {**{uuid: label_field(uuid) for uuid in kind.references()}, **kind.ends()}
    lost: set[str] = set()
    for uuid, label in ends.items():
        value = row.get(kind.wire(uuid))
        if isinstance(value, str) and value and known_uuid(value) not in own:
            lost |= {kind.wire(uuid), kind.wire(label), to_camel(label)}
    for device in kind.device_references:
        word = row.get(kind.wire(device.kind))
        end = to_camel(device.label.removesuffix("_id"))
        of_ours = isinstance(word, str) and device_type(word) is not None
        if of_ours and end in (row.get("unresolved") or ()):
            lost.add(kind.wire(device.label))
    return lost & {*row, *(kind.wire(name) for name in ends)}


def _lost_ends(
    kind: type[Row], row: Any, own: Collection[UUID]
) -> Iterator[tuple[str, int, list[str]]]:
    """Yield the places in lists of cables whose members name what is not in the document."""
    for name, parts in kind.parts.items():
        elements = row.get(name) if parts.is_path and _is_object(row) else None
        members = [to_camel(column) for column in parts.columns() if column.endswith("_uuid")]
        for place, element in enumerate(elements if isinstance(elements, list) else ()):
            lost = [
                member for member in members
                if _is_object(element) and isinstance(element.get(member), str)
                and element[member] and known_uuid(element[member]) not in own
            ]  # fmt: skip
            if lost:
                yield name, place, lost


def _without(row: Any, member: str, place: int, lost: Sequence[str]) -> dict[str, Any]:
    elements = list(row[member])
    elements[place] = {**elements[place], **dict.fromkeys(lost)}
    if "snakeUuid" in lost:
        elements[place]["channel"] = None
    return {**row, member: elements}


def _repeated_labels(kind: type[Row], rows: Sequence[Any]) -> Iterator[int]:
    """Yield which rows have the label of an earlier one, where a create refuses that."""
    labels: set[str] = set()
    for index, row in enumerate(rows):
        label = row.get("id") if _is_object(row) else None
        if not isinstance(label, str) or kind.allow_duplicate_labels:
            continue
        if folded(label) in labels:
            yield index
        labels.add(folded(label))

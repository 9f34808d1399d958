"""Lists that belong to an entity and have a table of their own, such as a source's outputs.

Their order is by number, and of one number by uuid. The API, the log and the next edit all use it.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from typing import Any
from uuid import UUID

from pydantic.alias_generators import to_camel, to_snake
from pydantic_core import to_json
from uuid_utils.compat import uuid7

from app.database.database import DatabaseConnection
from app.errors import Invalid
from app.model.entity import PartList, Row
from app.model.schemas import part_schema
from app.rules import labels
from app.rules.merge import same
from app.sql.reads import statements

Element = dict[str, Any]
Values = Mapping[str, Any]


def complete(
    entity: type[Row], values: dict[str, Any], stored: Values, started: Values
) -> dict[str, Any]:
    """Take the lists out of ``values`` and return them complete, as the wire will show them.

    An element keeps its identity by ``uuid``, else by ``id``, among those in ``stored`` and those
    that the client saw (``started``). One with neither is new and gets both. Raises Invalid where
    two elements claim the same uuid.
    """
    label = values.get("id") or stored.get("id") or ""
    lists = {name: values.pop(name) or [] for name in entity.parts if name in values}
    return {
        name: _complete_list(
            name, entity.parts[name], elements, stored.get(name) or [], started.get(name) or [],
            label,
        )
        for name, elements in lists.items()
    }  # fmt: skip


def _complete_list(
    name: str, parts: PartList, submitted: list[Element], stored: list[Element],
    started: list[Element], label: str,
) -> list[Element]:  # fmt: skip
    before = [*stored, *started]
    uuids = {element["id"]: element["uuid"] for element in before}
    ids = {element["uuid"]: element["id"] for element in before}
    used = {e["id"] for e in [*before, *submitted] if e.get("id")}
    fields = {to_camel(k): f.default for k, f in part_schema(parts).model_fields.items()}
    ids_to_give = _free_ids(f"{label}-{parts.label}", used)
    defaults = {k: value for k, value in fields.items() if k != to_camel(parts.order)}
    elements = []
    for values in submitted:
        element = defaults | {to_camel(k): v for k, v in values.items()}
        own_id = element["id"] or ids.get(str(element["uuid"]))
        element["id"] = own_id or next(ids_to_give)
        element["uuid"] = str(element["uuid"] or uuids.get(element["id"]) or uuid7())
        elements.append(element)
    _refuse_duplicates(name, elements)
    _assign_numbers(to_camel(parts.order), elements, stored, started)
    return sorted(elements, key=_sort_key(parts))


def relabelled(
    entity: type[Row], values: Values, before: str | None, after: str | None
) -> dict[str, Any]:
    """Return the lists among ``values``, the ids that their row's label gave following that label.

    "SRC 8-OUT1" becomes "SRC 7-OUT1". What a person typed stays.
    """
    lists = {name: values[name] or [] for name in entity.parts if name in values}
    if before is None or after is None or before == after:
        return lists
    return {
        name: _with_new_ids(elements, f"{before}-{entity.parts[name].label}",
                            f"{after}-{entity.parts[name].label}")
        for name, elements in lists.items()
    }  # fmt: skip


def other_labels(entity: type[Row], values: Values, stored: Values) -> list[str]:
    """Return the labels, other than the row's, that ids sent for its elements may come from."""
    labels_of_others = set()
    for name, parts in entity.parts.items():
        ids = {element["id"] for element in stored.get(name) or []}
        new = {element.get("id") or "" for element in values.get(name) or []} - ids
        matches = (re.fullmatch(rf"(.+)-{parts.label}([0-9]+)", label) for label in new)
        own = f"{stored['id']}-{parts.label}"
        labels_of_others |= {match[1] for match in matches if match and f"{own}{match[2]}" in ids}
    return sorted(labels_of_others)


def _with_new_ids(elements: list[Element], before: str, after: str) -> list[Element]:
    own = [_number_after(before, element.get("id")) for element in elements]
    used = {e["id"] for e, number in zip(elements, own, strict=True) if e.get("id") and not number}
    renamed, free = [], _free_ids(after, used)
    for element, number in zip(elements, own, strict=True):
        new = f"{after}{number}"
        if number and new in used:
            new = next(free)
        renamed.append({**element, "id": new} if number else element)
    return renamed


def _number_after(prefix: str, label: str | None) -> str | None:
    """Return the number of a label that the server assigned under a prefix."""
    match = re.fullmatch(rf"{re.escape(prefix)}([0-9]+)", label or "")
    return match and match[1]


def _free_ids(prefix: str, used: set[str]) -> Iterator[str]:
    """Yield ids that count on; each is in use from then on."""
    for label in labels.free_labels(prefix, used):
        free = label.replace(f"{prefix} ", prefix)
        used.add(free)
        yield free


def _refuse_duplicates(name: str, elements: Iterable[Element]) -> None:
    values: set[tuple[str, str]] = set()
    for index, element in enumerate(elements):
        for word in ("uuid", "id"):
            if (word, element[word]) in values:
                raise Invalid.at(f"{name}.{index}.{word}", f"two elements have the same {word}")
            values.add((word, element[word]))


def _assign_numbers(
    order: str, elements: Iterable[Element], stored: list[Element], started: list[Element]
) -> None:
    """Assign their position as number, past the numbers of what others have added meanwhile."""
    started_uuids = {element["uuid"] for element in started}
    added = {e["uuid"]: e[order] for e in stored if e["uuid"] not in started_uuids}
    used = {e[order] for e in elements if order in e} | {*added.values()}
    for index, element in enumerate(elements, 1):
        if order not in element:
            free = next(number for number in count(index) if number not in used)
            element[order] = added.get(element["uuid"], free)
            used.add(element[order])


def _sort_key(parts: PartList) -> Callable[[Element], tuple[Any, str]]:
    """Return what elements are sorted by, as ``app.sql.projection`` does."""
    order = to_camel(parts.order)
    return lambda element: (element[order], element["uuid"])


def in_order(entity: type[Row], values: Values, stored: Values) -> dict[str, Any]:
    """Return ``values`` with lists in order, which a merge does not keep, without the unchanged."""
    lists = {n: sorted(values[n], key=_sort_key(p)) for n, p in entity.parts.items() if n in values}
    same_lists = {name for name, elements in lists.items() if same(elements, stored.get(name))}
    return {n: value for n, value in {**values, **lists}.items() if n not in same_lists}


async def forget_foreign_uuids(
    connection: DatabaseConnection, entity: type[Row], values: dict[str, Any]
) -> None:
    """Take uuids that other rows' parts have from the elements of a new row: it is a copy.

    With them go the ids that the other row's label gave.
    """
    for name, sql in statements(entity).existing_parts.items():
        elements = values.get(name) or []
        uuids = [element["uuid"] for element in elements if element.get("uuid")]
        if not uuids:
            continue
        owners = {str(row["uuid"]): row["owner"] for row in await connection.fetch(sql, uuids)}
        copied = {owners[e["uuid"]] for e in elements if e.get("uuid") in owners}
        values[name] = [
            {**element, "uuid": None} if element.get("uuid") in owners else element
            for element in elements
        ]
        for owner in copied:
            values |= relabelled(entity, {name: values[name]}, owner, values["id"])


def rows(entity: type[Row], owner: UUID, values: Values) -> Iterator[bytes]:
    """Return each list as a JSON array of rows, for the statement that replaces the lists."""
    for name, parts in entity.parts.items():
        columns = [{to_snake(k): v for k, v in e.items()} for e in values.get(name) or []]
        yield to_json([{**row, parts.owner: owner} for row in columns])

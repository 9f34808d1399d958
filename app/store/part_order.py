"""The order of lists that have a table of their own: by number, and of one number by uuid.

Both are what everybody is shown, so that an answer, the log and the next edit of it agree.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Any

from pydantic.alias_generators import to_camel

from app.model.entity import PartList, Row
from app.rules.merge import same

Element = dict[str, Any]


def sorted_parts(
    entity: type[Row], wanted: Mapping[str, Any], current: Mapping[str, Any]
) -> dict[str, Any]:
    """Give ``wanted`` with its lists in the order in which they will be shown, as a merge does not
    leave them; without those that are then as they are stored.
    """
    lists = {n: sorted(wanted[n], key=sort_key(p)) for n, p in entity.parts.items() if n in wanted}
    kept = {n: value for n, value in lists.items() if not same(value, current.get(n))}
    return {n: value for n, value in {**wanted, **lists}.items() if n not in lists or n in kept}


def sort_key(declared: PartList) -> Callable[[Element], tuple[Any, str]]:
    """Give what elements are sorted by, as ``app.sql.projection`` does."""
    order = to_camel(declared.order)
    return lambda element: (element[order], element["uuid"])


def assign_numbers(
    order: str, elements: Iterable[Element], now: list[Element], was: list[Element]
) -> None:
    """Number the elements that say nothing of it: each by its place in the list.

    What others have added meanwhile keeps its number, and nobody else gets it.
    """
    seen = {element["uuid"] for element in was}
    added = {e["uuid"]: e[order] for e in now if e["uuid"] not in seen}
    used = {e[order] for e in elements if order in e} | {*added.values()}
    for index, element in enumerate(elements, 1):
        if order not in element:
            free = next(n for n in count(index) if n not in used)
            element[order] = added.get(element["uuid"], free)
            used.add(element[order])

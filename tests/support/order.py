"""The order of the tests: what takes long comes first, so that no worker ends long after another.

With worksteal the first worker begins at the top, where the templates are built, and who has
nothing left takes over from the end of another's list.
"""

import gc
from typing import Final

import pytest

# What a test asks for says how long it takes: a run of the gate, or a database of its own.
_LONG: Final = ("whole_template", "adopted_template", "empty_database", "own_database")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_place)


def pytest_collection_finish() -> None:
    # What was collected lives to the end: looking at it again and again costs a tenth of the time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _place(item: pytest.Item) -> tuple[int, int]:
    asked = set(getattr(item, "fixturenames", ()))
    place = next((n for n, name in enumerate(_LONG) if name in asked), len(_LONG))
    return (0 if item.get_closest_marker("slow") else 1, place)

"""The rooms: how many, how full, how deep, and which way the imports between them point."""

from collections import Counter
from functools import cache

import pytest

from app.settings import PROJECT
from scripts.rooms_picture import Graph, imports, main, rooms
from tests.structure.test_house import MODULES

APP = PROJECT / "app"
FOLDERS = sorted(
    ".".join(door.parent.relative_to(PROJECT).parts)
    for door in APP.rglob("__init__.py")
    if door.parent != APP
)


def modules_in(folder: str) -> list[str]:
    return sorted(p.stem for p in (PROJECT / folder).glob("*.py") if p.stem != "__init__")


def test_few_modules_stand_beside_the_rooms() -> None:
    assert len(modules_in("app")) <= 14
    assert len(modules_in("app/releases")) <= 4


def test_no_folder_is_full() -> None:
    """The entity types are one file each, alike, and nobody reads them as a whole."""
    modules = (path for path in MODULES if path.parent != APP / "entities")
    folders = Counter(path.parent for path in modules if path.stem != "__init__")
    assert not {str(folder): count for folder, count in folders.items() if count > 18}


def test_a_room_says_at_its_door_what_it_is() -> None:
    doors = {p: p.read_text().strip() for p in APP.rglob("__init__.py")}
    assert not [str(path) for path, text in doors.items() if len(text) < 60]
    assert not [str(path) for path, text in doors.items() if len(text.splitlines()) > 40]


@cache
def graph() -> Graph:
    return imports()


def test_imports_between_rooms_point_one_way() -> None:
    """Drawing them raises CycleError for rooms that import each other."""
    assert main(["--check"]) == 0


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_room_has_at_most_six_floors(folder: str) -> None:
    """A floor imports only what is below it. A room inside a room counts as one of its modules."""
    inside = rooms(graph(), folder)
    depth: dict[str, int] = {}

    def floor(module: str) -> int:
        if module not in depth:
            depth[module] = 1 + max(map(floor, inside[module]), default=0)
        return depth[module]

    tallest = max(map(floor, inside), default=0)
    assert tallest <= 6, depth

"""A show goes out as a file and comes in again: the same, or beside itself with new keys."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from app.cli.load_show import SAMPLE, load, opened, read
from app.cli.startup import BadShow
from app.entities import discovered
from app.shows.copying import with_new_uuids
from app.shows.show_document import export
from tests.support.databases import Server
from tests.support.service import settings

UUID: Final = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# What the service counts itself, and what a show and a copy of it differ in by their names.
COUNTED: Final = {"version", "createdAt", "updatedAt", "created_at", "updated_at", "lastModifiedBy"}


def quiet(_: str) -> None:
    """Say nothing."""


def contents(exported: str, label: str) -> Any:
    """Return what a show holds, its uuids numbered as they come, its label left out."""
    numbers: dict[str, str] = {}
    numbered = UUID.sub(lambda m: numbers.setdefault(m[0], f"#{len(numbers)}"), exported)

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: plain(each) for name, each in value.items() if name not in COUNTED}
        if isinstance(value, list):
            return [plain(each) for each in value]
        return "the show" if value == label else value

    return plain(json.loads(numbered))


async def test_a_copy_holds_what_the_show_holds(own_database: str) -> None:
    async with opened(settings(), own_database) as database:
        first = await load(database, read(SAMPLE), quiet)
        exported = (await export(database, first)).decode()
        second = await load(database, with_new_uuids(json.loads(exported)), quiet)
        again = (await export(database, second)).decode()
    assert first != second
    assert set(UUID.findall(exported)).isdisjoint(UUID.findall(again))
    assert contents(again, second) == contents(exported, first)
    assert len(json.loads(exported)) == len(discovered()) + 1, "every collection, and the format"


@pytest.fixture
def other_database(postgres_server: Server, template: str) -> Iterator[str]:
    with postgres_server.lent(template) as url:
        yield url


async def test_it_comes_in_elsewhere_with_the_same_keys(
    own_database: str, other_database: str
) -> None:
    async with opened(settings(), own_database) as database:
        exported = (await export(database, await load(database, read(SAMPLE), quiet))).decode()
    async with opened(settings(), other_database) as database:
        label = await load(database, json.loads(exported), quiet)
        there = (await export(database, label)).decode()
    assert contents(there, label) == contents(exported, label)
    assert set(UUID.findall(there)) == set(UUID.findall(exported))


async def test_a_show_that_is_here_already_is_refused_and_says_how(own_database: str) -> None:
    async with opened(settings(), own_database) as database:
        exported = json.loads(await export(database, await load(database, read(SAMPLE), quiet)))
        with pytest.raises(BadShow, match="--as-copy"):
            await load(database, exported, quiet)
        del exported["production"]["id"]
        uuid = exported["production"]["uuid"]
        with pytest.raises(BadShow, match=f"The uuid {uuid} is already .* productions.*--as-copy"):
            await load(database, exported, quiet)


def test_a_reference_in_other_letters_follows_its_row() -> None:
    uuid = "01A21ED6-AE53-7750-823C-57623E25BAE5"
    show = {"production": {"id": "SHOW 1"}, "ccus": [{"uuid": uuid}],
            "cameras": [{"ccuUuid": uuid.lower(), "note": f"not {uuid}"}]}  # fmt: skip
    copied = with_new_uuids(show)
    assert copied["cameras"][0]["ccuUuid"] == copied["ccus"][0]["uuid"] != uuid
    assert copied["cameras"][0]["note"] == f"not {uuid}"
    assert copied["production"] == {}


def test_a_file_of_another_format_is_refused_by_its_number(tmp_path: Path) -> None:
    file = tmp_path / "show.json"
    file.write_text('{"format": 2, "production": {}}')
    with pytest.raises(BadShow, match="is of format 2, and this version reads 1"):
        read(file)

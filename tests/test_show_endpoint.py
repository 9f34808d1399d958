"""A whole show in one answer: the same bytes as its lists, all of one moment."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from app.database.database import Database
from app.database.url import DatabaseUrl
from app.entities import discovered, root
from app.model.entity import Row
from app.model.schemas import read_schema
from app.settings import PROJECT
from app.sql.show_reads import SHOW_BY_UUID, members
from app.store import read as reading
from tests.legacy import connected
from tests.support.bodies import SCOPED, SCOPED_REPRESENTATIVES, full, minimal, named
from tests.support.service import created, settings

scoped = pytest.mark.parametrize("entity", SCOPED_REPRESENTATIVES, ids=named)
Make = Callable[..., dict[str, Any]]


def path(production: str) -> str:
    return f"/api/productions/{production}/show"


def test_it_holds_the_production_and_every_collection() -> None:
    assert list(members())[:3] == ["production", "cableSnakes", "camSwitchers"]
    assert set(members().values()) == set(discovered().values())


@pytest.mark.parametrize("key", ["uuid", "id"])
@pytest.mark.parametrize("rows", [0, 1, 3])
def test_its_bytes_are_those_of_the_lists(
    client: httpx.Client, make: Make, production: dict[str, Any], key: str, rows: int
) -> None:
    for entity in SCOPED:
        for _ in range(rows):
            make(entity.collection, **full(entity))
    plain = {"accept-encoding": "identity"}
    whole = client.get(path(production[key]), headers=plain).raise_for_status()
    expected = b",".join(
        _member(client, name, kind, production) for name, kind in members().items()
    )
    assert whole.content == b"{" + expected + b"}"
    assert int(whole.headers["content-length"]) == len(whole.content)
    assert whole.headers["content-type"] == "application/json"


RARE = [entity for entity in SCOPED if entity.is_rare]


@pytest.mark.parametrize("entity", RARE, ids=named)
@pytest.mark.parametrize("key", ["uuid", "id"])
def test_the_first_row_of_a_rare_type_is_in_the_next_answer(
    client: httpx.Client, make: Make, production: dict[str, Any], entity: type[Row], key: str
) -> None:
    """A show without such rows is read by a shorter statement."""
    name = next(name for name, kind in members().items() if kind is entity)

    def shown() -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = client.get(path(production[key])).json()[name]
        return rows

    assert shown() == []
    row = make(entity.collection, **minimal(entity))
    assert shown() == [row]
    client.delete(f"/api/{entity.collection}/{row['uuid']}").raise_for_status()
    assert shown() == []


def _member(client: httpx.Client, name: str, kind: type[Row], production: dict[str, Any]) -> bytes:
    listed = f"/api/{kind.collection}/production/{production['uuid']}"
    one = f"/api/{kind.collection}/{production['uuid']}"
    answer = client.get(one if kind is root() else listed).raise_for_status()
    return f'"{name}":'.encode() + answer.content


@scoped
def test_each_row_has_the_documented_shape(
    client: httpx.Client, make: Make, production: dict[str, Any], entity: type[Row]
) -> None:
    make(entity.collection, **full(entity))
    document = client.get("/openapi.json").json()
    told = document["paths"]["/api/productions/{production}/show"]["get"]["responses"]["200"]
    assert told["content"]["application/json"]["schema"]["$ref"].endswith("/Show")
    shape = document["components"]["schemas"]["Show"]
    assert list(shape["properties"]) == list(members())
    assert shape["required"] == ["production"], "the others may be left out"
    name = next(name for name, kind in members().items() if kind is entity)
    for row in client.get(path(production["uuid"])).json()[name]:
        read_schema(entity).model_validate(row)


@scoped
def test_what_is_deleted_is_not_in_it(
    client: httpx.Client, make: Make, production: dict[str, Any], entity: type[Row]
) -> None:
    row = make(entity.collection, **minimal(entity))
    client.delete(f"/api/{entity.collection}/{row['uuid']}").raise_for_status()
    assert row["uuid"] not in client.get(path(production["uuid"])).text


def test_a_production_that_is_not_there_is_a_404(client: httpx.Client) -> None:
    show = created(client, "productions", name="x")
    client.delete(f"/api/productions/{show['uuid']}").raise_for_status()
    for key in (show["uuid"], "nobody", "a%00b", "00000000-0000-4000-8000-000000000000"):
        answer = client.get(path(key), headers={"if-none-match": "*"})
        assert (answer.status_code, answer.json()["error"]) == (404, "Production not found")
        assert "etag" not in answer.headers


async def test_a_label_that_two_productions_hold_is_a_409(
    client: httpx.Client, shared_database: str
) -> None:
    shows = [created(client, "productions", name="x")["uuid"] for _ in range(2)]
    async with connected(shared_database) as connection:
        await connection.execute(
            "UPDATE productions SET id = 'held twice' WHERE uuid = ANY($1)", shows
        )
    for headers in ({}, {"if-none-match": '"x"'}):
        answer = client.get(path("held twice"), headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (409, "AMBIGUOUS_ID")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_other_methods_are_not_taken(
    client: httpx.Client, production: dict[str, Any], method: str
) -> None:
    answer = client.request(method, path(production["uuid"]))
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


@pytest.mark.parametrize("wrong", ["/api/productions//show", "/api/productions/a/b/show",
                                   "/api/cameras/x/show", "/api/productions/x/show/"])  # fmt: skip
def test_paths_beside_it_find_no_route(client: httpx.Client, wrong: str) -> None:
    assert client.get(wrong).json()["error"] == "Route not found"


def test_a_production_labelled_like_the_route_is_still_found(client: httpx.Client) -> None:
    created(client, "productions", name="x", id="show")
    assert client.get("/api/productions/show").json()["id"] == "show"
    assert client.get(path("show")).json()["production"]["id"] == "show"


@scoped
@pytest.mark.parametrize("key", ["uuid", "id"])
def test_an_unchanged_show_is_confirmed_and_a_changed_one_is_sent(
    client: httpx.Client, make: Make, production: dict[str, Any], entity: type[Row], key: str
) -> None:
    tag = client.get(path(production[key])).headers["etag"]
    again = client.get(path(production[key]), headers={"if-none-match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    row = make(entity.collection, **minimal(entity))
    changed = client.get(path(production[key]), headers={"if-none-match": tag})
    assert changed.status_code == 200
    assert row["uuid"] in changed.text
    assert changed.headers["etag"] != tag


async def test_it_is_one_snapshot(
    client: httpx.Client, make: Make, production: dict[str, Any], shared_database: str
) -> None:
    """A writer renames two rows at a time and counts: a show has both, or neither, and its tag."""
    make("cameras", name="0")
    make("sources", name="0", type="LAPTOP")
    uuid = production["uuid"]
    reader = Database(DatabaseUrl.parse(shared_database), settings())
    await reader.open()
    ended = asyncio.Event()
    seen: dict[str, str] = {}

    async def read() -> None:
        while not ended.is_set():
            show = await reading.show(reader, uuid)
            (camera,), (source,) = (
                json.loads(show.members[name]) for name in ("cameras", "sources")
            )
            assert camera["name"] == source["name"]
            assert seen.setdefault(show.state, camera["name"]) == camera["name"]

    reading_on = [asyncio.create_task(read()) for _ in range(3)]
    async with connected(shared_database) as connection:
        for number in range(40):
            async with connection.transaction():
                for table in ("cameras", "sources"):
                    await connection.execute(
                        f"UPDATE {table} SET name = $2 WHERE production_uuid = $1",
                        uuid,
                        str(number),
                    )
                await connection.execute(
                    "UPDATE productions SET change_seq = change_seq + 1 WHERE uuid = $1", uuid
                )
            await asyncio.sleep(0.005)
    ended.set()
    await asyncio.gather(*reading_on)
    await reader.close()
    assert len(seen) > 2


NINTH = """
import tests.support.ninth_type
from app.sql.show_reads import SHOW_BY_UUID, members
assert "multiViewers" in members()
assert '"multiViewers"' in SHOW_BY_UUID
"""


def test_a_ninth_type_is_in_it_by_itself() -> None:
    assert "multiViewers" not in SHOW_BY_UUID
    subprocess.run([sys.executable, "-c", NINTH], cwd=PROJECT, check=True)


@scoped
def test_only_the_collections_that_are_asked_for(
    client: httpx.Client, make: Make, production: dict[str, Any], entity: type[Row]
) -> None:
    make(entity.collection, **minimal(entity))
    whole = client.get(path(production["id"])).json()
    name = next(name for name, kind in members().items() if kind is entity)
    for key in ("uuid", "id"):
        answer = client.get(path(production[key]), params={"collections": name})
        assert answer.json() == {"production": whole["production"], name: whole[name]}
        again = client.get(
            path(production[key]),
            params={"collections": name},
            headers={"if-none-match": answer.headers["etag"]},
        )
        assert again.status_code == 304
        other = client.get(path(production[key]), headers={"if-none-match": answer.headers["etag"]})
        assert other.status_code == 200, "the whole show is another answer"


@pytest.mark.parametrize("said", ["cable-snakes", "cameras,", "x" * 1_000, "cameras;ccus", "\x00"])
def test_collections_that_are_not_there_are_named(
    client: httpx.Client, production: dict[str, Any], said: str
) -> None:
    answer = client.get(path(production["id"]), params={"collections": said})
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "collections")


def test_no_collections_means_all(client: httpx.Client, production: dict[str, Any]) -> None:
    answer = client.get(path(production["id"]), params={"collections": ""})
    assert list(answer.json()) == list(members())


def test_collections_may_be_repeated(client: httpx.Client, production: dict[str, Any]) -> None:
    several = {"collections": ["cameras", "ccus"]}
    answer = client.get(path(production["id"]), params=several)
    assert list(answer.json()) == ["production", "cameras", "ccus"]


@pytest.mark.parametrize("ending", ["", "/show"])
def test_a_path_that_ends_in_a_line_break_is_not_there(
    client: httpx.Client, production: dict[str, Any], ending: str
) -> None:
    row = f"/{production['uuid']}{ending}" if ending else ""
    answer = client.get(f"/api/productions{row}%0A")
    assert (answer.status_code, answer.json()["error"]) == (404, "Route not found")

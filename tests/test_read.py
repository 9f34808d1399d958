"""Lists and single rows: the same bytes everywhere, live rows only, oldest first."""

from typing import Any

import httpx
import pytest

from app.model.entity import Row
from app.model.schemas import read_schema
from tests.support.bodies import ALL, SCOPED, SOME_UUID, full, minimal, named

every = pytest.mark.parametrize("entity", ALL, ids=named)
scoped = pytest.mark.parametrize("entity", SCOPED, ids=named)
mounts = pytest.mark.parametrize(
    "mount", [mount for entity in SCOPED for mount in (entity.collection, *entity.path_aliases)]
)


@every
def test_the_same_bytes_in_list_get_and_write_answers(
    client: httpx.Client, production: dict[str, Any], entity: type[Row]
) -> None:
    scope = {"productionId": production["id"]} if entity in SCOPED else {}
    path = f"/api/{entity.collection}"
    created = client.post(path, json={**scope, **full(entity)})
    one = client.get(f"{path}/{created.json()['uuid']}")
    listed = client.get(f"{path}/production/{production['uuid']}" if scope else path)
    version = {"version": 1} if entity.version_required else {}
    unchanged = client.patch(f"{path}/{created.json()['uuid']}", json=version)
    assert created.content == one.content == unchanged.content
    assert created.content in listed.content
    read_schema(entity).model_validate_json(one.content)
    assert one.headers["content-type"] == "application/json"


@mounts
def test_a_list_is_in_order_of_creation(
    client: httpx.Client, production: dict[str, Any], mount: str
) -> None:
    entity = next(e for e in SCOPED if mount in {e.collection, *e.path_aliases})
    labels = ["Z 1", "A 1", "M 10", "M 9"]
    for label in labels:
        body = {"productionId": production["id"], **minimal(entity, id=label)}
        client.post(f"/api/{mount}", json=body).raise_for_status()
    for key in (production["id"], production["uuid"]):
        rows = client.get(f"/api/{mount}/production/{key}").json()
        assert [row["id"] for row in rows] == labels


@scoped
def test_an_unknown_or_deleted_production_has_an_empty_list(
    client: httpx.Client, production: dict[str, Any], make: Any, entity: type[Row]
) -> None:
    row = make(entity.collection, **minimal(entity))
    path = f"/api/{entity.collection}"
    for key in ("NO SUCH SHOW", SOME_UUID, "x" * 5_000, "%00", "%F0%9F%8E%A5"):
        answer = client.get(f"{path}/production/{key}")
        assert (answer.status_code, answer.json()) == (200, []), key
    client.delete(f"/api/productions/{production['uuid']}")
    assert client.get(f"{path}/production/{production['uuid']}").json() == []
    assert client.get(f"{path}/{row['uuid']}").status_code == 404


@scoped
def test_a_list_holds_one_production_alone(
    client: httpx.Client, production: dict[str, Any], make: Any, entity: type[Row]
) -> None:
    other = make("productions", name="Another")
    mine = make(entity.collection, **minimal(entity))
    body = {**minimal(entity), "productionId": other["id"]}
    theirs = client.post(f"/api/{entity.collection}", json=body).json()
    assert mine["id"] == theirs["id"]
    rows = client.get(f"/api/{entity.collection}/production/{other['id']}").json()
    assert [row["uuid"] for row in rows] == [theirs["uuid"]]


@every
def test_an_unknown_key_is_a_404_with_words(client: httpx.Client, entity: type[Row]) -> None:
    for key in ("NO SUCH LABEL", SOME_UUID, "%00", "..", "a'b;--", "x" * 5_000):
        answer = client.get(f"/api/{entity.collection}/{key}x")
        body = answer.json()
        assert (answer.status_code, body["code"]) == (404, "NOT_FOUND"), key
        assert body["error"] == f"{entity.noun} not found"
        assert answer.headers["content-type"] == "application/problem+json"


def test_productions_are_listed_newest_first(client: httpx.Client, make: Any) -> None:
    made = [make("productions", name=f"Show {n}")["uuid"] for n in range(3)]
    listed = [row["uuid"] for row in client.get("/api/productions").json()]
    assert [uuid for uuid in listed if uuid in made] == made[::-1]


def test_an_unknown_route_is_a_404_in_the_frontends_words(client: httpx.Client) -> None:
    for path in ("/api/nothing", "/nothing", "/api/gadgets", "/api/cameras/a/b/c"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["error"]) == (404, "Route not found")


def test_a_trailing_slash_leads_nowhere_else(client: httpx.Client) -> None:
    answer = client.get("/api/productions/", headers={"host": "another.local"})
    assert (answer.status_code, "location" in answer.headers) == (404, False)

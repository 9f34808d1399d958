"""Deleting: soft, logged, and out of sight everywhere."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.model.entity import Row
from tests.support import databases
from tests.support.bodies import ALL, SCOPED, minimal, named

every = pytest.mark.parametrize("entity", ALL, ids=named)
scoped = pytest.mark.parametrize("entity", SCOPED, ids=named)


@every
async def test_a_deleted_row_is_hidden_but_kept(
    client: httpx.Client, make: Any, shared_database: str, entity: type[Row]
) -> None:
    row = make(entity.collection, **minimal(entity, id=f"ONLY {uuid4().hex}"))
    path = f"/api/{entity.collection}/{row['uuid']}"
    answer = client.delete(path)
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert client.get(path).status_code == 404
    assert client.get(f"/api/{entity.collection}/{row['id']}").status_code == 404
    assert client.put(path, json={"version": 1}).status_code == 404
    kept = f"SELECT is_deleted AND version = 2 FROM {entity.__tablename__} WHERE uuid = $1"
    assert await databases.column(shared_database, kept, row["uuid"]) == [True]


@scoped
def test_a_deleted_row_is_out_of_the_list_and_its_label_is_free(
    client: httpx.Client, production: dict[str, Any], make: Any, entity: type[Row]
) -> None:
    row = make(entity.collection, **minimal(entity, id="SPARE 7"))
    client.request("DELETE", f"/api/{entity.collection}/SPARE 7", json={"userId": "u"})
    assert client.get(f"/api/{entity.collection}/production/{production['id']}").json() == []
    again = make(entity.collection, **minimal(entity, id="SPARE 7"))
    assert again["uuid"] != row["uuid"]


@scoped
def test_deleting_twice_is_a_404(client: httpx.Client, make: Any, entity: type[Row]) -> None:
    path = f"/api/{entity.collection}/{make(entity.collection, **minimal(entity))['uuid']}"
    assert [client.delete(path).status_code for _ in range(2)] == [200, 404]


def test_several_clients_may_delete_a_production(client: httpx.Client, make: Any) -> None:
    made = make("productions", name="A show", id="TWICE DELETED")
    for key in (made["uuid"], made["uuid"], made["id"]):
        answer = client.delete(f"/api/productions/{key}")
        assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert client.delete("/api/productions/NEVER THERE").status_code == 404


@pytest.mark.parametrize(
    ("body", "query", "expected"),
    [
        ({"userId": "u1", "userName": "Ann"}, {}, ("u1", "Ann")),
        (None, {"userId": "u2", "userName": "Bob"}, ("u2", "Bob")),
        ({"userId": "u1"}, {"userId": "u2", "userName": "Bob"}, ("u1", "Bob")),
        (None, {}, ("system", "System")),
    ],
)
@every
def test_who_deleted_it_comes_from_body_or_query(
    client: httpx.Client, production: dict[str, Any], make: Any, entity: type[Row], body: Any,
    query: dict[str, str], expected: tuple[str, str],
) -> None:  # fmt: skip
    row = make(entity.collection, **minimal(entity))
    client.request("DELETE", f"/api/{entity.collection}/{row['uuid']}", json=body, params=query)
    owner = row.get("productionUuid", row["uuid"])
    event = client.get(f"/api/productions/{owner}/events").json()[0]
    assert (event["operation"], event["userId"], event["userName"]) == ("DELETE", *expected)


def test_deleting_a_ccu_clears_its_cameras_with_their_own_log(
    client: httpx.Client, production: dict[str, Any], make: Any
) -> None:
    ccu = make("ccus", name="CCU", id="CCU 1")
    cameras = [make("cameras", name="Camera", ccuId="CCU 1") for _ in range(2)]
    other = make("cameras", name="Free")
    client.delete(f"/api/ccus/{ccu['uuid']}")
    for camera in cameras:
        after = client.get(f"/api/cameras/{camera['uuid']}").json()
        assert (after["ccuUuid"], after["ccuId"], after["version"]) == (None, None, 2)
    assert client.get(f"/api/cameras/{other['uuid']}").json() == other
    events = client.get(f"/api/productions/{production['id']}/events?limit=3").json()
    assert [(e["eventType"], e["operation"]) for e in events] == [
        ("CCU", "DELETE"), ("CAMERA", "UPDATE"), ("CAMERA", "UPDATE"),
    ]  # fmt: skip
    assert events[1]["changes"] == {"ccuUuid": [ccu["uuid"], None]}


def test_deleting_a_source_leaves_its_connections_for_the_checks(
    client: httpx.Client, make: Any
) -> None:
    source = make("sources", name="GFX", type="LAPTOP")
    path = make("connections", sourceUuid=source["uuid"], destinationType="PATCHBAY")
    client.delete(f"/api/sources/{source['uuid']}")
    after = client.get(f"/api/connections/{path['uuid']}").json()
    assert (after["sourceUuid"], after["version"]) == (source["uuid"], 1)


async def test_a_row_of_another_production_does_not_stand_in_the_way(
    client: httpx.Client, make: Any, shared_database: str
) -> None:
    """Older rows may point across productions; nothing in the database forbids it."""
    ccu = make("ccus", name="x")
    other = make("productions", name="Another show")
    camera = make("cameras", name="x", productionId=other["id"])
    sql = "UPDATE cameras SET ccu_uuid = $1 WHERE uuid = $2"
    await databases.execute(shared_database, sql, ccu["uuid"], camera["uuid"])
    assert client.delete(f"/api/ccus/{ccu['uuid']}").status_code == 200
    assert client.get(f"/api/cameras/{camera['uuid']}").json()["version"] == 1

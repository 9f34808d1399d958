"""Many at once: one label each, no lost update, a log without gaps, both orders of a race."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncpg
import httpx
import pytest

from app.database.url import DatabaseUrl
from app.model.entity import Row
from tests.support import databases
from tests.support.bodies import (
    REPRESENTATIVES,
    SCOPED_REPRESENTATIVES,
    minimal,
    named,
)

every = pytest.mark.parametrize("entity", REPRESENTATIVES, ids=named)
scoped = pytest.mark.parametrize("entity", SCOPED_REPRESENTATIVES, ids=named)
SEQ = "SELECT seq FROM changes WHERE production_uuid = $1 ORDER BY seq"


def together(count: int, work: Any) -> list[httpx.Response]:
    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(work, range(count)))


@scoped
async def test_fifty_creates_at_once_get_fifty_labels_and_numbers(
    client: httpx.Client, production: dict[str, Any], shared_database: str, entity: type[Row]
) -> None:
    path, show = f"/api/{entity.collection}", production["id"]
    answers = together(50, lambda _: client.post(path, json=minimal(entity, productionId=show)))
    assert {answer.status_code for answer in answers} == {201}
    labels = {answer.json()["id"] for answer in answers}
    assert labels == {f"{entity.prefix} {n}" for n in range(1, 51)}
    numbers = await databases.column(shared_database, SEQ, production["uuid"])
    assert numbers == list(range(1, 52))
    listed = client.get(f"/api/{entity.collection}/production/{production['id']}").json()
    assert [row["id"] for row in listed] == [f"{entity.prefix} {n}" for n in range(1, 51)]
    events = client.get(f"/api/productions/{production['id']}/events").json()
    assert [event["seq"] for event in events] == list(range(51, 0, -1))


def test_twenty_productions_at_once_get_twenty_labels(client: httpx.Client) -> None:
    answers = together(20, lambda _: client.post("/api/productions", json={"name": "x"}))
    assert len({answer.json()["id"] for answer in answers}) == 20


@scoped
def test_two_that_swap_labels_both_succeed(client: httpx.Client, make: Any, entity: Any) -> None:
    for _ in range(5):
        rows = [make(entity.collection, **minimal(entity)) for _ in range(2)]
        swapped = [rows[1]["id"], rows[0]["id"]]

        def put(n: int, rows: Any = rows, swapped: Any = swapped) -> httpx.Response:
            path = f"/api/{entity.collection}/{rows[n]['uuid']}"
            return client.put(path, json={"id": swapped[n], "version": 1})

        answers = together(2, put)
        assert [answer.status_code for answer in answers] == [200, 200]
        assert [answer.json()["id"] for answer in answers] == swapped


@every
def test_of_two_edits_from_the_same_version_one_wins_and_one_is_told(
    client: httpx.Client, make: Any, entity: type[Row]
) -> None:
    name = next(name for name, value in minimal(entity).items() if value == "A name")
    for _ in range(5):
        row = make(entity.collection, **minimal(entity))
        path = f"/api/{entity.collection}/{row['uuid']}"
        answers = together(
            2, lambda n, path=path: client.put(path, json={name: f"by {n}", "version": 1})
        )
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        winner = next(answer.json() for answer in answers if answer.status_code == 200)
        assert client.get(path).json() == winner


@pytest.mark.parametrize("first", ["ours", "theirs"])
@every
async def test_a_writer_waits_for_another_and_sees_what_it_did(
    client: httpx.Client, make: Any, shared_database: str, entity: type[Row], first: str
) -> None:
    """Two real connections in both orders: one holds the production, the other must wait.

    The other is an older service, which raises the row's version but counts no change.
    """
    name = next(iter(minimal(entity)))
    row = make(entity.collection, **minimal(entity))
    path = f"/api/{entity.collection}/{row['uuid']}"
    owner = row.get("productionUuid", row["uuid"])
    seen = 2 if first == "ours" else 1
    if first == "ours":
        client.put(path, json={name: "ours", "version": 1}).raise_for_status()
    connection = await asyncpg.connect(**DatabaseUrl.parse(shared_database).connect_args())
    field = next(f for f in entity.editable() if entity.wire(f) == name)
    with ThreadPoolExecutor(1) as threads:
        try:
            async with connection.transaction():
                await connection.execute(
                    "SELECT FROM productions WHERE uuid = $1 FOR UPDATE", owner
                )
                waiting = threads.submit(client.put, path, json={name: "late", "version": seen})
                await databases.until_blocked(shared_database)
                await connection.execute(
                    f"UPDATE {entity.__tablename__} SET {field} = 'theirs', version = version + 1 "
                    "WHERE uuid = $1", row["uuid"],
                )  # fmt: skip
        finally:
            await connection.close()
        answer = waiting.result(10)
    body = answer.json()
    assert answer.status_code == 409
    assert body["currentVersion"] == seen + 1
    assert body["serverData"][name] == "theirs"


def test_deleting_a_ccu_while_a_camera_is_linked_to_it(client: httpx.Client, make: Any) -> None:
    for _ in range(10):
        ccu, camera = make("ccus", name="x"), make("cameras", name="x")

        def either(n: int, ccu: Any = ccu, camera: Any = camera) -> httpx.Response:
            if n:
                return client.delete(f"/api/ccus/{ccu['uuid']}")
            return client.put(f"/api/cameras/{camera['uuid']}", json={"ccuId": ccu["id"]})

        linked, deleted = together(2, either)
        assert deleted.status_code == 200
        assert linked.status_code in {200, 422}
        assert client.get(f"/api/cameras/{camera['uuid']}").json()["ccuUuid"] is None

"""The feed of a production: every number once and in order, and 410 where it cannot be so."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from app.changelog.feed import LARGEST
from app.model.entity import Row
from app.model.secret_fields import public
from tests.support import databases
from tests.support.bodies import REPRESENTATIVES, minimal, named

every = pytest.mark.parametrize("entity", REPRESENTATIVES, ids=named)
MEMBERS = {
    "uuid", "seq", "productionId", "productionUuid", "eventType", "collection", "entityType",
    "operation", "entityId", "entityData", "changes", "userId", "userName", "version", "timestamp",
    "blind",
}  # fmt: skip


def feed(client: httpx.Client, key: object, **query: Any) -> httpx.Response:
    return client.get(f"/api/productions/{key}/changes", params=query)


def numbers(answer: httpx.Response) -> list[int]:
    return [entry["seq"] for entry in answer.raise_for_status().json()["changes"]]


@every
def test_each_write_is_an_entry_with_every_member(
    client: httpx.Client, make: Any, entity: type[Row]
) -> None:
    name = next(iter(minimal(entity)))
    row = make(entity.collection, **minimal(entity))
    path = f"/api/{entity.collection}/{row['uuid']}"
    edit = {name: "After", "version": 1, "userId": "u1", "userName": "Ann"}
    after = client.put(path, json=edit).raise_for_status().json()
    client.delete(path).raise_for_status()
    show = row.get("productionUuid", row["uuid"])
    found = feed(client, show).json()["changes"][-3:]
    assert [set(entry) for entry in found] == [MEMBERS] * 3
    assert [entry["operation"] for entry in found] == ["CREATE", "UPDATE", "DELETE"]
    assert [entry["version"] for entry in found] == [1, 2, 3]
    assert {entry["entityId"] for entry in found} == {row["uuid"]}
    assert {(entry["eventType"], entry["collection"], entry["entityType"]) for entry in found} == {
        (entity.event_type, entity.collection, entity.entity_type)
    }
    assert {(e["productionId"], e["productionUuid"]) for e in found} == {
        (row.get("productionId", row["id"]), show)
    }
    assert [entry["entityData"] for entry in found[:2]] == [
        public(entity, row),
        public(entity, after),
    ]
    assert (found[1]["userId"], found[1]["userName"]) == ("u1", "Ann")
    assert found[1]["changes"] == {name: [row[name], "After"]}
    assert found[2]["entityData"]["isDeleted"] is True


def test_pages_follow_each_other_without_gap_or_overlap(
    client: httpx.Client, production: dict[str, Any], make: Any
) -> None:
    for n in range(6):
        make("ccus", name=f"CCU {n}")
    cursor, read, more = 0, [], True
    while more:
        page = feed(client, production["id"], since=cursor, limit=3).json()
        read += [entry["seq"] for entry in page["changes"]]
        cursor, more = page["next"], page["more"]
        assert page["latest"] == 7
    assert read == [*range(1, 8)]
    assert cursor == 7
    end = feed(client, production["uuid"], since=7).json()
    assert end == {"changes": [], "next": 7, "latest": 7, "more": False}


def test_a_page_of_large_rows_is_shorter_and_the_cursor_leads_on(
    client: httpx.Client, production: dict[str, Any], make: Any
) -> None:
    rows = 10
    for _ in range(rows):
        make("connections", destinationType="router", signalPath=["x" * (LARGEST // 8)])
    cursor, pages = 1, []
    while cursor < 1 + rows:
        page = feed(client, production["id"], since=cursor, limit=1_000).json()
        assert page["more"] is (page["next"] < page["latest"])
        pages.append([entry["seq"] for entry in page["changes"]])
        cursor = page["next"]
    assert pages == [[*range(2, 10)], [10, 11]]


@pytest.mark.parametrize(
    ("name", "value"),
    [("since", "-1"), ("since", "x"), ("since", "1.5"), ("since", 2**63), ("since", ""),
     ("limit", 0), ("limit", 1_001), ("limit", "all")],
)  # fmt: skip
def test_bad_values_are_named(
    client: httpx.Client, production: dict[str, Any], name: str, value: Any
) -> None:
    answer = feed(client, production["uuid"], **{name: value})
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, name)


def test_an_unknown_production_has_no_feed_but_a_deleted_one_keeps_it(
    client: httpx.Client, production: dict[str, Any]
) -> None:
    for key in ("NOBODY", "00000000-0000-4000-8000-000000000000"):
        assert feed(client, key).status_code == 404
    client.delete(f"/api/productions/{production['uuid']}").raise_for_status()
    assert numbers(feed(client, production["uuid"])) == [1, 2]
    assert numbers(feed(client, production["id"])) == [1, 2]


async def test_a_trimmed_log_is_gone_and_says_how_to_go_on(
    client: httpx.Client, production: dict[str, Any], make: Any, shared_database: str
) -> None:
    for n in range(4):
        make("ccus", name=f"CCU {n}")
    sql = "DELETE FROM changes WHERE production_uuid = $1 AND seq <= 3"
    await databases.execute(shared_database, sql, production["uuid"])
    for since in (0, 2):
        answer = feed(client, production["id"], since=since)
        body = answer.json()
        assert (answer.status_code, body["code"]) == (410, "LOG_TRIMMED")
        assert (body["oldest"], body["latest"]) == (4, 5)
    assert numbers(feed(client, production["id"], since=3)) == [4, 5]
    shown = client.get(body["resync"]).raise_for_status().json()
    assert len(shown["ccus"]) == 4
    assert numbers(feed(client, production["id"], since=body["latest"])) == []


async def test_a_log_with_nothing_left_still_serves_who_has_everything(
    client: httpx.Client, production: dict[str, Any], shared_database: str
) -> None:
    sql = "DELETE FROM changes WHERE production_uuid = $1"
    await databases.execute(shared_database, sql, production["uuid"])
    assert numbers(feed(client, production["id"], since=1)) == []
    answer = feed(client, production["id"])
    assert (answer.status_code, answer.json()["oldest"], answer.json()["latest"]) == (410, 2, 1)


def test_a_cursor_beyond_the_newest_is_not_hidden(
    client: httpx.Client, production: dict[str, Any]
) -> None:
    answer = feed(client, production["id"], since=2)
    assert (answer.status_code, answer.json()["latest"]) == (410, 1)


def test_a_reader_beside_three_writers_sees_every_number_once_and_in_order(
    client: httpx.Client, production: dict[str, Any], make: Any
) -> None:
    rows = [make("ccus", name=f"CCU {n}") for n in range(3)]
    writing = threading.Barrier(4)

    def write(row: dict[str, Any]) -> None:
        writing.wait()
        for n in range(25):
            edit = {"name": f"Take {n}"}
            client.put(f"/api/ccus/{row['uuid']}", json=edit).raise_for_status()

    def read() -> list[int]:
        seen: list[int] = []
        writing.wait()
        while len(seen) < 4 + 3 * 25:
            since = seen[-1] if seen else 0
            page = feed(client, production["uuid"], since=since, limit=7).json()
            seen += [entry["seq"] for entry in page["changes"]]
            assert page["next"] == (seen[-1] if seen else 0) <= page["latest"]
        return seen

    with ThreadPoolExecutor(4) as threads:
        reading = threads.submit(read)
        for done in [threads.submit(write, row) for row in rows]:
            done.result()
        assert reading.result(30) == [*range(1, 4 + 3 * 25 + 1)]

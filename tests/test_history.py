"""The history of one row, for people: who changed what, newest first, page by page."""

from typing import Any

import httpx
import pytest

from app.model.entity import Row
from app.model.secret_fields import public
from tests.support import databases
from tests.support.bodies import (
    REPRESENTATIVES,
    SCOPED_REPRESENTATIVES,
    minimal,
    named,
)

every = pytest.mark.parametrize("entity", REPRESENTATIVES, ids=named)
scoped = pytest.mark.parametrize("entity", SCOPED_REPRESENTATIVES, ids=named)
MEMBERS = {"seq", "version", "operation", "timestamp", "userId", "userName", "changes", "blind"}


def history(client: httpx.Client, entity: type[Row], key: object, **query: Any) -> httpx.Response:
    return client.get(f"/api/{entity.collection}/{key}/history", params=query)


def written(client: httpx.Client, make: Any, entity: type[Row]) -> list[dict[str, Any]]:
    """Create, change twice; give the row after each."""
    name = next(iter(minimal(entity)))
    rows = [make(entity.collection, **minimal(entity))]
    for version, value in enumerate(("Second", "Third"), 1):
        edit = {name: value, "version": version, "userId": value, "userName": f"Ann {value}"}
        answer = client.put(f"/api/{entity.collection}/{rows[0]['uuid']}", json=edit)
        rows.append(answer.raise_for_status().json())
    return rows


@every
def test_who_changed_what_newest_first(client: httpx.Client, make: Any, entity: type[Row]) -> None:
    name = next(iter(minimal(entity)))
    rows = written(client, make, entity)
    body = history(client, entity, rows[0]["uuid"]).raise_for_status().json()
    found = body["history"]
    assert body["next"] is None
    assert [set(entry) for entry in found] == [MEMBERS] * 3
    assert [(entry["version"], entry["operation"]) for entry in found] == [
        (3, "UPDATE"), (2, "UPDATE"), (1, "CREATE"),
    ]  # fmt: skip
    assert found[0]["changes"] == {name: ["Second", "Third"]}
    assert [entry["userName"] for entry in found] == ["Ann Third", "Ann Second", "System"]
    full = history(client, entity, rows[0]["uuid"], full=True).json()["history"]
    assert [entry["entity"] for entry in full] == [public(entity, row) for row in rows[::-1]]


@every
def test_pages_go_back_to_the_beginning(client: httpx.Client, make: Any, entity: type[Row]) -> None:
    row, *_ = written(client, make, entity)
    before: dict[str, Any] = {}
    read: list[int] = []
    for _ in range(3):
        page = history(client, entity, row["uuid"], limit=1, **before).json()
        read += [entry["version"] for entry in page["history"]]
        before = {"before": page["next"]}
    assert read == [3, 2, 1]
    assert page["next"] is None


@every
def test_a_deleted_row_keeps_its_history_under_its_uuid(
    client: httpx.Client, make: Any, entity: type[Row]
) -> None:
    row, *_ = written(client, make, entity)
    client.delete(f"/api/{entity.collection}/{row['uuid']}").raise_for_status()
    found = history(client, entity, row["uuid"]).json()["history"]
    assert [entry["operation"] for entry in found] == ["DELETE", "UPDATE", "UPDATE", "CREATE"]
    assert found[0]["changes"] == {"isDeleted": [False, True]}


@every
def test_a_live_row_is_found_by_its_label_and_an_unknown_one_is_not(
    client: httpx.Client, make: Any, entity: type[Row]
) -> None:
    label = f"HISTORY OF {entity.prefix}"
    row = make(entity.collection, **minimal(entity, id=label))
    [entry] = history(client, entity, label).json()["history"]
    assert entry["changes"]["id"] == [None, label]
    client.delete(f"/api/{entity.collection}/{row['uuid']}").raise_for_status()
    for key in (label, "NOBODY", "00000000-0000-4000-8000-000000000000"):
        assert history(client, entity, key).status_code == 404


@scoped
def test_a_label_of_two_rows_is_ambiguous(
    client: httpx.Client, make: Any, entity: type[Row]
) -> None:
    label = f"TWICE {entity.prefix}"
    make(entity.collection, **minimal(entity, id=label))
    other = client.post("/api/productions", json={"name": "Another"}).json()["id"]
    make(entity.collection, **minimal(entity, id=label, productionId=other))
    answer = history(client, entity, label)
    assert (answer.status_code, answer.json()["code"]) == (409, "AMBIGUOUS_ID")
    assert len(answer.json()["candidates"]) == 2


@every
async def test_what_was_trimmed_is_missing_and_nothing_more_follows(
    client: httpx.Client, make: Any, shared_database: str, entity: type[Row]
) -> None:
    row, *_ = written(client, make, entity)
    sql = "DELETE FROM changes WHERE entity_uuid = $1 AND version < $2"
    for oldest, left in ((2, [3, 2]), (4, [])):
        await databases.execute(shared_database, sql, row["uuid"], oldest)
        body = history(client, entity, row["uuid"]).raise_for_status().json()
        assert [entry["version"] for entry in body["history"]] == left
        assert body["next"] is None


@pytest.mark.parametrize(
    "query", [{"limit": 0}, {"limit": 1_001}, {"before": 0}, {"before": 2**63}, {"full": "maybe"}]
)
def test_bad_values_are_named(client: httpx.Client, make: Any, query: dict[str, Any]) -> None:
    row = make("ccus", name="CCU")
    answer = client.get(f"/api/ccus/{row['uuid']}/history", params=query)
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, next(iter(query)))


def test_the_other_mount_of_a_collection_tells_the_same(client: httpx.Client, make: Any) -> None:
    row = make("sources", name="x", type="y")
    one, other = (
        client.get(f"/api/{mount}/{row['uuid']}/history").json()
        for mount in ("sources", "computers")
    )
    assert one == other

"""The change log: one row per written entity, gapless, in the write's own transaction."""

import json
import re
from datetime import datetime
from typing import Any

import httpx
import pytest

from app.model.entity import Row
from app.model.secret_fields import public, secret_members
from tests.support import databases
from tests.support.bodies import ALL, SCOPED, full, minimal, named

every = pytest.mark.parametrize("entity", ALL, ids=named)
scoped = pytest.mark.parametrize("entity", SCOPED, ids=named)
SEQ = "SELECT array_agg(seq ORDER BY seq) FROM changes WHERE production_uuid = $1"


def events(client: httpx.Client, row: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
    owner = row.get("productionUuid", row["uuid"])
    listed: list[dict[str, Any]] = client.get(
        f"/api/productions/{owner}/events", params=query
    ).json()
    return listed


@every
def test_each_write_is_logged_with_before_and_after(
    client: httpx.Client, make: Any, entity: type[Row]
) -> None:
    name = next(iter(minimal(entity)))
    path = f"/api/{entity.collection}"
    row = make(entity.collection, **minimal(entity))
    edit = {name: "After", "version": 1, "userId": "u1", "userName": "Ann"}
    after = client.put(f"{path}/{row['uuid']}", json=edit).json()
    client.delete(f"{path}/{row['uuid']}", params={"userId": "u2"})
    deleted, updated, created = events(client, row)[:3]
    assert [e["operation"] for e in (created, updated, deleted)] == ["CREATE", "UPDATE", "DELETE"]
    assert [e["version"] for e in (created, updated, deleted)] == [1, 2, 3]
    assert {e["eventType"] for e in (created, updated, deleted)} == {entity.event_type}
    assert {e["entityId"] for e in (created, updated, deleted)} == {row["uuid"]}
    assert updated["changes"] == {name: [row[name], "After"]}
    assert (updated["userId"], updated["userName"]) == ("u1", "Ann")
    assert (created["userId"], created["userName"]) == ("system", "System")
    assert created["entityData"] == public(entity, row)
    assert updated["entityData"] == public(entity, after)
    assert deleted["entityData"]["isDeleted"] is True
    assert created["changes"]["id"] == [None, row["id"]]


@scoped
def test_the_log_says_which_update_did_not_say_what_it_started_from(
    client: httpx.Client, make: Any, entity: type[Row]
) -> None:
    row = make(entity.collection, **minimal(entity))
    path = f"/api/{entity.collection}/{row['uuid']}"
    starts: list[dict[str, Any]] = [{}, {"version": 2}, {"fieldVersions": row["fieldVersions"]}]
    for number, start in enumerate(starts):
        client.put(path, json={"note": f"Edit {number}", **start}).raise_for_status()
    tag = {"if-match": client.get(path).headers["etag"]}
    client.put(path, json={"note": "Edit 3"}, headers=tag).raise_for_status()
    feed = client.get(f"/api/productions/{row['productionUuid']}/changes").json()["changes"]
    told = {
        (entry["version"]): entry["blind"] for entry in feed if entry["entityId"] == row["uuid"]
    }
    assert told == {1: False, 2: True, 3: False, 4: not row["fieldVersions"], 5: False}


@every
def test_the_log_keeps_the_answers_own_bytes(
    client: httpx.Client, production: dict[str, Any], entity: type[Row]
) -> None:
    scope = {"productionId": production["id"]} if entity in SCOPED else {}
    answer = client.post(f"/api/{entity.collection}", json={**scope, **full(entity)})
    row = answer.json()
    owner = row.get("productionUuid", row["uuid"])
    body = answer.content
    for member in secret_members(entity):
        body = re.sub(rb'"%b":"[^"]*",' % member.encode(), b"", body)
    assert body in client.get(f"/api/productions/{owner}/events").content


@scoped
async def test_a_write_that_changes_nothing_is_not_logged(
    client: httpx.Client, production: dict[str, Any], make: Any, shared_database: str, entity: Any
) -> None:
    row = make(entity.collection, **minimal(entity))
    path = f"/api/{entity.collection}/{row['uuid']}"
    for body in ({}, {"id": row["id"]}, row):
        assert client.put(path, json=body).json() == row
    [numbers] = await databases.column(shared_database, SEQ, production["uuid"])
    assert numbers == [1, 2]


@scoped
async def test_a_refused_write_leaves_no_row_and_uses_no_number(
    client: httpx.Client, production: dict[str, Any], make: Any, shared_database: str, entity: Any
) -> None:
    row = make(entity.collection, **minimal(entity))
    path = f"/api/{entity.collection}"
    scope = {"productionId": production["id"]}
    name = next(iter(minimal(entity)))
    refused = [
        client.post(path, json={**scope, **minimal(entity, uuid=row["uuid"])}),
        client.post(path, json={**scope, name: None}),
        client.put(f"{path}/{row['uuid']}", json={name: "x", "version": 9}),
        client.delete(f"{path}/NOBODY"),
    ]
    assert [answer.status_code for answer in refused] == [409, 422, 409, 404]
    make(entity.collection, **minimal(entity))
    [numbers] = await databases.column(shared_database, SEQ, production["uuid"])
    assert numbers == [1, 2, 3]


def test_events_are_newest_first_and_limited(
    client: httpx.Client, production: dict[str, Any], make: Any
) -> None:
    for n in range(5):
        make("ccus", name=f"CCU {n}")
    assert [e["seq"] for e in events(client, production)] == [6, 5, 4, 3, 2, 1]
    assert [e["seq"] for e in events(client, production, limit=2)] == [6, 5]
    for limit in (0, -1, 1_001, "many"):
        answer = client.get(f"/api/productions/{production['id']}/events", params={"limit": limit})
        assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "limit")


def test_the_events_of_one_entity_by_uuid_or_label_also_when_deleted(
    client: httpx.Client, production: dict[str, Any], make: Any
) -> None:
    row = make("ccus", name="CCU", id="TRUCK A")
    make("ccus", name="Other")
    client.delete(f"/api/ccus/{row['uuid']}")
    for key in (row["uuid"], "TRUCK A"):
        found = client.get(f"/api/productions/{production['id']}/events/entity/{key}").json()
        assert [e["operation"] for e in found] == ["DELETE", "CREATE"]
    assert client.get(f"/api/productions/{production['id']}/events/entity/nobody").json() == []


def test_events_since_a_time_are_oldest_first(
    client: httpx.Client, production: dict[str, Any], make: Any
) -> None:
    make("ccus", name="CCU")
    path = f"/api/productions/{production['id']}/events/since"
    assert [e["seq"] for e in client.get(f"{path}/0").json()] == [1, 2]
    assert client.get(f"{path}/99999999999999").json() == []
    first, last = client.get(f"{path}/0").json()
    seen = int(datetime.fromisoformat(first["timestamp"]).timestamp() * 1_000 + 0.5)
    assert first not in client.get(f"{path}/{seen}").json()
    assert last in client.get(f"{path}/{seen - 1}").json()
    for wrong in ("yesterday", "-1", "1.5", "٣", "9" * 400, "%00"):
        answer = client.get(f"{path}/{wrong}")
        assert (answer.status_code, answer.json()["error"]) == (400, "Invalid timestamp")


def test_an_unknown_production_has_no_events_but_a_deleted_one_keeps_them(
    client: httpx.Client, production: dict[str, Any]
) -> None:
    for key in ("NOBODY", "%00"):
        answer = client.get(f"/api/productions/{key}x/events")
        assert answer.status_code in {404, 422}
        assert answer.json()["error"]
    client.delete(f"/api/productions/{production['uuid']}")
    for key in (production["uuid"], production["id"]):
        kept = client.get(f"/api/productions/{key}/events").json()
        assert [e["operation"] for e in kept] == ["DELETE", "CREATE"]


async def test_what_the_older_service_logged_stays_readable(
    client: httpx.Client, production: dict[str, Any], make: Any, shared_database: str
) -> None:
    camera = make("cameras", name="Camera", id="CAM 77")
    insert = (
        "INSERT INTO events (id, production_uuid, event_type, operation, entity_id, entity_data, "
        "changes, user_id, version, timestamp) "
        "VALUES ($1, $2, 'CAMERA', 'UPDATE', $3, $4, $5, 'ann', 3, '2025-05-05T10:00:00Z')"
    )
    data = json.dumps({"id": "CAM 77", "name": "é"})
    for number, key in enumerate(("CAM 77", "LONG GONE")):
        await databases.execute(
            shared_database,
            insert,
            f"{camera['uuid']}-{number}",
            production["uuid"],
            key,
            data,
            None,
        )
    oldest = client.get(f"/api/productions/{production['id']}/events/since/0").json()[:2]
    assert {e["entityId"] for e in oldest} == {camera["uuid"], "LONG GONE"}
    assert oldest[0]["entityData"] == {"id": "CAM 77", "name": "é"}
    assert (oldest[0]["seq"], oldest[0]["timestamp"]) == (None, "2025-05-05T10:00:00.000Z")
    path = f"/api/productions/{production['id']}/events/entity/{camera['uuid']}"
    assert [e["seq"] for e in client.get(path).json()] == [2, None]

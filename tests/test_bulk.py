"""Bulk: many rows in one request, in the order given, all of them or each for itself."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.changelog.log import Actor
from app.model.entity import Row
from app.model.schemas import create_schema
from app.releases.migrations.alembic_runner import upgrade
from app.releases.migrations.revisions import history, needed
from app.store import bulk
from app.store.bulk import Bulk
from app.store.create import create as create_row
from app.store.edit import edit_of
from tests.legacy import quiet
from tests.support import databases
from tests.support.bodies import (
    OLDER,
    SCOPED,
    SCOPED_REPRESENTATIVES,
    UNIQUE_LABELS,
    minimal,
    named,
)
from tests.support.holding import after, counted, logged
from tests.support.service import created, service
from tests.test_writer import listening

scoped = pytest.mark.parametrize("entity", SCOPED_REPRESENTATIVES, ids=named)
NOBODY = Actor()
Made = dict[str, Any]


def create(entity: type[Row], **members: Any) -> Made:
    return {"op": "create", "data": minimal(entity, **members)}


def update(key: str, **members: Any) -> Made:
    return {"op": "update", "key": key, "data": members}


def delete(key: str) -> Made:
    return {"op": "delete", "key": key}


def restore(key: str, **members: Any) -> Made:
    return {"op": "restore", "key": key, **members}


def send(
    client: httpx.Client, production: Made, entity: type[Row], *operations: Made, **members: Any
) -> httpx.Response:
    path = f"/api/productions/{production['uuid']}/{entity.collection}/bulk"
    return client.post(path, json={"operations": operations, **members})


def listed(client: httpx.Client, production: Made, entity: type[Row]) -> Any:
    return client.get(f"/api/{entity.collection}/production/{production['uuid']}").json()


@scoped
async def test_the_order_given_is_the_order_logged(
    client: httpx.Client, production: Made, make: Any, shared_database: str, entity: type[Row]
) -> None:
    old = make(entity.collection, **minimal(entity, id="OLD"))
    async with listening(shared_database) as heard:
        answer = await asyncio.to_thread(
            send, client, production, entity,
            create(entity, id="NEW"), update("OLD", note="a"), update("NEW", note="b"),
            update("OLD", note="a"), delete("OLD"), create(entity, id="OLD"),
            userId="anna",
        )  # fmt: skip
    body = answer.raise_for_status().json()
    statuses = [result["status"] for result in body["results"]]
    assert statuses == ["created", "updated", "updated", "unchanged", "deleted", "created"]
    assert [result["index"] for result in body["results"]] == list(range(6))
    assert (body["failed"], "error" in body) == (0, False)
    log = await logged(shared_database, production["uuid"])
    assert [entry[1:] for entry in log[2:]] == [
        ["CREATE", "NEW", "anna"], ["UPDATE", "OLD", "anna"], ["UPDATE", "NEW", "anna"],
        ["DELETE", "OLD", "anna"], ["CREATE", "OLD", "anna"],
    ]  # fmt: skip
    assert [entry[0] for entry in log] == list(range(1, 8))
    ours = [told for told in heard if told.startswith(production["uuid"])]
    assert ours == [f"{production['uuid']} {seq} {entity.collection}" for seq in range(3, 8)]
    new, again = listed(client, production, entity)
    assert (new["id"], new["note"], new["version"], new["lastModifiedBy"]) == (
        "NEW", "b", 2, "anna",
    )  # fmt: skip
    assert again["uuid"] != old["uuid"]


@scoped
def test_a_result_carries_the_row_in_the_bytes_of_its_own_path(
    client: httpx.Client, production: Made, make: Any, entity: type[Row]
) -> None:
    row = make(entity.collection, **minimal(entity))
    answer = send(client, production, entity, update(row["uuid"], note="é 🎥"), create(entity))
    for result in answer.json()["results"]:
        alone = client.get(f"/api/{entity.collection}/{result['entity']['uuid']}")
        assert alone.content in answer.content


@scoped
async def test_one_refusal_undoes_everything(
    client: httpx.Client, production: Made, make: Any, shared_database: str, entity: type[Row]
) -> None:
    make(entity.collection, **minimal(entity, id="A 1"))
    before = listed(client, production, entity), await counted(shared_database, production["uuid"])
    async with listening(shared_database) as heard:
        answer = await asyncio.to_thread(
            send, client, production, entity,
            create(entity, id="B 1"), update("A 1", note="x"), delete("NOBODY"), delete("A 1"),
        )  # fmt: skip
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (409, "BULK_FAILED")
    assert "NOBODY" in problem["message"]
    statuses = [result["status"] for result in problem["results"]]
    assert statuses == ["undone", "undone", "failed", "undone"]
    alone = client.delete(f"/api/{entity.collection}/NOBODY").json()
    assert problem["results"][2]["error"] == alone
    assert not [told for told in heard if told.startswith(production["uuid"])]
    after = listed(client, production, entity), await counted(shared_database, production["uuid"])
    assert after == before
    assert len(await logged(shared_database, production["uuid"])) == before[1]


@scoped
async def test_each_for_itself_a_bad_one_spoils_no_other_and_leaves_nothing(
    client: httpx.Client, production: Made, make: Any, shared_database: str, entity: type[Row]
) -> None:
    row = make(entity.collection, **minimal(entity, id="A 1"))
    for value in ("Theirs", "Theirs too"):
        client.put(f"/api/{entity.collection}/{row['uuid']}", json={"note": value})
    broken = {**minimal(entity), next(iter(minimal(entity))): ["no text"]}
    operations = [
        create(entity, id="B 1"), create(entity, uuid=row["uuid"]), update("A 1", version=1,
        note="Mine"), update("A 1", note="a\x00"), {"op": "create", "data": broken},
        delete("NOBODY"), update("NOBODY", note="x"), create(entity, productionId="ELSEWHERE"),
        update("A 1", productionId="ELSEWHERE"), create(entity, id="B 2"), delete("A 1"),
    ]  # fmt: skip
    alone = [single(client, production, entity, operation) for operation in operations[1:7]]
    before = await counted(shared_database, production["uuid"])
    async with listening(shared_database) as heard:
        answer = await asyncio.to_thread(
            send, client, production, entity, *operations, atomic=False
        )  # fmt: skip
    body = answer.raise_for_status().json()
    results = body["results"]
    assert body["failed"] == 8
    assert [n for n, result in enumerate(results) if result["status"] == "failed"] == [*range(1, 9)]
    assert [results[n]["status"] for n in (0, 9, 10)] == ["created", "created", "deleted"]
    assert [result["error"] for result in results[1:7]] == alone
    codes = [result["error"]["code"] for result in results[1:9]]
    assert codes == [
        "DUPLICATE_UUID", "VERSION_CONFLICT", "INVALID", "INVALID", "NOT_FOUND", "NOT_FOUND",
        "WRONG_PRODUCTION", "WRONG_PRODUCTION",
    ]  # fmt: skip
    assert results[4]["error"]["errors"][0]["path"] == next(iter(minimal(entity)))
    assert [row["id"] for row in listed(client, production, entity)] == ["B 1", "B 2"]
    log = await logged(shared_database, production["uuid"])
    assert [entry[0] for entry in log] == list(range(1, before + 4))
    ours = [told for told in heard if told.startswith(production["uuid"])]
    name = entity.collection
    assert ours == [f"{production['uuid']} {before + n} {name}" for n in (1, 2, 3)]


@pytest.mark.parametrize("refused", [{0}, {49}, {50}, {3, 60, 119}, set(range(120))], ids=str)
async def test_of_many_only_those_that_are_refused_are_missing(
    client: httpx.Client, production: Made, shared_database: str, refused: set[int]
) -> None:
    [entity] = [entity for entity in SCOPED if entity.collection == "cameras"]
    operations = [
        create(entity, id=f"N {n}", ccuId="NO CCU" if n in refused else None) for n in range(120)
    ]
    async with listening(shared_database) as heard:
        answer = await asyncio.to_thread(
            send, client, production, entity, *operations, atomic=False
        )  # fmt: skip
    body = answer.raise_for_status().json()
    assert {r["index"] for r in body["results"] if r["status"] == "failed"} == refused
    assert body["failed"] == len(refused)
    wanted = [f"N {n}" for n in range(120) if n not in refused]
    assert [row["id"] for row in listed(client, production, entity)] == wanted
    log = await logged(shared_database, production["uuid"])
    assert [entry[:3] for entry in log[1:]] == [
        [seq, "CREATE", label] for seq, label in enumerate(wanted, 2)
    ]
    ours = [told for told in heard if told.startswith(production["uuid"])]
    name = entity.collection
    assert ours == [f"{production['uuid']} {entry[0]} {name}" for entry in log[1:]]


def single(client: httpx.Client, production: Made, entity: type[Row], operation: Made) -> Any:
    """Return the problem that an operation's own request gets."""
    path, key = f"/api/{entity.collection}", operation.get("key")
    if operation["op"] == "create":
        answer = client.post(path, json={"productionId": production["id"], **operation["data"]})
    elif operation["op"] == "update":
        key = only(client, production, entity, key)
        answer = client.patch(f"{path}/{key}", json=operation["data"])
        return {**answer.json(), "instance": f"{path}/{operation['key']}"}
    else:
        answer = client.delete(f"{path}/{key}")
    assert answer.status_code >= 400
    return answer.json()


def only(client: httpx.Client, production: Made, entity: type[Row], key: Any) -> str:
    """Return the uuid for a label that other tests' shows use too."""
    rows = listed(client, production, entity)
    return str(next((row["uuid"] for row in rows if row["id"] == key), key))


@pytest.mark.parametrize("atomic", [True, False])
@scoped
def test_faults_of_form_are_told_all_at_once(
    client: httpx.Client, production: Made, entity: type[Row], atomic: bool
) -> None:
    notes: list[Any] = [1, "fine", {}, "a\x00"]
    wrong = [create(entity, note=note) for note in notes]
    answer = send(client, production, entity, *wrong, atomic=atomic).json()
    assert [result["status"] == "failed" for result in answer["results"]] == [
        True, False, True, True,
    ]  # fmt: skip
    for result in (answer["results"][n] for n in (0, 2, 3)):
        assert [error["path"] for error in result["error"]["errors"]] == ["note"]
    assert len(listed(client, production, entity)) == (0 if atomic else 1)


@scoped
def test_versions_and_merging_are_those_of_single_updates(
    client: httpx.Client, production: Made, make: Any, entity: type[Row]
) -> None:
    row = make(entity.collection, **minimal(entity))
    name = next(iter(minimal(entity)))
    body = send(
        client, production, entity,
        update(row["uuid"], version=1, note="first"),
        update(row["uuid"], **{**row, name: "second"}),
        update(row["uuid"], version=1, note="conflicting"),
        atomic=False,
    ).json()  # fmt: skip
    assert [result["status"] for result in body["results"]] == ["updated", "updated", "failed"]
    merged = body["results"][1]["entity"]
    assert (merged["note"], merged[name], merged["version"]) == ("first", "second", 3)
    [conflict] = body["results"][2]["error"]["conflicts"]
    assert (conflict["fieldName"], conflict["baseValue"], conflict["serverValue"]) == (
        "note", None, "first",
    )  # fmt: skip


@scoped
def test_a_label_means_a_row_of_this_production(
    client: httpx.Client, production: Made, make: Any, entity: type[Row]
) -> None:
    other = created(client, "productions", name="Another show")
    theirs = created(
        client, entity.collection, productionId=other["id"], **minimal(entity, id="SAME 1")
    )
    ours = make(entity.collection, **minimal(entity, id="SAME 1"))
    body = send(client, production, entity, update("SAME 1", note="x")).json()
    assert body["results"][0]["entity"]["uuid"] == ours["uuid"]
    for foreign in (theirs["uuid"], str(uuid4())):
        answer = send(client, production, entity, update(foreign, note="x"), delete(foreign),
                      atomic=False)  # fmt: skip
        codes = [result["error"]["code"] for result in answer.json()["results"]]
        assert codes == ["NOT_FOUND", "NOT_FOUND"]
    client.put(f"/api/{entity.collection}/{ours['uuid']}", json={"id": "TWICE"})
    twin = make(entity.collection, **minimal(entity))
    client.put(f"/api/{entity.collection}/{twin['uuid']}", json={"id": "TWICE"})
    [result] = send(client, production, entity, delete("TWICE"), atomic=False).json()["results"]
    assert result["error"]["code"] == "AMBIGUOUS_ID"
    candidates = {candidate["uuid"] for candidate in result["error"]["candidates"]}
    assert candidates == {ours["uuid"], twin["uuid"]}


@scoped
async def test_who_did_it_may_be_said_once_or_for_each(
    client: httpx.Client, production: Made, shared_database: str, entity: type[Row]
) -> None:
    said = {"userId": "anna", "userName": "Anna", "lastModifiedBy": "anna@truck"}
    operations = [create(entity, id="A"), create(entity, id="B", userId="ben"), delete("A")]
    results = send(client, production, entity, *operations, **said).json()["results"]
    assert [r["entity"]["lastModifiedBy"] for r in results[:2]] == ["anna@truck", "anna@truck"]
    sql = "SELECT user_id || ' ' || user_name FROM changes WHERE production_uuid = $1 ORDER BY seq"
    names = await databases.column(shared_database, sql, production["uuid"])
    assert names[1:] == ["anna Anna", "ben System", "anna Anna"]
    sql = "SELECT count(DISTINCT request_id) FROM changes WHERE production_uuid = $1 AND seq > 1"
    assert await databases.column(shared_database, sql, production["uuid"]) == [1]


@scoped
def test_what_is_not_known_is_ignored_and_named_once(
    client: httpx.Client, production: Made, entity: type[Row]
) -> None:
    operations = [create(entity, metadata=1) | {"extra": 1}, create(entity, metadata=2)]
    answer = send(client, production, entity, *operations, hint=True)
    assert answer.status_code == 200
    assert answer.headers["x-ignored-fields"] == "hint, extra, metadata"


async def test_a_deleted_ccu_clears_its_cameras(
    client: httpx.Client, production: Made, make: Any, shared_database: str
) -> None:
    [entity] = [entity for entity in SCOPED if entity.collection == "ccus"]
    ccus = [make("ccus", name=f"CCU {n}", id=f"C {n}") for n in (1, 2)]
    cameras = [make("cameras", name="x", ccuUuid=ccu["uuid"]) for ccu in ccus for _ in range(2)]
    send(client, production, entity, delete("C 1"), delete("C 2")).raise_for_status()
    for camera in cameras:
        after = client.get(f"/api/cameras/{camera['uuid']}").json()
        assert (after["ccuUuid"], after["ccuId"], after["version"]) == (None, None, 2)
    log = await logged(shared_database, production["uuid"])
    assert [entry[1] for entry in log[7:]] == ["UPDATE", "UPDATE", "DELETE"] * 2
    assert [entry[0] for entry in log] == list(range(1, 14))


@pytest.mark.parametrize("first", ["bulk", "another writer"])
@scoped
async def test_another_process_waits_or_is_waited_for(
    client: httpx.Client, production: Made, shared_database: str, entity: type[Row], first: str
) -> None:
    three = [create(entity) for _ in range(3)]
    body = {"productionId": production["uuid"], **minimal(entity)}

    async def bulk_first(held: Any) -> Any:
        todo = Bulk.model_validate({"operations": three})
        steps = [bulk.read_step(entity, production["uuid"], one, NOBODY) for one in todo.operations]
        return await held.write(
            "", lambda unit: bulk.run(unit, entity, production["uuid"], steps, atomic=True)
        )

    async def other_first(held: Any) -> Any:
        edit = edit_of(entity, create_schema(entity).model_validate(body))
        return await held.write("", lambda unit: create_row(unit, entity, edit))

    def alone() -> int:
        return client.post(f"/api/{entity.collection}", json=body).status_code

    def many() -> int:
        return send(client, production, entity, *three).status_code

    if first == "bulk":
        made, status = await after(shared_database, bulk_first, alone)
        assert ([outcome.status for outcome in made], status) == (["created"] * 3, 201)
    else:
        _, status = await after(shared_database, other_first, many)
        assert status == 200
    rows = listed(client, production, entity)
    assert [row["id"] for row in rows] == [f"{entity.prefix} {n}" for n in (1, 2, 3, 4)]
    log = await logged(shared_database, production["uuid"])
    assert [entry[:3] for entry in log[1:]] == [
        [n + 1, "CREATE", f"{entity.prefix} {n}"] for n in (1, 2, 3, 4)
    ]


async def test_a_thousand_rows_are_made_at_once(
    client: httpx.Client, production: Made, shared_database: str
) -> None:
    entity = SCOPED[0]
    operations = [create(entity, note=f"row {n}") for n in range(1_000)]
    answer = send(client, production, entity, *operations)
    results = answer.raise_for_status().json()["results"]
    labels = [result["entity"]["id"] for result in results]
    assert labels == [f"{entity.prefix} {n}" for n in range(1, 1_001)]
    assert await counted(shared_database, production["uuid"]) == 1_001
    assert [row["note"] for row in listed(client, production, entity)] == [
        f"row {n}" for n in range(1_000)
    ]


FINE = {"op": "delete", "key": "x"}


@pytest.mark.parametrize(
    "body",
    [
        {}, [], None, "text", {"operations": None}, {"operations": []}, {"operations": {}},
        {"operations": [None]}, {"operations": [[]]}, {"operations": [{}]},
        {"operations": [{"op": "drop"}]}, {"operations": [{"op": []}]},
        {"operations": [{"op": "create"}]}, {"operations": [{"op": "create", "data": []}]},
        {"operations": [{"op": "create", "data": None}]},
        {"operations": [{"op": "update", "key": "x"}]},
        {"operations": [{"op": "update", "data": {}}]},
        {"operations": [{"op": "delete"}]}, {"operations": [{"op": "delete", "key": ""}]},
        {"operations": [{"op": "delete", "key": 5}]},
        {"operations": [{"op": "delete", "key": "a\x00"}]},
        {"operations": [{"op": "delete", "key": "x" * 1_001}]},
        {"operations": [FINE] * 1_001}, {"operations": [FINE], "atomic": "no"},
        {"operations": [FINE], "atomic": None}, {"operations": [FINE], "atomic": 1},
        {"operations": [FINE], "userId": 5}, {"operations": [FINE], "userId": "a\x00"},
    ],
    ids=range(28),
)  # fmt: skip
def test_a_body_of_another_shape_is_refused_as_a_whole(
    client: httpx.Client, production: Made, body: Any
) -> None:
    path = f"/api/productions/{production['uuid']}/{SCOPED[0].collection}/bulk"
    answer = client.post(path, json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"]


@pytest.mark.parametrize("content", [b"{", b"[" * 100_000, b"\xff"])
def test_what_is_not_json_is_a_400(client: httpx.Client, production: Made, content: bytes) -> None:
    path = f"/api/productions/{production['uuid']}/{SCOPED[0].collection}/bulk"
    answer = client.post(path, content=content, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "BROKEN_JSON")


@pytest.mark.parametrize("action", ["bulk", "renumber"])
def test_other_paths_are_not_there(client: httpx.Client, production: Made, action: str) -> None:
    body = {"operations": [FINE]}
    here = f"/api/productions/{production['uuid']}"
    for path in (f"{here}/nothings", f"{here}/productions", here):
        answer = client.post(f"{path}/{action}", json=body)
        assert (answer.status_code, answer.json()["error"]) == (404, "Route not found")
    for path in ("/api/productions", f"/api/{SCOPED[0].collection}"):
        # A row could be called so; it takes no POST.
        assert client.post(f"{path}/{action}", json=body).status_code == 405
    for key in (str(uuid4()), "NO SHOW"):
        path = f"/api/productions/{key}/{SCOPED[0].collection}/{action}"
        answer = client.post(path, json=body)
        assert (answer.status_code, answer.json()["error"]) == (404, "Production not found")


def test_a_production_is_named_by_its_label_and_a_second_mount_serves_the_same_rows(
    client: httpx.Client, production: Made
) -> None:
    for entity in SCOPED:
        for number, mount in enumerate((entity.collection, *entity.path_aliases), 1):
            path = f"/api/productions/{production['id']}/{mount}/bulk"
            for scope in (production["id"], production["uuid"]):
                own = create(entity, productionId=scope)
                client.post(path, json={"operations": [own]}).raise_for_status()
            assert len(listed(client, production, entity)) == 2 * number


@pytest.fixture
async def older(empty_database: str) -> str:
    """Return a database where an older service's index still keeps labels unique everywhere."""
    await upgrade(empty_database, needed() or history()[0].name, say=quiet)
    return empty_database


async def test_while_labels_are_unique_everywhere_a_clash_is_one_operations_own(
    older: str,
) -> None:
    with service(older) as client:
        show, other = (created(client, "productions", name=name) for name in "ab")
        for entity in OLDER:
            many = [create(entity), create(entity, id="HELD")]
            send(client, show, entity, *many).raise_for_status()
            operations = [create(entity), update(f"{entity.prefix} 2", id="HELD"), create(entity)]
            body = send(client, other, entity, *operations, atomic=False).json()
            statuses = [result["status"] for result in body["results"]]
            assert statuses == ["created", "failed", "created"]
            assert body["results"][1]["error"]["code"] == "DUPLICATE_ID"
            assert send(client, other, entity, *operations).status_code == 409
            labels = [row["id"] for row in listed(client, other, entity)]
            assert labels == [f"{entity.prefix} {n}" for n in (2, 3)]
        numbers = [entry[0] for entry in await logged(older, other["uuid"])]
        assert numbers == list(range(1, await counted(older, other["uuid"]) + 1))


def test_a_deleted_production_takes_no_rows(client: httpx.Client, production: Made) -> None:
    client.delete(f"/api/productions/{production['uuid']}").raise_for_status()
    answer = send(client, production, SCOPED[0], create(SCOPED[0]))
    assert (answer.status_code, answer.json()["error"]) == (404, "Production not found")


@scoped
def test_what_a_bulk_deleted_a_bulk_brings_back(
    client: httpx.Client, production: Made, make: Any, entity: type[Row]
) -> None:
    rows = [make(entity.collection, **minimal(entity, note="a")) for _ in range(4)]
    send(client, production, entity, *(delete(row["uuid"]) for row in rows[:3])).raise_for_status()
    rows[3] = client.put(
        f"/api/{entity.collection}/{rows[3]['uuid']}", json={"note": "b"}
    ).json()  # fmt: skip
    operations = [
        restore(rows[0]["uuid"]), restore(rows[1]["uuid"], data={"userId": "bob"}),
        update(rows[0]["uuid"], note="c"), restore(rows[3]["id"], version=1),
        restore(rows[3]["uuid"], data={"version": 1, "fields": ["note"]}), restore(rows[3]["id"]),
    ]  # fmt: skip
    answer = send(client, production, entity, *operations, userId="anna").raise_for_status()
    results = answer.json()["results"]
    assert [result["status"] for result in results] == [
        "restored", "restored", "updated", "restored", "unchanged", "unchanged",
    ]  # fmt: skip
    assert [result["entity"]["lastModifiedBy"] for result in results[:4]] == [
        "anna", "bob", "anna", "anna",
    ]  # fmt: skip
    now = {row["uuid"]: row["note"] for row in listed(client, production, entity)}
    assert now == {rows[0]["uuid"]: "c", rows[1]["uuid"]: "a", rows[3]["uuid"]: "a"}
    assert "x-ignored-fields" not in answer.headers
    named = send(client, production, entity, restore(rows[2]["uuid"], mood="calm"))
    assert named.raise_for_status().headers["x-ignored-fields"] == "mood"


@pytest.mark.parametrize("atomic", [True, False], ids=["all or nothing", "each for itself"])
@pytest.mark.parametrize("entity", UNIQUE_LABELS, ids=named)
def test_a_restore_that_is_refused_is_refused_as_alone(
    client: httpx.Client, production: Made, make: Any, entity: type[Row], atomic: bool
) -> None:
    elsewhere = created(client, "productions", name="Elsewhere")
    row, other = make(entity.collection, **minimal(entity)), make(
        entity.collection, **minimal(entity, productionId=elsewhere["id"])
    )  # fmt: skip
    for one in (row, other):
        client.delete(f"/api/{entity.collection}/{one['uuid']}").raise_for_status()
    taken = make(entity.collection, **minimal(entity, id=row["id"]))
    path, nobody = f"/api/{entity.collection}", str(uuid4())
    operations = [
        restore(row["uuid"]), restore(nobody), restore("NOBODY"), restore(other["uuid"]),
        restore(row["uuid"], version=9), restore(taken["uuid"], data={"fields": ["id"]}),
        delete(taken["uuid"]), restore(row["uuid"]),
    ]  # fmt: skip
    answer = send(client, production, entity, *operations, atomic=atomic)
    results = [(r["status"], r.get("error", {}).get("code")) for r in answer.json()["results"]]
    if atomic:
        assert (answer.status_code, answer.json()["code"]) == (409, "BULK_FAILED")
        assert results == [("failed", "DUPLICATE_ID"), *[("undone", None)] * 7]
        assert answer.json()["results"][0]["error"] == client.post(
            f"{path}/{row['uuid']}/restore"
        ).json()  # fmt: skip
        return
    assert answer.raise_for_status().json()["failed"] == 6
    assert results == [
        ("failed", "DUPLICATE_ID"), *[("failed", "NOT_FOUND")] * 3, *[("failed", "INVALID")] * 2,
        ("deleted", None), ("restored", None),
    ]  # fmt: skip
    assert client.get(f"{path}/{other['uuid']}").status_code == 404
    assert [one["uuid"] for one in listed(client, production, entity)] == [row["uuid"]]

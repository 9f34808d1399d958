"""Offline work in one batch: what each mutation meets, and what a batch leaves behind."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.model.entity import Row
from app.model.secret_fields import public
from tests.support import databases
from tests.support.bodies import SCOPED, SCOPED_REPRESENTATIVES, minimal, named
from tests.support.holding import counted, logged
from tests.support.offline import (
    Made,
    changing,
    deleting,
    log_of,
    making,
    send,
    statuses,
    synced,
)
from tests.support.service import created
from tests.test_writer import listening

scoped = pytest.mark.parametrize("entity", SCOPED_REPRESENTATIVES, ids=named)
CAMERAS, CCUS, SOURCES, SENDS, CONNECTIONS = (
    next(entity for entity in SCOPED if entity.collection == name)
    for name in ("cameras", "ccus", "sources", "sends", "connections")
)


def title(entity: type[Row]) -> str:
    """Return the first member that a create needs."""
    return next(iter(minimal(entity)))


def listed(client: httpx.Client, production: Made, entity: type[Row]) -> Any:
    return client.get(f"/api/{entity.collection}/production/{production['uuid']}").json()


def put(client: httpx.Client, entity: type[Row], row: Made, **members: Any) -> Any:
    path = f"/api/{entity.collection}/{row['uuid']}"
    return client.put(path, json=members).raise_for_status().json()


@scoped
async def test_the_order_of_the_batch_is_the_order_of_the_log(
    client: httpx.Client, production: Made, make: Any, shared_database: str, entity: type[Row]
) -> None:
    old, new = make(entity.collection, **minimal(entity, id="OLD")), str(uuid4())
    before = await counted(shared_database, production["uuid"])
    async with listening(shared_database) as heard:
        body = await asyncio.to_thread(
            synced, client, production,
            making(entity, new, id="NEW"), changing(entity, old["uuid"], 1, note="a"),
            changing(entity, new, 1, note="b"), changing(entity, "NEW", note="c"),
            deleting(entity, old["uuid"], 1), making(entity, id="OLD"),
            since=before, userId="anna", userName="Anna", clientId="laptop 1",
        )  # fmt: skip
    assert statuses(body) == ["applied"] * 6
    assert [result["index"] for result in body["results"]] == list(range(6))
    assert [result["entity"]["version"] for result in body["results"]] == [1, 2, 2, 3, 3, 1]
    assert body["results"][4]["entity"]["isDeleted"] is True
    log = await logged(shared_database, production["uuid"])
    assert log[before:] == [
        [before + n, *entry, "anna"]
        for n, entry in enumerate(
            [("CREATE", "NEW"), ("UPDATE", "OLD"), ("UPDATE", "NEW"), ("UPDATE", "NEW"),
             ("DELETE", "OLD"), ("CREATE", "OLD")], 1,
        )
    ]  # fmt: skip
    ours = [told for told in heard if told.startswith(production["uuid"])]
    assert [told.split()[1] for told in ours] == [str(before + n) for n in range(1, 7)]
    assert [change["seq"] for change in body["changes"]] == [before + n for n in range(1, 7)]
    assert (body["next"], body["latest"], body["more"]) == (before + 6, before + 6, False)
    assert [row["note"] for row in listed(client, production, entity)] == ["c", None]


@scoped
def test_the_entity_is_the_row_as_its_own_path_gives_it(
    client: httpx.Client, production: Made, make: Any, entity: type[Row]
) -> None:
    row = make(entity.collection, **minimal(entity))
    answer = send(
        client, production, changing(entity, row["uuid"], 1, note="é 🎥"), making(entity)
    )  # fmt: skip
    for result in answer.raise_for_status().json()["results"]:
        alone = client.get(f"/api/{entity.collection}/{result['entity']['uuid']}")
        assert result["entity"] == public(entity, alone.json())
        assert entity.secrets or alone.content in answer.content


@scoped
def test_what_others_did_meanwhile_is_merged_or_in_conflict(
    client: httpx.Client, production: Made, make: Any, entity: type[Row]
) -> None:
    row, name = make(entity.collection, **minimal(entity)), title(entity)
    put(client, entity, row, version=1, note="Theirs")
    mine = changing(entity, row["uuid"], 1, **{name: "Mine", "note": None})
    same = changing(entity, row["uuid"], 1, note="Theirs")
    clash = changing(entity, row["uuid"], 1, **{name: "Mine too", "note": "Mine"})
    body = synced(client, production, mine, same, clash)
    assert statuses(body) == ["merged", "merged", "conflict"]
    first, second, third = body["results"]
    assert (first["entity"][name], first["entity"]["note"], first["entity"]["version"]) == (
        "Mine", "Theirs", 3,
    )  # fmt: skip
    assert second["entity"] == first["entity"], "equal values write nothing"
    assert (third["error"]["code"], third["error"]["serverData"]) == (
        "VERSION_CONFLICT", first["entity"],
    )  # fmt: skip
    [conflict] = third["error"]["conflicts"]
    assert (conflict["fieldName"], conflict["baseValue"], conflict["clientValue"],
            conflict["serverValue"]) == ("note", None, "Mine", "Theirs")  # fmt: skip


@scoped
def test_several_edits_of_a_row_may_all_start_from_the_version_that_went_offline(
    client: httpx.Client, production: Made, make: Any, entity: type[Row]
) -> None:
    row, name = make(entity.collection, **minimal(entity)), title(entity)
    edits = [changing(entity, row["uuid"], 1, **{name: f"Step {n}"}) for n in range(3)]
    body = synced(client, production, *edits, deleting(entity, row["uuid"], 1))
    assert statuses(body) == ["applied"] * 4
    other = make(entity.collection, **minimal(entity))
    put(client, entity, other, version=1, note="Theirs")
    edits = [changing(entity, other["uuid"], 1, **{name: f"Step {n}"}) for n in range(3)]
    edits.append(changing(entity, other["uuid"], 1, note="Mine"))
    body = synced(client, production, *edits)
    assert statuses(body) == ["merged", "merged", "merged", "conflict"]
    after = client.get(f"/api/{entity.collection}/{other['uuid']}").json()
    assert (after[name], after["note"]) == ("Step 2", "Theirs")


@scoped
def test_the_base_may_be_versions_by_field_and_stand_in_the_data(
    client: httpx.Client, production: Made, make: Any, entity: type[Row]
) -> None:
    row, name = make(entity.collection, **minimal(entity)), title(entity)
    seen = put(client, entity, row, version=1, note="Seen")
    put(client, entity, row, version=2, note="Theirs")
    inside = changing(entity, row["uuid"], fieldVersions=seen["fieldVersions"], **{name: "Mine"})
    beside = {
        **changing(entity, row["uuid"], note="Mine"), "fieldVersions": seen["fieldVersions"],
    }  # fmt: skip
    body = synced(client, production, inside, beside)
    assert statuses(body) == ["merged", "conflict"]
    assert body["results"][1]["error"]["conflicts"][0]["baseValue"] == "Seen"


@scoped
async def test_without_a_base_the_last_write_wins_and_the_log_says_so(
    client: httpx.Client, production: Made, make: Any, shared_database: str, entity: type[Row]
) -> None:
    row = make(entity.collection, **minimal(entity))
    put(client, entity, row, version=1, note="Theirs")
    body = synced(client, production, changing(entity, row["uuid"], note="Mine"), since=0)
    assert statuses(body) == ["applied"]
    assert [change["blind"] for change in body["changes"]][-2:] == [False, True]
    put(client, entity, row, note="Theirs again")
    assert statuses(synced(client, production, deleting(entity, row["uuid"]))) == ["applied"]


@scoped
async def test_a_delete_does_not_throw_away_what_others_did(
    client: httpx.Client, production: Made, make: Any, shared_database: str, entity: type[Row]
) -> None:
    row, name = make(entity.collection, **minimal(entity)), title(entity)
    seen = put(client, entity, row, version=1, **{name: "Mine"})
    put(client, entity, row, version=2, note="Theirs")
    before = await log_of(shared_database, production["uuid"])
    by_fields = {
        **deleting(entity, row["uuid"]), "data": {"fieldVersions": seen["fieldVersions"]},
    }  # fmt: skip
    ahead = deleting(entity, row["uuid"], 9)
    body = synced(client, production, deleting(entity, row["uuid"], 2), by_fields, ahead)
    assert statuses(body) == ["conflict"] * 3
    for result in body["results"][:2]:
        error = result["error"]
        assert (error["code"], error["reason"]) == ("VERSION_CONFLICT", "changed")
        assert (error["currentVersion"], error["serverData"]["note"]) == (3, "Theirs")
        [conflict] = error["conflicts"]
        assert (conflict["fieldName"], conflict["baseValue"], conflict["serverValue"]) == (
            "note", None, "Theirs",
        )  # fmt: skip
    assert await log_of(shared_database, production["uuid"]) == before
    assert statuses(synced(client, production, deleting(entity, row["uuid"], 3))) == ["applied"]


@scoped
async def test_a_row_that_was_deleted_meanwhile(
    client: httpx.Client, production: Made, make: Any, shared_database: str, entity: type[Row]
) -> None:
    row = make(entity.collection, **minimal(entity, note="Last"))
    path = f"/api/{entity.collection}/{row['uuid']}"
    client.request("DELETE", path, json={"userName": "Ben"}).raise_for_status()
    before = await log_of(shared_database, production["uuid"])
    edit = changing(entity, row["uuid"], 1, note="Mine")
    again = making(entity, row["uuid"])
    body = synced(client, production, edit, deleting(entity, row["uuid"], 1), again)
    assert statuses(body) == ["conflict", "merged", "conflict"]
    assert await log_of(shared_database, production["uuid"]) == before
    assert body["results"][1]["entity"]["isDeleted"] is True
    for result in (body["results"][0], body["results"][2]):
        error = result["error"]
        assert (error["code"], error["reason"]) == ("VERSION_CONFLICT", "deleted")
        assert "deleted by Ben" in error["message"]
        assert (error["serverData"]["note"], error["serverData"]["isDeleted"]) == ("Last", True)
    client.post(body["results"][0]["error"]["restore"], json={}).raise_for_status()
    body = synced(client, production, edit)
    assert (statuses(body), body["results"][0]["entity"]["note"]) == (["merged"], "Mine")


@scoped
def test_a_uuid_that_is_there_already(
    client: httpx.Client, production: Made, make: Any, entity: type[Row]
) -> None:
    other = created(client, "productions", name="Another show")
    theirs = created(client, entity.collection, productionId=other["id"], **minimal(entity))
    ours = make(entity.collection, **minimal(entity))
    body = synced(client, production, making(entity, ours["uuid"]), making(entity, theirs["uuid"]),
                  changing(entity, theirs["uuid"], note="x"), deleting(entity, theirs["uuid"]),
                  deleting(entity, str(uuid4())))  # fmt: skip
    assert statuses(body) == ["duplicate", *["rejected"] * 4]
    assert body["results"][0]["entity"] == public(entity, ours)
    codes = [result["error"]["code"] for result in body["results"][1:]]
    assert codes == ["DUPLICATE_UUID", "NOT_FOUND", "NOT_FOUND", "NOT_FOUND"]


@pytest.mark.parametrize("relabel", [False, True])
@pytest.mark.parametrize("entity", SCOPED, ids=named)
def test_a_label_that_is_taken(
    client: httpx.Client, production: Made, make: Any, entity: type[Row], relabel: bool
) -> None:
    theirs = make(entity.collection, **minimal(entity, id="ROW 1"))
    mine = making(entity, id="ROW 1")
    body = synced(client, production, mine, relabel=relabel)
    [result] = body["results"]
    if entity.allow_duplicate_labels:
        assert (result["status"], result["entity"]["id"]) == ("applied", "ROW 1")
    elif relabel:
        assert (result["status"], result["entity"]["id"]) == ("merged", "ROW 2")
        follow = changing(entity, "ROW 1", note="Theirs, by now")
        assert synced(client, production, follow)["results"][0]["entity"]["uuid"] == theirs["uuid"]
    else:
        assert (result["status"], result["error"]["code"]) == ("rejected", "DUPLICATE_ID")
        assert result["error"]["suggestedId"] == "ROW 2"
        again = synced(client, production, mine, relabel=True)["results"][0]
        assert (again["status"], again["entity"]["id"]) == ("merged", "ROW 2")


@pytest.mark.parametrize("relabel", [False, True])
def test_a_label_means_the_row_of_this_batch_that_did_not_get_it(
    client: httpx.Client, production: Made, make: Any, relabel: bool
) -> None:
    """Else an edit that was meant for it would meet somebody else's row."""
    theirs, source = make("ccus", name="Theirs", id="CCU 1"), make("sources", name="S", type="x")
    mine = str(uuid4())
    body = synced(
        client, production,
        making(CCUS, mine, id="CCU 1"), changing(CCUS, "CCU 1", note="mine"),
        making(CAMERAS, ccuId="CCU 1"),
        making(CONNECTIONS, sourceUuid=source["uuid"], destinationType="CCU",
               destinationId="CCU 1"),
        deleting(CCUS, "CCU 1"),
        relabel=relabel,
    )  # fmt: skip
    after = client.get(f"/api/ccus/{theirs['uuid']}").json()
    assert after == theirs
    if not relabel:
        assert statuses(body) == ["rejected"] * 5
        assert all("refused" in result["error"]["message"] for result in body["results"][1:])
        return
    assert statuses(body) == ["merged", *["applied"] * 4]
    assert body["results"][1]["entity"]["uuid"] == mine
    assert body["results"][2]["entity"]["ccuUuid"] == mine
    wire = body["results"][3]["entity"]
    assert (wire["destinationUuid"], wire["destinationId"]) == (mine, "CCU 2")


def test_later_mutations_may_refer_to_rows_made_earlier(
    client: httpx.Client, production: Made
) -> None:
    ccu, source, send_to = (str(uuid4()) for _ in range(3))
    body = synced(
        client, production,
        making(CCUS, ccu, id="CCU 7"), making(CAMERAS, ccuUuid=ccu), making(CAMERAS, ccuId="CCU 7"),
        making(SOURCES, source, id="SRC 9"), making(SENDS, send_to, id="SEND 3"),
        making(CONNECTIONS, sourceId="SRC 9", destinationType="SEND", destinationId="SEND 3"),
        making(CAMERAS, ccuUuid=str(uuid4())), changing(CAMERAS, "CAM 1", 1, note="by label"),
    )  # fmt: skip
    assert statuses(body) == [*["applied"] * 6, "rejected", "applied"]
    rows = [result.get("entity") for result in body["results"]]
    assert [rows[1]["ccuUuid"], rows[2]["ccuUuid"]] == [ccu, ccu]
    assert (rows[5]["sourceUuid"], rows[5]["destinationUuid"]) == (source, send_to)


def test_what_a_delete_clears_is_the_batchs_own_doing(
    client: httpx.Client, production: Made, make: Any
) -> None:
    one, two = (make("ccus", name="x") for _ in range(2))
    camera = make("cameras", name="x", ccuUuid=one["uuid"])
    body = synced(client, production, deleting(CCUS, one["uuid"], 1),
                  changing(CAMERAS, camera["uuid"], 1, ccuUuid=two["uuid"]))  # fmt: skip
    assert statuses(body) == ["applied", "applied"]
    assert body["results"][1]["entity"]["ccuId"] == two["id"]


def test_lists_are_merged_by_element_and_an_own_list_is_not_taken_for_a_deletion(
    client: httpx.Client, production: Made, make: Any
) -> None:
    a, b, theirs_new, mine_new = ({"id": word, "connector": "SDI"} for word in "ABTM")
    row = make("sources", name="S", type="x", outputs=[a, b])
    ours = [dict(output) for output in row["outputs"]]
    put(client, SOURCES, row, version=1, outputs=[*ours, theirs_new])
    ours[1]["connector"] = "HDMI"
    first = changing(SOURCES, row["uuid"], 1, outputs=ours)
    second = changing(SOURCES, row["uuid"], 1, outputs=[*ours, mine_new])
    body = synced(client, production, first, second)
    assert statuses(body) == ["merged", "merged"]
    outputs = body["results"][1]["entity"]["outputs"]
    assert {output["id"] for output in outputs} == {"A", "B", "T", "M"}
    assert next(o for o in outputs if o["id"] == "B")["connector"] == "HDMI"


def test_the_production_itself_is_updated_and_nothing_else(
    client: httpx.Client, production: Made
) -> None:
    other = created(client, "productions", name="Another show")
    root = {"collection": "productions"}
    edit = {"mutationId": "1", "op": "update", **root, "uuid": production["uuid"], "version": 1}
    put_venue = {**edit, "data": {"venue": "Hall A"}}
    wrong = [
        {**edit, "mutationId": "2", "version": None, "data": {"venue": "Hall B"}},
        {**edit, "mutationId": "3", "uuid": other["uuid"], "data": {"venue": "Hall B"}},
        {**edit, "mutationId": "4", "op": "delete"},
        {**edit, "mutationId": "5", "op": "create", "data": {"name": "x"}},
    ]
    body = synced(client, production, put_venue, *wrong)
    assert statuses(body) == ["applied", *["rejected"] * 4]
    codes = [result["error"]["code"] for result in body["results"][1:]]
    assert codes == ["VERSION_REQUIRED", "WRONG_PRODUCTION", "INVALID", "INVALID"]
    assert body["results"][0]["entity"]["venue"] == "Hall A"
    assert client.get(f"/api/productions/{other['uuid']}").json() == other
    merged = changing(SCOPED[0], production["id"], 1, room="Room 1")
    merged["collection"] = "productions"
    client.put(f"/api/productions/{production['uuid']}", json={"version": 2, "client": "C"})
    assert statuses(synced(client, production, merged)) == ["merged"]


def test_every_mount_of_a_collection_may_be_named(client: httpx.Client, production: Made) -> None:
    for entity in SCOPED:
        for mount in (entity.collection, *entity.path_aliases):
            one = {**making(entity), "collection": mount}
            assert statuses(synced(client, production, one)) == ["applied"]
        assert len(listed(client, production, entity)) == 1 + len(entity.path_aliases)


BAD: dict[str, Any] = {
    "nothing": None, "text": "text", "a list": [], "empty": {}, "no id": {"op": "delete"},
    "an id of another type": {"mutationId": 5}, "no operation": {"mutationId": "a"},
    "an empty id": {"mutationId": ""}, "a long id": {"mutationId": "x" * 129},
    "NUL in the id": {"mutationId": "a\x00"},
    "another operation": {"mutationId": "a", "op": "drop", "collection": "cameras"},
    "no collection": {"mutationId": "a", "op": "create", "data": {}},
    "another collection": {"mutationId": "a", "op": "create", "collection": "x\x00", "data": {}},
    "no data": {"mutationId": "a", "op": "create", "collection": "cameras"},
    "data of another type": {"mutationId": "a", "op": "create", "collection": "cameras",
                             "data": []},
    "missing members": {"mutationId": "a", "op": "create", "collection": "cameras", "data": {}},
    "NUL in a value": {"mutationId": "a", "op": "create", "collection": "cameras",
                       "data": {"name": "a\x00"}},
    "a NUL in a name": {"mutationId": "a", "op": "create", "collection": "connections",
                        "data": {"destinationType": "x", "signalPath": {"a\x00": {"b": "\x00"}}}},
    "no row": {"mutationId": "a", "op": "update", "collection": "cameras", "data": {}},
    "a key that is not there": {"mutationId": "a", "op": "delete", "collection": "cameras",
                                "key": "NOBODY"},
    "a key with NUL": {"mutationId": "a", "op": "delete", "collection": "cameras", "key": "\x00"},
    "a uuid that is none": {"mutationId": "a", "op": "delete", "collection": "cameras",
                            "uuid": "none"},
    "two uuids": {"mutationId": "a", "op": "create", "collection": "cameras",
                  "uuid": str(uuid4()), "data": {"name": "x", "uuid": str(uuid4())}},
    "another show": {"mutationId": "a", "op": "create", "collection": "cameras",
                     "data": {"name": "x", "productionId": "ELSEWHERE"}},
    "a version of another type": {"mutationId": "a", "op": "delete", "collection": "cameras",
                                  "key": "x", "version": "1"},
    "a version too large": {"mutationId": "a", "op": "delete", "collection": "cameras",
                            "key": "x", "version": 2**31},
    "no such reference": {"mutationId": "a", "op": "create", "collection": "cameras",
                          "data": {"name": "x", "ccuId": "NO CCU"}},
}  # fmt: skip


@pytest.mark.parametrize("bad", BAD)
async def test_a_bad_mutation_spoils_no_other(
    client: httpx.Client, production: Made, shared_database: str, bad: str
) -> None:
    before = await counted(shared_database, production["uuid"])
    good = [making(CAMERAS, id=f"CAM {n}") for n in range(2)]
    body = synced(client, production, good[0], BAD[bad], good[1], since=before)
    assert statuses(body) == ["applied", "rejected", "applied"]
    error = body["results"][1]["error"]
    assert error["status"] in {400, 404, 422}
    assert [change["seq"] for change in body["changes"]] == [before + 1, before + 2]
    assert len(await logged(shared_database, production["uuid"])) == before + 2
    shown = client.get(f"/api/productions/{production['uuid']}/sync/runs/{body['runUuid']}")
    [one] = [x for x in shown.raise_for_status().json()["results"] if x["status"] == "rejected"]
    assert one["code"] == error["code"]


async def test_bad_ones_of_every_kind_among_many_good_ones(
    client: httpx.Client, production: Made, shared_database: str
) -> None:
    good = [making(CAMERAS, id=f"N {n}") for n in range(120)]
    mixed = list(good)
    for place, bad in enumerate(BAD.values()):
        mixed.insert(place * 5, bad)
    body = synced(client, production, *mixed)
    assert statuses(body).count("applied") == 120
    assert [row["id"] for row in listed(client, production, CAMERAS)] == [
        f"N {n}" for n in range(120)
    ]
    log = await logged(shared_database, production["uuid"])
    assert [entry[0] for entry in log] == list(range(1, 122))
    ids = [result["mutationId"] for result in body["results"] if result["status"] == "applied"]
    assert ids == [one["mutationId"] for one in good]


async def test_one_that_postgresql_itself_refuses_spoils_no_other(
    client: httpx.Client, production: Made, make: Any, shared_database: str
) -> None:
    """The others are done a second time then, each in a savepoint of its own."""
    outputs = [{"id": "A", "connector": "SDI"}]
    theirs, ours = (make("sources", name="S", type="x", outputs=outputs) for _ in range(2))
    stolen = [{"uuid": theirs["outputs"][0]["uuid"], "id": "B", "connector": "SDI"}]
    new = making(SOURCES, id="SRC 9")
    before = await counted(shared_database, production["uuid"])
    body = synced(
        client, production, new, new, changing(SOURCES, ours["uuid"], 1, note="a"),
        changing(SOURCES, ours["uuid"], 1, outputs=stolen),
        changing(SOURCES, ours["uuid"], 1, note="b"), making(SOURCES, id="SRC 9"),
        relabel=True,
    )  # fmt: skip
    assert statuses(body) == [
        "applied", "duplicate", "applied", "rejected", "applied", "merged",
    ]  # fmt: skip
    assert body["results"][3]["error"]["code"] == "DUPLICATE_UUID"
    assert await counted(shared_database, production["uuid"]) == before + 4
    assert client.get(f"/api/sources/{theirs['uuid']}").json() == theirs


async def holdings(url: str) -> list[object]:
    """Count what lies in every table that a batch may write, runs left out."""
    tables = ["changes", "sync_mutations", *(str(e.__tablename__) for e in SCOPED)]
    counts = "UNION ALL ".join(f"SELECT count(*) FROM {table} " for table in tables)
    return await databases.column(url, counts)


@pytest.mark.parametrize("how", ["dryRun", "atomic"])
@scoped
async def test_what_is_only_tried_or_taken_back_leaves_nothing(
    client: httpx.Client, production: Made, make: Any, shared_database: str, entity: type[Row],
    how: str,
) -> None:  # fmt: skip
    row = make(entity.collection, **minimal(entity))
    batch = [making(entity, id="NEW"), changing(entity, row["uuid"], 1, note="x"),
             changing(entity, row["uuid"], 9, note="y"), deleting(entity, "NOBODY"),
             deleting(entity, row["uuid"])]  # fmt: skip
    before = await holdings(shared_database), await counted(shared_database, production["uuid"])
    async with listening(shared_database) as heard:
        answer = await asyncio.to_thread(
            send, client, production, *batch, since=before[1], **{how: True}
        )  # fmt: skip
    after = await holdings(shared_database), await counted(shared_database, production["uuid"])
    assert after == before
    assert not [told for told in heard if told.startswith(production["uuid"])]
    body = answer.json()
    if how == "dryRun":
        assert (answer.status_code, body["dryRun"]) == (200, True)
        assert statuses(body) == ["applied", "applied", "conflict", "rejected", "applied"]
        assert (body["changes"], body["latest"]) == ([], before[1])
    else:
        assert (answer.status_code, body["code"]) == (409, "SYNC_FAILED")
        assert statuses(body) == ["undone", "undone", "conflict", "rejected", "undone"]
    run = client.get(f"/api/productions/{production['uuid']}/sync/runs/{body['runUuid']}").json()
    assert (run["dryRun"], run["atomic"]) == (how == "dryRun", how == "atomic")
    assert [one["status"] for one in run["results"]] == statuses(body)
    assert statuses(synced(client, production, *batch)) == [
        "applied", "applied", "conflict", "rejected", "applied",
    ]  # fmt: skip


@scoped
def test_an_atomic_batch_that_is_fine_is_done(
    client: httpx.Client, production: Made, entity: type[Row]
) -> None:
    batch = [making(entity), making(entity)]
    assert statuses(synced(client, production, *batch, atomic=True)) == ["applied"] * 2
    assert statuses(synced(client, production, *batch, atomic=True)) == ["duplicate"] * 2
    tried = synced(client, production, making(entity), BAD["text"], atomic=True, dryRun=True)
    assert statuses(tried) == ["undone", "rejected"]
    assert len(listed(client, production, entity)) == 2


def test_a_batch_without_mutations_is_a_pull(
    client: httpx.Client, production: Made, make: Any
) -> None:
    for _ in range(5):
        make("ccus", name="x")
    feed = client.get(f"/api/productions/{production['uuid']}/changes?since=2&limit=3").json()
    body = synced(client, production, since=2, limit=3)
    assert {name: body[name] for name in feed} == feed
    assert (body["results"], body["more"], body["next"]) == ([], True, 5)
    body = synced(client, production)
    assert (body["changes"], body["next"], body["latest"], body["more"]) == ([], None, 6, False)


async def test_a_trimmed_log_refuses_no_batch(
    client: httpx.Client, production: Made, make: Any, shared_database: str
) -> None:
    row = make("ccus", name="x")
    put(client, CCUS, row, version=1, note="Theirs")
    trim = "DELETE FROM changes WHERE production_uuid = $1 AND seq <= 2"
    await databases.execute(shared_database, trim, production["uuid"])
    new, edit = making(CCUS), changing(CCUS, row["uuid"], 1, note="Mine")
    body = synced(client, production, new, edit, since=1)
    assert statuses(body) == ["applied", "conflict"]
    assert (body["changes"], body["next"], body["latest"], body["more"]) == ([], None, 4, False)
    resync = body["resync"]
    assert (resync["oldest"], resync["latest"]) == (3, 4)
    shown = client.get(resync["show"]).raise_for_status().json()
    assert new["uuid"] in {ccu["uuid"] for ccu in shown["ccus"]}
    assert "resync" not in synced(client, production, since=2)


def test_a_client_that_knows_more_than_the_log_must_start_again(
    client: httpx.Client, production: Made
) -> None:
    """The database was restored; what the batch itself writes does not hide that."""
    body = synced(client, production, *(making(CCUS) for _ in range(5)), since=3)
    assert statuses(body) == ["applied"] * 5
    assert (body["resync"]["latest"], body["next"]) == (6, None)


@scoped
def test_what_is_not_known_is_ignored_and_named(
    client: httpx.Client, production: Made, entity: type[Row]
) -> None:
    one = making(entity, metadata=1) | {"extra": 1}
    answer = send(client, production, one, hint=True)
    assert answer.status_code == 200
    assert answer.headers["x-ignored-fields"] == "hint, extra, metadata"


@scoped
async def test_who_did_it_may_be_said_once_or_for_each(
    client: httpx.Client, production: Made, make: Any, shared_database: str, entity: type[Row]
) -> None:
    row = make(entity.collection, **minimal(entity))
    gone = {**deleting(entity, row["uuid"]), "data": {"userId": "ben", "name": 5}}
    said = {"userId": "anna", "userName": "Anna", "lastModifiedBy": "anna@truck"}
    synced(client, production, making(entity), making(entity, userId="cleo"), gone, **said)
    sql = "SELECT user_id || ' ' || user_name FROM changes WHERE production_uuid = $1 ORDER BY seq"
    names = await databases.column(shared_database, sql, production["uuid"])
    assert names[2:] == ["anna Anna", "cleo System", "ben System"]


def test_runs_can_be_read(client: httpx.Client, production: Made) -> None:
    path = f"/api/productions/{production['id']}/sync/runs"
    assert client.get(path).json() == {"runs": [], "next": None}
    made = [
        synced(client, production, making(CCUS), BAD["text"], clientId=f"laptop {n}", since=1)
        for n in range(5)
    ]
    page = client.get(path, params={"limit": 2}).json()
    assert [run["clientId"] for run in page["runs"]] == ["laptop 4", "laptop 3"]
    rest = client.get(path, params={"limit": 3, "before": page["next"]}).json()
    assert [run["clientId"] for run in rest["runs"]] == ["laptop 2", "laptop 1", "laptop 0"]
    assert rest["next"] is None
    assert page["runs"][0]["counts"] == {"applied": 1, "rejected": 1}
    alone = client.get(f"{path}/{made[0]['runUuid']}").raise_for_status().json()
    results = alone.pop("results")
    assert alone.pop("requestId")
    assert alone == rest["runs"][2]
    entity = made[0]["results"][0]["entity"]
    assert (results[0]["entityUuid"], results[0]["version"]) == (entity["uuid"], 1)
    other = created(client, "productions", name="Another show")
    for wrong in (f"{path}/{uuid4()}",
                  f"/api/productions/{other['uuid']}/sync/runs/{made[0]['runUuid']}"):  # fmt: skip
        assert client.get(wrong).status_code == 404
    assert client.get(path, params={"before": "x"}).status_code == 422
    elsewhere = {"before": made[0]["runUuid"]}
    there = client.get(f"/api/productions/{other['uuid']}/sync/runs", params=elsewhere)
    assert there.json() == {"runs": [], "next": None}


FINE = {"mutationId": "a", "op": "delete", "collection": "cameras", "key": "x"}


@pytest.mark.parametrize(
    "body",
    [
        {}, [], None, "text", {"mutations": None}, {"mutations": {}}, {"mutations": "x"},
        {"mutations": [FINE] * 1_001}, {"mutations": [], "since": -1},
        {"mutations": [], "since": 2**63}, {"mutations": [], "since": "1"},
        {"mutations": [], "limit": 0}, {"mutations": [], "limit": 1_001},
        {"mutations": [], "clientId": ""}, {"mutations": [], "clientId": "x" * 129},
        {"mutations": [], "clientId": "a\x00"}, {"mutations": [], "clientId": 5},
        {"mutations": [], "atomic": "no"}, {"mutations": [], "atomic": None},
        {"mutations": [], "dryRun": 1}, {"mutations": [], "relabel": "yes"},
        {"mutations": [], "userId": 5}, {"mutations": [], "userName": "a\x00"},
    ],
    ids=range(23),
)  # fmt: skip
def test_a_body_of_another_shape_is_refused_as_a_whole(
    client: httpx.Client, production: Made, body: Any
) -> None:
    answer = client.post(f"/api/productions/{production['uuid']}/sync", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"]


@pytest.mark.parametrize("content", [b"{", b"[" * 100_000, b"\xff"])
def test_what_is_not_json_is_a_400(client: httpx.Client, production: Made, content: bytes) -> None:
    path = f"/api/productions/{production['uuid']}/sync"
    answer = client.post(path, content=content, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "BROKEN_JSON")


def test_a_show_that_is_not_there_takes_no_batch(client: httpx.Client, production: Made) -> None:
    for key in (str(uuid4()), "NO SHOW"):
        answer = send(client, {"uuid": key}, making(CCUS))
        assert (answer.status_code, answer.json()["error"]) == (404, "Production not found")
    client.delete(f"/api/productions/{production['uuid']}").raise_for_status()
    assert send(client, production, making(CCUS)).status_code == 404


def test_a_thousand_mutations_are_done_at_once(client: httpx.Client, production: Made) -> None:
    batch = [making(CCUS, note=f"row {n}") for n in range(500)]
    batch += [changing(CCUS, one["uuid"], 1, note="again") for one in batch]
    body = synced(client, production, *batch)
    assert statuses(body) == ["applied"] * 1_000
    assert statuses(synced(client, production, *batch)) == ["duplicate"] * 1_000

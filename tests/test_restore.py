"""Bringing rows back: by an ordinary, logged write, and by the rules of any other."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.changelog.log import Actor
from app.entities import root
from app.model.entity import Row
from app.store.history import RestoreBody, restore
from app.store.writer import Writer
from tests.support import databases
from tests.support.bodies import (
    ALL,
    REPRESENTATIVES,
    SCOPED,
    SCOPED_REPRESENTATIVES,
    full,
    minimal,
    named,
)
from tests.test_writer import changing, made, opened

every = pytest.mark.parametrize("entity", REPRESENTATIVES, ids=named)
scoped = pytest.mark.parametrize("entity", SCOPED_REPRESENTATIVES, ids=named)
# What every write gives anew.
NOT_RESTORED = {"version", "fieldVersions", "updatedAt", "lastModifiedBy"}


def path(entity: type[Row], row: dict[str, Any]) -> str:
    return f"/api/{entity.collection}/{row['uuid']}"


def back(client: httpx.Client, entity: type[Row], row: dict[str, Any], **body: Any) -> Any:
    return client.post(f"{path(entity, row)}/restore", json=body)


def entries(client: httpx.Client, entity: type[Row], row: dict[str, Any]) -> list[Any]:
    found: list[Any] = client.get(f"{path(entity, row)}/history").json()["history"]
    return found


def content(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in NOT_RESTORED}


def emptied(client: httpx.Client, entity: type[Row], row: dict[str, Any]) -> dict[str, Any]:
    """Make a row of nothing but what is required, all in one write; secrets would not go back."""
    optional = [
        entity.wire(name)
        for name in (*entity.editable(), *entity.parts)
        if name not in entity.secrets
        if name in entity.parts or "None" in str(entity.model_fields[name].annotation)
    ]
    name = next(iter(minimal(entity)))
    edit = {name: "Other", **dict.fromkeys(optional), "version": row["version"]}
    answer = client.put(path(entity, row), json=edit).raise_for_status().json()
    assert answer["version"] == row["version"] + 1
    return dict(answer)


# A live row


@every
def test_a_live_row_goes_back_whole_as_a_logged_update(
    client: httpx.Client, make: Any, entity: type[Row]
) -> None:
    row = make(entity.collection, **full(entity))
    other = emptied(client, entity, row)
    who = {"userId": "u7", "userName": "Ann", "lastModifiedBy": "Ann's laptop"}
    again = back(client, entity, row, version=1, **who).raise_for_status().json()
    assert content(again) == content(row)
    assert (again["version"], again["lastModifiedBy"]) == (3, "Ann's laptop")
    assert client.get(path(entity, row)).json() == again
    entry, before, *_ = entries(client, entity, row)
    assert (entry["operation"], entry["version"], entry["userName"]) == ("UPDATE", 3, "Ann")
    assert entry["changes"] == {n: pair[::-1] for n, pair in before["changes"].items()}
    forth = back(client, entity, row, version=2).raise_for_status().json()
    assert content(forth) == content(other)


@every
def test_only_the_named_fields_go_back(client: httpx.Client, make: Any, entity: type[Row]) -> None:
    name, other = next(iter(minimal(entity))), "note" if entity in SCOPED else "venue"
    row = make(entity.collection, **minimal(entity))
    edit = {name: "After", other: "After", "version": 1}
    client.put(path(entity, row), json=edit).raise_for_status()
    again = back(client, entity, row, version=1, fields=[other]).raise_for_status().json()
    assert (again[name], again[other], again["version"]) == ("After", row[other], 3)
    assert list(entries(client, entity, row)[0]["changes"]) == [other]


@every
def test_what_differs_in_nothing_writes_nothing(
    client: httpx.Client, make: Any, entity: type[Row]
) -> None:
    row = make(entity.collection, **full(entity))
    emptied(client, entity, row)
    again = back(client, entity, row, version=1).raise_for_status().json()
    for body in ({"version": 1}, {"version": 3}, {}, {"version": 1, "fields": ["id"]}):
        assert back(client, entity, row, **body).raise_for_status().json() == again
    assert len(entries(client, entity, row)) == 3


@every
def test_versions_and_fields_that_never_were_are_named(
    client: httpx.Client, make: Any, entity: type[Row]
) -> None:
    row = make(entity.collection, **minimal(entity))
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"version": 2}, "version"), ({"version": 0}, "version"), ({"version": "1"}, "version"),
        ({"version": 1, "fields": ["id", "uuid"]}, "fields.1"), ({"fields": ["id"]}, "version"),
        ({"version": 1, "fields": []}, "fields"), ({"version": 1, "fields": ["x"]}, "fields.0"),
    ]  # fmt: skip
    for body, where in wrong:
        answer = back(client, entity, row, **body)
        assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, where), body
    ignored = back(client, entity, row, version=1, mood="calm").raise_for_status()
    assert ignored.headers["x-ignored-fields"] == "mood"
    for key in ("NOBODY", str(uuid4())):
        answer = client.post(f"/api/{entity.collection}/{key}/restore", json={"version": 1})
        assert answer.status_code == 404


@every
async def test_a_version_that_the_log_does_not_hold_is_gone(
    client: httpx.Client, make: Any, shared_database: str, entity: type[Row]
) -> None:
    row = make(entity.collection, **full(entity))
    other = emptied(client, entity, row)
    sql = "DELETE FROM changes WHERE entity_uuid = $1 AND version = 1"
    await databases.execute(shared_database, sql, row["uuid"])
    answer = back(client, entity, row, version=1)
    assert (answer.status_code, answer.json()["code"]) == (410, "LOG_TRIMMED")
    assert (answer.json()["oldestVersion"], answer.json()["currentVersion"]) == (2, 2)
    assert client.get(path(entity, row)).json() == other
    client.delete(path(entity, row)).raise_for_status()
    assert back(client, entity, row, version=1).status_code == 410
    await databases.execute(
        shared_database, "DELETE FROM changes WHERE entity_uuid = $1", row["uuid"]
    )
    again = back(client, entity, row).raise_for_status().json()
    assert content(again) == content(other), "as it was last needs no log"


@every
async def test_a_field_that_was_not_declared_then_is_left_alone(
    client: httpx.Client, make: Any, shared_database: str, entity: type[Row]
) -> None:
    name, other = next(iter(minimal(entity))), "note" if entity in SCOPED else "venue"
    row = make(entity.collection, **minimal(entity))
    client.put(path(entity, row), json={name: "x", other: "x", "version": 1}).raise_for_status()
    sql = (
        "UPDATE changes SET entity = (entity::jsonb - $2::text)::json "
        "WHERE entity_uuid = $1 AND version = 1"
    )
    await databases.execute(shared_database, sql, row["uuid"], other)
    again = back(client, entity, row, version=1).raise_for_status().json()
    assert (again[name], again[other]) == (row[name], "x")


# A deleted row


@every
def test_a_deleted_row_comes_back_as_it_was_last(
    client: httpx.Client, make: Any, entity: type[Row]
) -> None:
    row = make(entity.collection, **full(entity))
    client.delete(path(entity, row)).raise_for_status()
    again = back(client, entity, row, userId="u7").raise_for_status().json()
    assert content(again) == content(row)
    assert (again["version"], again["isDeleted"], again["lastModifiedBy"]) == (3, False, "u7")
    assert client.get(path(entity, row)).json() == again
    entry, *older = entries(client, entity, row)
    assert (entry["operation"], entry["version"]) == ("CREATE", 3)
    assert entry["changes"] == {"isDeleted": [True, False]}
    assert [e["operation"] for e in older] == ["DELETE", "CREATE"]
    assert back(client, entity, row).raise_for_status().json() == again, "once is enough"
    assert len(entries(client, entity, row)) == 3


@every
def test_a_deleted_row_comes_back_as_it_was_at_a_version(
    client: httpx.Client, make: Any, entity: type[Row]
) -> None:
    row = make(entity.collection, **full(entity))
    other = emptied(client, entity, row)
    client.delete(path(entity, row)).raise_for_status()
    assert back(client, entity, row, version=1, fields=["id"]).status_code == 422
    again = back(client, entity, row, version=1).raise_for_status().json()
    assert content(again) == content(row)
    entry, _, before, *_ = entries(client, entity, row)
    expected = {name: pair[::-1] for name, pair in before["changes"].items()}
    assert entry["changes"] == {"isDeleted": [True, False], **expected}
    changed = set(before["changes"])
    assert {n for n, at in again["fieldVersions"].items() if at["version"] == 4} == changed
    assert content(back(client, entity, row, version=2).json()) == content(other)


@every
def test_who_edits_from_before_a_delete_still_merges(
    client: httpx.Client, make: Any, entity: type[Row]
) -> None:
    """The log's entry of the return must not pass for a change of every field."""
    name, other = next(iter(minimal(entity))), "note" if entity in SCOPED else "venue"
    row = make(entity.collection, **minimal(entity))
    client.put(path(entity, row), json={other: "Theirs", "version": 1}).raise_for_status()
    client.delete(path(entity, row)).raise_for_status()
    back(client, entity, row).raise_for_status()
    mine = client.put(path(entity, row), json={**row, "fieldVersions": None, name: "Mine"})
    after = mine.raise_for_status().json()
    assert (after[name], after[other], after["version"]) == ("Mine", "Theirs", 5)


@pytest.mark.parametrize("entity", ALL, ids=named)
def test_a_label_that_is_taken_meanwhile_is_refused_or_shared(
    client: httpx.Client, make: Any, entity: type[Row]
) -> None:
    label = f"BACK {uuid4().hex[:8]} {entity.prefix}"
    row = make(entity.collection, **minimal(entity, id=label))
    client.delete(path(entity, row)).raise_for_status()
    make(entity.collection, **minimal(entity, id=label))
    answer = back(client, entity, row)
    if entity.allow_duplicate_labels:
        assert answer.raise_for_status().json()["id"] == label
        return
    assert (answer.status_code, answer.json()["code"]) == (409, "DUPLICATE_ID")
    assert answer.json()["suggestedId"] not in {"", label}
    assert client.get(path(entity, row)).status_code == 404
    assert len(entries(client, entity, row)) == 2


@scoped
def test_a_row_of_a_deleted_production_waits_for_it(
    client: httpx.Client, make: Any, production: dict[str, Any], entity: type[Row]
) -> None:
    row, kept = (make(entity.collection, **minimal(entity)) for _ in range(2))
    client.delete(path(entity, row)).raise_for_status()
    client.delete(path(root(), production)).raise_for_status()
    for one in (row, kept):
        answer = back(client, entity, one, version=1)
        assert (answer.status_code, answer.json()["code"]) == (409, "CONFLICT")
        assert production["uuid"] in answer.json()["message"]
    again = back(client, root(), production).raise_for_status().json()
    assert content(again) == content(production)
    assert client.get(path(entity, kept)).raise_for_status().json() == kept
    assert client.get(path(entity, row)).status_code == 404
    back(client, entity, row).raise_for_status()


# What a row names


def test_a_reference_goes_back_where_its_end_still_lives(client: httpx.Client, make: Any) -> None:
    one, other = (make("ccus", name=f"CCU {n}") for n in range(2))
    row = make("cameras", name="x", ccuId=one["id"])
    client.put(f"/api/cameras/{row['uuid']}", json={"ccuId": other["id"]}).raise_for_status()
    url = f"/api/cameras/{row['uuid']}/restore"
    again = client.post(url, json={"version": 1, "fields": ["ccuId"]}).raise_for_status().json()
    assert (again["ccuUuid"], again["ccuId"]) == (one["uuid"], one["id"])
    client.post(url, json={"version": 2}).raise_for_status()
    client.delete(f"/api/ccus/{one['uuid']}").raise_for_status()
    answer = client.post(url, json={"version": 1})
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "ccuUuid")
    client.delete(f"/api/cameras/{row['uuid']}").raise_for_status()
    answer = client.post(url, json={"version": 1})
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "ccuUuid")
    client.post(f"/api/ccus/{one['uuid']}/restore", json={}).raise_for_status()
    again = client.post(url, json={"version": 1}).raise_for_status().json()
    assert again["ccuUuid"] == one["uuid"]


def test_a_deleted_camera_comes_back_without_the_ccu_that_it_once_had_not(
    client: httpx.Client, make: Any
) -> None:
    ccu = make("ccus", name="CCU")
    row = make("cameras", name="x")
    client.put(f"/api/cameras/{row['uuid']}", json={"ccuId": ccu["id"]}).raise_for_status()
    client.delete(f"/api/cameras/{row['uuid']}").raise_for_status()
    url = f"/api/cameras/{row['uuid']}/restore"
    again = client.post(url, json={"version": 1}).raise_for_status().json()
    assert (again["ccuUuid"], again["ccuId"]) == (None, None)


@pytest.mark.parametrize("deleted", [False, True], ids=["live", "deleted"])
def test_an_end_goes_back_by_its_uuid_whatever_it_is_called_today(
    client: httpx.Client, make: Any, deleted: bool
) -> None:
    one, other = (make("sends", name="x", type="y") for _ in range(2))
    ends = {"destinationType": "SEND", "destinationId": one["id"]}
    row = make("connections", **ends)
    url = f"/api/connections/{row['uuid']}"
    client.put(f"/api/sends/{one['uuid']}", json={"id": "RENAMED"}).raise_for_status()
    still = client.post(f"{url}/restore", json={"version": 1}).raise_for_status().json()
    assert (still["version"], still["destinationId"]) == (1, "RENAMED")
    client.put(url, json={"destinationId": other["id"]}).raise_for_status()
    if deleted:
        client.delete(url).raise_for_status()
    again = client.post(f"{url}/restore", json={"version": 1}).raise_for_status().json()
    assert (again["destinationUuid"], again["destinationId"]) == (one["uuid"], "RENAMED")


@pytest.mark.parametrize("deleted", [False, True], ids=["live", "deleted"])
def test_a_list_of_parts_goes_back_with_the_uuids_of_its_elements(
    client: httpx.Client, make: Any, deleted: bool
) -> None:
    outputs = [{"connector": name, "hRes": 1920} for name in ("HDMI", "SDI")]
    row = make("sources", name="x", type="y", outputs=outputs)
    url = f"/api/sources/{row['uuid']}"
    changed = [{**row["outputs"][1], "connector": "DP"}, {"connector": "NEW"}]
    client.put(url, json={"outputs": changed}).raise_for_status()
    if deleted:
        client.delete(url).raise_for_status()
    again = client.post(f"{url}/restore", json={"version": 1}).raise_for_status().json()
    assert again["outputs"] == row["outputs"]
    assert client.get(url).json() == again


def test_a_list_of_parts_stays_where_a_deleted_row_comes_back_as_it_was(
    client: httpx.Client, make: Any
) -> None:
    row = make("sources", name="x", type="y", outputs=[{"connector": "HDMI"}])
    url = f"/api/sources/{row['uuid']}"
    client.delete(url).raise_for_status()
    again = client.post(f"{url}/restore").raise_for_status().json()
    assert again["outputs"] == row["outputs"]


# Two write


@pytest.mark.parametrize("turned", [False, True], ids=["restore first", "edit first"])
@every
def test_an_edit_of_another_field_and_a_restore_both_win(
    client: httpx.Client, make: Any, entity: type[Row], turned: bool
) -> None:
    name, other = next(iter(minimal(entity))), "note" if entity in SCOPED else "venue"
    row = make(entity.collection, **minimal(entity))
    client.put(path(entity, row), json={name: "Wrong", "version": 1}).raise_for_status()
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/restore", {"version": 1, "fields": [name]}),
        ("PUT", "", {other: "Mine", "version": 2}),
    ]
    for method, end, body in requests[::-1] if turned else requests:
        answer = client.request(method, f"{path(entity, row)}{end}", json=body)
        after = answer.raise_for_status().json()
    assert (after[name], after[other], after["version"]) == (row[name], "Mine", 4)


@every
def test_two_who_bring_a_row_back_at_once_bring_it_back_once(
    client: httpx.Client, make: Any, entity: type[Row]
) -> None:
    row = make(entity.collection, **full(entity))
    client.delete(path(entity, row)).raise_for_status()
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(back, client, entity, row, version=1) for _ in range(4)]
    answers = [done.result() for done in asked]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert len(entries(client, entity, row)) == 3


@every
async def test_a_restore_that_two_processes_run_at_once_is_logged_once(
    own_database: str, entity: type[Row]
) -> None:
    async with opened(own_database) as database, opened(own_database) as another:
        writers = Writer(database, 5), Writer(another, 5)
        row = await made(writers[0], entity)
        await writers[0].write("", changing(entity, row, "Wrong"))
        work = partial(
            restore, entity=entity, key=row["uuid"], request=RestoreBody(version=1), actor=Actor()
        )
        given = await asyncio.gather(*(writer.write("", work) for writer in writers * 3))
    assert len(set(given)) == 1
    logged = "SELECT version FROM changes WHERE entity_uuid = $1 ORDER BY seq"
    assert await databases.column(own_database, logged, row["uuid"]) == [1, 2, 3]


def test_who_looks_for_a_deleted_row_by_label_is_told_where_its_uuid_is(
    client: httpx.Client, make: Any
) -> None:
    camera = make("cameras", name="x", id="CAM GONE")
    client.delete(f"/api/cameras/{camera['uuid']}").raise_for_status()
    answer = client.post("/api/cameras/CAM GONE/restore", json={})
    assert answer.status_code == 404
    assert "entityId" in answer.json()["message"]
    never = client.post(f"/api/cameras/{uuid4()}/restore", json={})
    assert "entityId" not in never.json()["message"]

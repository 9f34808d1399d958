"""Forms as clients send them: whole, echoed, in two spellings, from before a renaming."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncpg
import httpx
import pytest

from app.database.url import DatabaseUrl
from app.model.entity import Row
from app.model.schemas import create_schema
from tests.support import databases
from tests.support.bodies import ALL, SCOPED, choices, minimal, named

every = pytest.mark.parametrize("entity", ALL, ids=named)
scoped = pytest.mark.parametrize("entity", SCOPED, ids=named)
TWICE = [(e, w, f) for e in ALL for w, f in e.synonyms.items() if f in e.editable()]
twice = pytest.mark.parametrize(
    ("entity", "word", "field"), TWICE, ids=[f"{e.collection}-{w}" for e, w, _ in TWICE]
)


def put(client: httpx.Client, entity: type[Row], row: Any, /, **body: Any) -> httpx.Response:
    return client.put(f"/api/{entity.collection}/{row['uuid']}", json=body)


@twice
def test_of_two_spellings_the_changed_one_counts(
    client: httpx.Client, make: Any, entity: type[Row], word: str, field: str
) -> None:
    wire = entity.wire(field)
    row = make(entity.collection, **{**minimal(entity), wire: "Before"})
    for changed, value in ((word, "By one"), (wire, "By the other")):
        answer = put(client, entity, row, **{**row, changed: value})
        row = answer.json()
        assert (row[word], row[wire]) == (value, value)
        assert word not in answer.headers["x-ignored-fields"].split(", "), "it was read"
    both = put(client, entity, row, **{**row, word: "One", wire: "Two"})
    assert (both.status_code, both.json()["errors"][0]["path"]) == (422, wire)
    wrong = put(client, entity, row, **{**row, word: 5})
    assert (wrong.status_code, wrong.json()["errors"][0]["path"]) == (422, word)


@every
def test_a_member_in_camel_and_snake_case_keeps_the_first(
    client: httpx.Client, make: Any, entity: type[Row]
) -> None:
    row = make(entity.collection, **minimal(entity))
    said = {"userId": "u1", "user_id": "u2", "lastModifiedBy": "x", "last_modified_by": "y"}
    name = next(iter(minimal(entity)))
    answer = put(client, entity, row, version=1, **said, **{name: "Changed"})
    assert (answer.status_code, answer.json()["lastModifiedBy"]) == (200, "x")
    versions = {"fieldVersions": {name: 1}, "field_versions": {name: 1}}
    stale = put(client, entity, row, **versions, **{name: "Stale"})
    assert stale.status_code == 409, "what the edit started from is not lost"


def test_a_production_named_in_both_cases_is_found(
    client: httpx.Client, production: dict[str, Any]
) -> None:
    both = {"productionId": production["id"], "production_id": "nonsense"}
    assert client.post("/api/ccus", json={**both, "name": "x"}).status_code == 201
    row = client.post("/api/cameras", json={**both, "name": "x", "maxZoom": 5, "max_zoom": 6})
    assert row.json()["maxZoom"] == 5


def test_a_field_missing_from_the_map_of_versions_had_not_changed(
    client: httpx.Client, make: Any
) -> None:
    row = make("productions", name="A show", venue="Here", client="Before")
    path = f"/api/productions/{row['uuid']}"
    mine = client.put(path, json={"venue": "There", "version": 1}).json()
    client.put(path, json={"client": "Theirs", "version": 2}).raise_for_status()
    edit = {"client": "Mine", "fieldVersions": mine["fieldVersions"]}
    answer = client.put(path, json=edit)
    assert answer.status_code == 409
    [conflict] = answer.json()["conflicts"]
    assert (conflict["baseValue"], conflict["serverValue"]) == ("Before", "Theirs")


def test_each_fields_base_is_of_its_own_version(client: httpx.Client, make: Any) -> None:
    row = make("productions", name="x", venue="v1", room="r1")
    path = f"/api/productions/{row['uuid']}"
    for version, edit in enumerate(
        ({"venue": "v2"}, {"room": "r3"}, {"venue": "v4"}, {"room": "r5"}), 1
    ):
        client.put(path, json={**edit, "version": version}).raise_for_status()
    answer = client.put(
        path, json={"venue": "x", "room": "y", "fieldVersions": {"venue": 2, "room": 3}}
    )
    bases = {c["fieldName"]: c["baseValue"] for c in answer.json()["conflicts"]}
    assert bases == {"venue": "v2", "room": "r3"}


def test_a_form_from_before_a_renaming_moves_no_camera(client: httpx.Client, make: Any) -> None:
    one, two = make("ccus", name="One", id="R 1"), make("ccus", name="Two", id="R 2")
    form = make("cameras", name="Camera", ccuId="R 1")
    client.put(f"/api/ccus/{one['uuid']}", json={"id": "R 9"}).raise_for_status()
    path = f"/api/cameras/{form['uuid']}"
    after = client.put(path, json={**form, "name": "New"}).json()
    assert (after["ccuUuid"], after["ccuId"], after["name"]) == (one["uuid"], "R 9", "New")
    client.put(f"/api/ccus/{two['uuid']}", json={"id": "R 1"}).raise_for_status()
    answer = client.put(path, json={**form, "name": "Newer", "version": 2})
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "ccuId")
    moved = client.put(path, json={"ccuId": "R 1"}).json()
    assert moved["ccuUuid"] == two["uuid"], "a label alone says what it means"


def test_a_form_from_before_a_renaming_redirects_no_connection(
    client: httpx.Client, make: Any
) -> None:
    send = make("sends", name="Wall", type="LED", id="W 1")
    form = make("connections", destinationType="SEND", destinationId="W 1")
    client.put(f"/api/sends/{send['uuid']}", json={"id": "W 2"}).raise_for_status()
    after = client.put(f"/api/connections/{form['uuid']}", json={**form, "note": "n"}).json()
    assert (after["destinationUuid"], after["destinationId"], after["note"]) == (
        send["uuid"],
        "W 2",
        "n",
    )


def test_a_destination_is_unlinked_by_its_uuid_alone(client: httpx.Client, make: Any) -> None:
    make("sends", name="Wall", type="LED", id="W 1")
    row = make("connections", destinationType="SEND", destinationId="W 1")
    after = client.put(f"/api/connections/{row['uuid']}", json={"destinationUuid": None}).json()
    assert (after["destinationUuid"], after["destinationId"]) == (None, None)


def test_another_productions_twin_uuid_disturbs_nobody(client: httpx.Client, make: Any) -> None:
    send = make("sends", name="Wall", type="LED", id="W 1")
    row = make("connections", destinationType="SEND", destinationId="W 1")
    other = client.post("/api/productions", json={"name": "Other"}).json()
    twin = {"productionId": other["id"], "name": "x", "uuid": send["uuid"]}
    client.post("/api/ccus", json=twin).raise_for_status()
    assert client.get(f"/api/connections/{row['uuid']}").json() == row
    assert client.delete(f"/api/connections/{row['uuid']}").status_code == 200


def test_a_copied_source_gets_outputs_of_its_own(client: httpx.Client, make: Any) -> None:
    source = make("sources", name="x", type="y", outputs=[{"connector": "HDMI"}])
    kept = {k: v for k, v in source.items() if k not in {"uuid", "id"}}
    copy = make("sources", **kept)
    assert [o["connector"] for o in copy["outputs"]] == ["HDMI"]
    assert copy["outputs"][0]["uuid"] != source["outputs"][0]["uuid"]
    assert client.get(f"/api/sources/{source['uuid']}").json() == source


def test_defaults_stand_in_for_blanks_in_a_create(client: httpx.Client, make: Any) -> None:
    for blank in (None, ""):
        show = make("productions", name="x", client=blank, status=blank)
        assert (show["client"], show["status"]) == ("", "PLANNING")
        assert make("ccus", name="x", sortOrder=blank)["sortOrder"] == 0
        assert make("sources", name="x", type="y", category=blank)["category"] == "COMPUTER"
        assert make("checklist-items", title="x", completed=blank)["completed"] is False
        assert make("sources", name="x", type="y", outputs=blank)["outputs"] == []


@every
async def test_a_form_of_an_older_row_beyond_our_bounds_can_be_saved(
    client: httpx.Client, make: Any, shared_database: str, entity: type[Row]
) -> None:
    row = make(entity.collection, **minimal(entity))
    fields = create_schema(entity).model_fields
    needed = [name for name in entity.editable() if entity.wire(name) in minimal(entity)]
    names = [name for name in needed if not choices(fields[name].annotation)]
    sets = ", ".join(f"{name} = ''" for name in names)
    sql = f"UPDATE {entity.__tablename__} SET id = repeat('L', 300), {sets} WHERE uuid = $1"
    await databases.execute(shared_database, sql, row["uuid"])
    path = f"/api/{entity.collection}/{row['uuid']}"
    form = client.get(path).json()
    member = "note" if entity in SCOPED else "venue"
    after = client.put(path, json={**form, member: "Saved"})
    assert (after.status_code, after.json()[member]) == (200, "Saved")
    for wrong in ({"id": "M" * 65}, {"id": ""}, {"id": "a\nb"}):
        answer = client.put(path, json={**wrong, "version": 2})
        assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "id")


COUNTED = "UPDATE productions SET change_seq = change_seq + 1 WHERE uuid = $1"


@pytest.mark.parametrize("first", ["renamed", "deleted"])
@scoped
async def test_a_write_by_label_means_who_holds_it_when_its_turn_comes(
    client: httpx.Client, make: Any, shared_database: str, entity: type[Row], first: str
) -> None:
    label = f"HELD {make('productions', name='x')['uuid']}"
    one = make(entity.collection, **minimal(entity, id=label))
    table = entity.__tablename__
    connection = await asyncpg.connect(**DatabaseUrl.parse(shared_database).connect_args())
    owner = one["productionUuid"]
    with ThreadPoolExecutor(1) as threads:
        async with connection.transaction():
            await connection.execute("SELECT FROM productions WHERE uuid = $1 FOR UPDATE", owner)
            waiting = threads.submit(client.delete, f"/api/{entity.collection}/{label}")
            await databases.until_blocked(shared_database)
            change = "id = 'ELSEWHERE'" if first == "renamed" else "is_deleted = true"
            await connection.execute(f"UPDATE {table} SET {change} WHERE uuid = $1", one["uuid"])
            await connection.execute(COUNTED, owner)
        answer = waiting.result(10)
    await connection.close()
    assert answer.status_code == 404
    kept = f"SELECT version FROM {table} WHERE uuid = $1"
    assert await databases.column(shared_database, kept, one["uuid"]) == [1]


@every
def test_of_many_deletes_at_once_one_is_logged(
    client: httpx.Client, make: Any, entity: type[Row]
) -> None:
    row = make(entity.collection, **minimal(entity))
    path = f"/api/{entity.collection}/{row['uuid']}"
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: client.delete(path).status_code, range(8)))
    owner = row.get("productionUuid", row["uuid"])
    found = client.get(f"/api/productions/{owner}/events/entity/{row['uuid']}").json()
    assert [e["operation"] for e in found] == ["DELETE", "CREATE"]
    assert sorted(answers) == ([200] * 8 if entity.delete_is_idempotent else [200] + [404] * 7)


def test_repeating_a_productions_delete_by_label_deletes_no_other(
    client: httpx.Client, make: Any
) -> None:
    gone = make("productions", name="Gone")
    client.delete(f"/api/productions/{gone['id']}").raise_for_status()
    new = make("productions", name="New")
    assert new["id"] != gone["id"]
    assert client.delete(f"/api/productions/{gone['id']}").status_code == 200
    assert client.get(f"/api/productions/{new['uuid']}").status_code == 200

"""Two engineers edit one row: different fields both win, and a form's echoes overwrite nothing."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from app.model.entity import Row
from tests.support import databases
from tests.support.bodies import REPRESENTATIVES, SCOPED, full, minimal, named

every = pytest.mark.parametrize("entity", REPRESENTATIVES, ids=named)


def members(entity: type[Row]) -> tuple[str, str]:
    """Return two members that every row of the type has, one of them required; both any text."""
    required = next(name for name, value in minimal(entity).items() if value == "A name")
    return required, "note" if entity in SCOPED else "venue"


def put(client: httpx.Client, entity: type[Row], row: Any, /, **body: Any) -> httpx.Response:
    return client.put(f"/api/{entity.collection}/{row['uuid']}", json=body)


@pytest.mark.parametrize("turned", [False, True], ids=["one first", "other first"])
@every
def test_edits_of_different_fields_both_win(
    client: httpx.Client, make: Any, entity: type[Row], turned: bool
) -> None:
    row = make(entity.collection, **minimal(entity))
    edits = [{name: f"by {name}"} for name in members(entity)]
    for edit in edits[::-1] if turned else edits:
        after = put(client, entity, row, version=1, **edit).raise_for_status().json()
    assert {name: after[name] for edit in edits for name in edit} == edits[0] | edits[1]
    assert after["version"] == 3


@every
def test_edits_of_different_fields_both_win_at_the_same_moment(
    client: httpx.Client, make: Any, entity: type[Row]
) -> None:
    for _ in range(5):
        row = make(entity.collection, **minimal(entity))
        edits = [{name: f"by {name}"} for name in members(entity)]
        with ThreadPoolExecutor(2) as threads:
            writing = [
                threads.submit(put, client, entity, row, version=1, **edit) for edit in edits
            ]
        answers = [done.result() for done in writing]
        assert [answer.status_code for answer in answers] == [200, 200]
        after = client.get(f"/api/{entity.collection}/{row['uuid']}").json()
        assert {name: after[name] for edit in edits for name in edit} == edits[0] | edits[1]


@every
def test_a_whole_form_conflicts_on_the_field_its_user_touched_alone(
    client: httpx.Client, make: Any, entity: type[Row]
) -> None:
    name, other = members(entity)
    row = make(entity.collection, **full(entity))
    theirs = put(client, entity, row, version=1, **{name: "Theirs", other: "Theirs"}).json()
    answer = put(client, entity, row, **{**row, name: "Mine"})
    assert answer.status_code == 409
    assert [conflict["fieldName"] for conflict in answer.json()["conflicts"]] == [name]
    kept = client.get(f"/api/{entity.collection}/{row['uuid']}").json()
    assert kept == theirs


@every
def test_a_whole_form_that_touches_another_field_overwrites_nothing(
    client: httpx.Client, make: Any, entity: type[Row]
) -> None:
    name, other = members(entity)
    row = make(entity.collection, **full(entity))
    theirs = put(client, entity, row, version=1, **{name: "Theirs"}).json()
    after = put(client, entity, row, **{**row, other: "Mine"}).raise_for_status().json()
    assert (after[name], after[other], after["version"]) == ("Theirs", "Mine", 3)
    again = put(client, entity, row, **{**row, other: "Mine"}).raise_for_status().json()
    assert again == after, "sent again it changes nothing"
    same = {"version", "fieldVersions", "updatedAt", "lastModifiedBy", name, other, "name"}
    assert all(after[member] == theirs[member] for member in after.keys() - same)


@every
def test_a_field_that_came_back_to_what_the_client_saw_is_no_conflict(
    client: httpx.Client, make: Any, entity: type[Row]
) -> None:
    name, other = members(entity)
    row = make(entity.collection, **minimal(entity))
    for version, value in enumerate(("Theirs", row[name]), 1):
        put(client, entity, row, version=version, **{name: value}).raise_for_status()
    after = put(client, entity, row, version=1, **{name: row[name], other: "Mine"})
    assert (after.status_code, after.json()[name], after.json()[other]) == (200, row[name], "Mine")


def test_a_camera_keeps_the_ccu_that_another_gave_it(client: httpx.Client, make: Any) -> None:
    ccus = [make("ccus", name=f"CCU {n}") for n in range(3)]
    row = make("cameras", name="x", ccuId=ccus[0]["id"])
    path = f"/api/cameras/{row['uuid']}"
    client.put(path, json={"version": 1, "ccuId": ccus[1]["id"]}).raise_for_status()
    after = client.put(path, json={**row, "name": "Mine"}).raise_for_status().json()
    assert (after["ccuId"], after["ccuUuid"], after["name"]) == (
        ccus[1]["id"],
        ccus[1]["uuid"],
        "Mine",
    )
    for said in ({"ccuId": ccus[2]["id"]}, {"ccuUuid": ccus[2]["uuid"]}, {"ccuId": None}):
        answer = client.put(path, json={**row, **said})
        assert answer.status_code == 409
        [conflict] = answer.json()["conflicts"]
        assert conflict["fieldName"] == "ccuUuid"
        assert conflict["baseValue"] == ccus[0]["uuid"]
        assert conflict["serverValue"] == ccus[1]["uuid"]
    agreed = client.put(path, json={**row, "ccuId": ccus[1]["id"]})
    assert agreed.status_code == 200, "both chose the same"


def test_an_old_form_does_not_stumble_over_a_ccu_that_is_gone(
    client: httpx.Client, make: Any
) -> None:
    ccu = make("ccus", name="CCU")
    row = make("cameras", name="x", ccuId=ccu["id"])
    client.delete(f"/api/ccus/{ccu['uuid']}").raise_for_status()
    after = client.put(f"/api/cameras/{row['uuid']}", json={**row, "name": "Mine"})
    assert (after.status_code, after.json()["ccuUuid"], after.json()["name"]) == (200, None, "Mine")


def test_outputs_merge_by_element(client: httpx.Client, make: Any) -> None:
    outputs = [{"connector": name} for name in ("HDMI", "SDI")]
    row = make("sources", name="x", type="LAPTOP", outputs=outputs)
    path = f"/api/sources/{row['uuid']}"
    first, second = row["outputs"]
    theirs = [{**first, "connector": "DP"}, second]
    client.put(path, json={"version": 1, "outputs": theirs}).raise_for_status()
    mine = [first, {**second, "hRes": 3840}]
    after = client.put(path, json={**row, "outputs": mine}).raise_for_status().json()
    assert [(o["connector"], o["hRes"]) for o in after["outputs"]] == [("DP", None), ("SDI", 3840)]
    answer = client.put(path, json={**row, "outputs": [{**first, "connector": "VGA"}, second]})
    assert answer.status_code == 409
    [conflict] = answer.json()["conflicts"]
    assert (conflict["fieldName"], conflict["baseValue"]) == ("outputs", row["outputs"])


def test_notes_with_ids_merge_by_element_and_others_do_not(client: httpx.Client, make: Any) -> None:
    def note(key: str, text: str) -> dict[str, Any]:
        return {"id": key, "text": text}

    row = make("checklist-items", title="x", moreInfo=[note("a", "1")])
    path = f"/api/checklist-items/{row['uuid']}"
    for key in "bc":
        said = {"version": 1, "moreInfo": [note("a", "1"), note(key, "2")]}
        after = client.put(path, json=said).raise_for_status().json()
    assert sorted(n["id"] for n in after["moreInfo"]) == ["a", "b", "c"]
    row = make("checklist-items", title="x", moreInfo=["plain"])
    path = f"/api/checklist-items/{row['uuid']}"
    statuses = [
        client.put(path, json={"version": 1, "moreInfo": ["plain", text]}).status_code
        for text in ("theirs", "mine")
    ]
    assert statuses == [200, 409]


@pytest.mark.parametrize("gap", ["trimmed", "older service"])
@every
async def test_where_the_log_has_a_gap_versions_are_compared(
    client: httpx.Client, make: Any, shared_database: str, entity: type[Row], gap: str
) -> None:
    name, other = members(entity)
    row = make(entity.collection, **minimal(entity))
    put(client, entity, row, version=1, **{name: "Theirs"}).raise_for_status()
    if gap == "trimmed":
        sql = "DELETE FROM changes WHERE entity_uuid = $1 AND version = 2"
    else:
        sql = f"UPDATE {entity.__tablename__} SET version = version + 1 WHERE uuid = $1"
    await databases.execute(shared_database, sql, row["uuid"])
    answer = put(client, entity, row, version=1, **{other: "Mine"})
    assert answer.status_code == 409
    [conflict] = answer.json()["conflicts"]
    assert (conflict["fieldName"], conflict["baseValue"]) == (other, None)


def test_fields_with_versions_of_their_own_merge_too(client: httpx.Client, make: Any) -> None:
    row = make("productions", name="A show", venue="Here", room="A")
    path = f"/api/productions/{row['uuid']}"
    first = client.put(path, json={"venue": "There", "version": 1}).json()
    known = first["fieldVersions"]
    client.put(path, json={"room": "B", "fieldVersions": known}).raise_for_status()
    after = client.put(path, json={"room": "A", "client": "Mine", "fieldVersions": known}).json()
    assert (after["room"], after["client"], after["venue"]) == ("B", "Mine", "There")
    answer = client.put(path, json={"room": "C", "fieldVersions": known})
    assert answer.status_code == 409
    assert answer.json()["conflicts"][0]["baseValue"] == "A"


@pytest.fixture
def patch(client: httpx.Client) -> Any:
    """Edit a connection, as long as nobody objects."""

    def patched(row: Any, **body: Any) -> dict[str, Any]:
        answer = client.patch(f"/api/connections/{row['uuid']}", json=body)
        return dict(answer.raise_for_status().json())

    return patched


@pytest.fixture
def sends(make: Any) -> list[dict[str, Any]]:
    return [make("sends", name="x", type="MONITOR", id=f"SEND {n}") for n in range(1, 4)]


@pytest.fixture
def connection(make: Any, sends: Any) -> dict[str, Any]:
    made = make("connections", destinationType="SEND", destinationUuid=sends[0]["uuid"])
    return dict(made)


def test_a_destination_that_another_chose_by_uuid_stays(
    client: httpx.Client, patch: Any, connection: Any, sends: Any
) -> None:
    patch(connection, version=1, destinationUuid=sends[1]["uuid"])
    after = patch(connection, version=1, destinationId="SEND 1", note="Mine")
    assert (after["destinationId"], after["note"]) == ("SEND 2", "Mine"), "the label was an echo"
    answer = client.patch(
        f"/api/connections/{connection['uuid']}", json={"version": 1, "destinationId": "SEND 3"}
    )
    assert answer.status_code == 409
    told = {c["fieldName"]: c for c in answer.json()["conflicts"]}
    assert told["destinationUuid"]["baseValue"] == sends[0]["uuid"]
    assert told["destinationUuid"]["serverValue"] == sends[1]["uuid"]


def test_a_form_that_echoes_a_destination_logs_no_change_of_it(
    client: httpx.Client, patch: Any, connection: Any, sends: Any
) -> None:
    patch(connection, **connection | {"destinationUuid": sends[1]["uuid"]})
    after = patch(connection, **connection | {"note": "Mine"})
    assert (after["destinationId"], after["version"]) == ("SEND 2", 3)
    production = connection["productionUuid"]
    [entry] = client.get(f"/api/productions/{production}/events?limit=1").json()
    assert entry["changes"] == {"note": [None, "Mine"]}


@pytest.mark.parametrize("another", [False, True])
def test_an_old_form_does_not_stumble_over_a_renaming(
    client: httpx.Client, make: Any, patch: Any, connection: Any, sends: Any, another: bool
) -> None:
    """What was linked is called otherwise now, and something else is linked."""
    ccus = [make("ccus", name="x", id=f"CCU {n}") for n in (1, 2)]
    camera = make("cameras", name="x", ccuId="CCU 1")
    for row, path in ((ccus[0], "ccus"), (sends[0], "sends")):
        client.patch(f"/api/{path}/{row['uuid']}", json={"id": "OTHER"}).raise_for_status()
    if another:
        make("ccus", name="x", id="CCU 1")
        make("sends", name="x", type="MONITOR", id="SEND 1")
    patch(connection, version=1, destinationUuid=sends[1]["uuid"])
    path = f"/api/cameras/{camera['uuid']}"
    client.patch(path, json={"version": 1, "ccuUuid": ccus[1]["uuid"]}).raise_for_status()
    after = client.put(path, json={**camera, "note": "Mine"}).raise_for_status().json()
    assert (after["ccuUuid"], after["note"]) == (ccus[1]["uuid"], "Mine")
    after = patch(connection, **connection | {"note": "Mine"})
    assert (after["destinationUuid"], after["note"]) == (sends[1]["uuid"], "Mine")


def test_no_connection_ends_up_on_an_output_of_another_source(
    client: httpx.Client, make: Any, patch: Any
) -> None:
    outputs = [{"id": f"OUT {n}", "connector": "SDI"} for n in (1, 2)]
    sources = [make("sources", name="x", type="LAPTOP", outputs=outputs)]
    sources.append(make("sources", name="y", type="LAPTOP", outputs=[{"connector": "DP"}]))
    row = make("connections", destinationType="PATCHBAY", sourceId=sources[0]["id"],
               sourceOutputId="OUT 1")  # fmt: skip
    alone = make("connections", destinationType="PATCHBAY", sourceId=sources[0]["id"],
                 sourceOutputId="OUT 1")  # fmt: skip
    assert patch(alone, sourceUuid=sources[1]["uuid"])["sourceOutputId"] is None
    patch(row, version=1, sourceOutputId="OUT 2")
    moved = {**row, "sourceUuid": sources[1]["uuid"], "sourceId": sources[1]["id"]}
    answer = client.patch(f"/api/connections/{row['uuid']}", json=moved)
    assert answer.status_code == 409
    names = [conflict["fieldName"] for conflict in answer.json()["conflicts"]]
    assert names == ["sourceOutputUuid", "sourceOutputId"]


def test_two_orders_of_one_list_are_a_conflict(client: httpx.Client, make: Any) -> None:
    notes = [{"id": key} for key in "abc"]
    row = make("checklist-items", title="x", moreInfo=notes)
    path = f"/api/checklist-items/{row['uuid']}"
    orders = [notes[::-1], [notes[1], notes[0], notes[2]]]
    answers = [client.put(path, json={"version": 1, "moreInfo": order}) for order in orders]
    assert [answer.status_code for answer in answers] == [200, 409]


def test_two_new_outputs_of_one_name_are_a_conflict(client: httpx.Client, make: Any) -> None:
    row = make("sources", name="x", type="LAPTOP", outputs=[{"connector": "HDMI"}])
    path = f"/api/sources/{row['uuid']}"
    added = [[*row["outputs"], {"id": "OUT 9", "connector": name}] for name in ("DP", "SDI")]
    answers = [client.put(path, json={"version": 1, "outputs": outputs}) for outputs in added]
    assert [answer.status_code for answer in answers] == [200, 409]
    now = answers[0].json()
    assert client.put(path, json=now).json() == now, "a whole form can still be saved"


def test_a_list_echoed_without_uuids_brings_nothing_back(client: httpx.Client, make: Any) -> None:
    outputs = [{"id": f"OUT {n}", "connector": "SDI"} for n in (1, 2)]
    row = make("sources", name="x", type="LAPTOP", outputs=outputs)
    path = f"/api/sources/{row['uuid']}"
    kept = row["outputs"][:1]
    client.put(path, json={"version": 1, "outputs": kept}).raise_for_status()
    bare = [{k: v for k, v in output.items() if k != "uuid"} for output in row["outputs"]]
    after = client.put(path, json={"version": 1, "outputs": bare, "note": "Mine"}).json()
    assert (after["outputs"], after["note"]) == (kept, "Mine")


def test_a_tick_that_was_taken_back_is_no_conflict(client: httpx.Client, make: Any) -> None:
    row = make("checklist-items", title="x")
    path = f"/api/checklist-items/{row['uuid']}"
    for version, done in ((1, True), (2, False)):
        client.put(path, json={"version": version, "completed": done}).raise_for_status()
    after = client.put(path, json={"version": 1, "completed": True})
    assert (after.status_code, after.json()["completed"]) == (200, True)


def test_version_zero_is_a_version_that_nobody_saw(client: httpx.Client, make: Any) -> None:
    row = make("cameras", name="x", note="n")
    path = f"/api/cameras/{row['uuid']}"
    assert client.put(path, json={"version": 0, "note": None}).status_code == 409
    assert client.put(path, json={"version": 1, "note": None}).json()["note"] is None

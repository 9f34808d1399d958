"""A source's outputs: always an array out, replaced as a whole, keeping their identity."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from tests.support.bodies import SOME_UUID

HDMI = {
    "connector": "HDMI",
    "outputIndex": 1,
    "hRes": 1920,
    "vRes": 1080,
    "rate": 59.94,
    "standard": None,
}


@pytest.fixture
def source(make: Any) -> dict[str, Any]:
    made: dict[str, Any] = make(
        "sources", name="GFX", type="LAPTOP", id="SRC 1", outputs=[HDMI, {"connector": "SDI"}]
    )
    return made


def put(client: httpx.Client, source: dict[str, Any], outputs: Any) -> httpx.Response:
    return client.put(f"/api/sources/{source['uuid']}", json={"outputs": outputs})


def test_each_gets_a_uuid_an_id_and_its_place(source: dict[str, Any]) -> None:
    first, second = source["outputs"]
    assert {k: v for k, v in first.items() if k != "uuid"} == {**HDMI, "id": "SRC 1-OUT1"}
    assert (second["id"], second["outputIndex"], second["connector"]) == ("SRC 1-OUT2", 2, "SDI")
    assert first["uuid"] != second["uuid"]


def test_none_is_an_empty_array(client: httpx.Client, make: Any, source: dict[str, Any]) -> None:
    none: dict[str, Any] = {}
    empty: list[dict[str, Any]] = [none, {"outputs": []}, {"outputs": None}]
    for body in empty:
        assert make("sources", name="x", type="y", **body)["outputs"] == []
    assert put(client, source, None).json()["outputs"] == []


def test_absent_leaves_the_list(client: httpx.Client, source: dict[str, Any]) -> None:
    after = client.put(f"/api/sources/{source['uuid']}", json={"name": "New"}).json()
    assert after["outputs"] == source["outputs"]


def test_a_list_replaces_the_list_and_keeps_identities(
    client: httpx.Client, source: dict[str, Any]
) -> None:
    first, second = source["outputs"]
    changed = {**first, "connector": "DP"}
    by_id = {"id": second["id"], "connector": "BNC", "outputIndex": 2}
    after = put(client, source, [changed, by_id, {"connector": "USB-C"}]).json()
    assert [o["uuid"] for o in after["outputs"][:2]] == [first["uuid"], second["uuid"]]
    assert [o["connector"] for o in after["outputs"]] == ["DP", "BNC", "USB-C"]
    assert after["outputs"][2]["id"] == "SRC 1-OUT3"
    assert after["version"] == 2
    assert list(after["fieldVersions"]) == ["outputs"]
    shrunk = put(client, source, [after["outputs"][2]]).json()
    assert [o["connector"] for o in shrunk["outputs"]] == ["USB-C"]


def test_the_same_list_writes_nothing(client: httpx.Client, source: dict[str, Any]) -> None:
    assert put(client, source, source["outputs"]).json() == source


def test_an_output_is_not_taken_from_another_source(
    client: httpx.Client, make: Any, source: dict[str, Any]
) -> None:
    other = make("sources", name="x", type="y", outputs=[HDMI])
    stolen = {**HDMI, "uuid": source["outputs"][0]["uuid"]}
    answer = put(client, other, [stolen])
    assert (answer.status_code, answer.json()["code"]) == (409, "DUPLICATE_UUID")
    assert client.get(f"/api/sources/{source['uuid']}").json() == source
    assert client.get(f"/api/sources/{other['uuid']}").json() == other


@pytest.mark.parametrize(
    ("outputs", "path"),
    [
        ([{}], "outputs.0.connector"),
        ([{"connector": "HDMI", "hRes": "wide"}], "outputs.0.hRes"),
        ([{"connector": "HDMI", "uuid": "no"}], "outputs.0.uuid"),
        ([{"connector": "A", "uuid": SOME_UUID}, {"connector": "B", "uuid": SOME_UUID}],
         "outputs.1.uuid"),
        ([{"connector": "a\x00b"}], "outputs.0.connector"),
        ("HDMI", "outputs"),
        ([[]], "outputs.0"),
    ],
)  # fmt: skip
def test_a_fault_names_its_element(
    client: httpx.Client, source: dict[str, Any], outputs: Any, path: str
) -> None:
    answer = put(client, source, outputs)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == path


def test_computers_are_the_same_rows(
    client: httpx.Client, production: dict[str, Any], source: dict[str, Any]
) -> None:
    assert client.get(f"/api/computers/{source['uuid']}").json() == source
    assert client.get(f"/api/computers/production/{production['id']}").json() == [source]
    made = client.post(
        "/api/computers", json={"productionId": production["id"], "name": "x", "type": "y"}
    )
    assert client.get(f"/api/sources/{made.json()['uuid']}").content == made.content


def numbered(source: dict[str, Any]) -> list[tuple[str, int]]:
    return [(output["connector"], output["outputIndex"]) for output in source["outputs"]]


def logged(client: httpx.Client, production: dict[str, Any]) -> Any:
    """Return the list that the last change of a show has left."""
    path = f"/api/productions/{production['uuid']}/changes?since=0&limit=1000"
    return client.get(path).json()["changes"][-1]["changes"]["outputs"][1]


def test_outputs_that_two_have_added_are_logged_as_they_are_shown(
    client: httpx.Client, production: dict[str, Any], make: Any
) -> None:
    row = make("sources", name="x", type="y")
    path = f"/api/sources/{row['uuid']}"
    for name in "AB":
        body = {"version": 1, "outputs": [{"connector": name}]}
        after = client.put(path, json=body).raise_for_status().json()
    assert numbered(after) == [("A", 1), ("B", 2)], "nobody asked for a number"
    assert logged(client, production) == after["outputs"]


@pytest.mark.parametrize("uuids", [[1, 2, 3], [3, 2, 1], [2, 3, 1]])
def test_outputs_of_one_number_have_one_order_everywhere(
    client: httpx.Client, production: dict[str, Any], make: Any, uuids: list[int]
) -> None:
    """The numbers that people chose stay; what was written later does not come later for that."""
    row = make("sources", name="x", type="y")
    path, salt = f"/api/sources/{row['uuid']}", uuid4().int >> 8 << 8
    for number in uuids:
        output = {"uuid": str(UUID(int=salt + number)), "connector": "SDI", "outputIndex": 5}
        body = {"version": 1, "outputs": [output]}
        after = client.put(path, json=body).raise_for_status().json()
        assert logged(client, production) == after["outputs"]
        assert client.get(path).json() == after
        again = client.put(path, json=body).raise_for_status().json()
        assert again == after, "sent again it changes nothing"
    assert numbered(after) == [("SDI", 5)] * 3


def test_a_place_that_is_taken_is_not_given_again(make: Any) -> None:
    outputs = [{"connector": "A", "outputIndex": 2}, {"connector": "B"}, {"connector": "C"}]
    row = make("sources", name="x", type="y", outputs=outputs)
    assert numbered(row) == [("A", 2), ("B", 3), ("C", 4)]


def test_one_that_is_named_by_its_uuid_keeps_its_id(
    client: httpx.Client, source: dict[str, Any]
) -> None:
    bare = [{"uuid": o["uuid"], "connector": "DP"} for o in source["outputs"]]
    after = put(client, source, bare).raise_for_status().json()
    assert [o["id"] for o in after["outputs"]] == [o["id"] for o in source["outputs"]]


def ids(row: dict[str, Any]) -> list[str]:
    return [output["id"] for output in row["outputs"]]


def patched(client: httpx.Client, source: dict[str, Any], **members: Any) -> dict[str, Any]:
    answer = client.patch(f"/api/sources/{source['uuid']}", json=members)
    row: dict[str, Any] = answer.raise_for_status().json()
    return row


def test_generated_ids_follow_their_source_and_typed_ones_stay(
    client: httpx.Client, production: dict[str, Any], make: Any
) -> None:
    typed = [{"connector": "SDI", "id": word} for word in ("LEFT", "SRC 10-OUT1", "SRC 1-OUT")]
    source = make("sources", name="x", type="y", id="SRC 1", outputs=[HDMI, HDMI, *typed])
    uuids = [output["uuid"] for output in source["outputs"]]
    after = patched(client, source, id="SRC 7", version=1)
    assert {*ids(after)} == {"SRC 7-OUT1", "SRC 7-OUT2", "LEFT", "SRC 10-OUT1", "SRC 1-OUT"}
    assert [output["uuid"] for output in after["outputs"]] == uuids
    at = {name: entry["version"] for name, entry in after["fieldVersions"].items()}
    assert (after["version"], at) == (2, {"id": 2, "outputs": 2})
    path = f"/api/productions/{production['uuid']}/changes"
    change = client.get(path, params={"since": 1}).json()["changes"][-1]
    assert change["entityData"] == after
    assert change["changes"]["outputs"] == [source["outputs"], after["outputs"]]
    assert patched(client, after, name="only the name")["outputs"] == after["outputs"]


def test_a_form_that_renames_may_add_an_output_and_echo_the_others(
    client: httpx.Client, source: dict[str, Any]
) -> None:
    form = {"id": "GFX", "outputs": [*source["outputs"], {"connector": "DP"}], "version": 1}
    assert ids(patched(client, source, **form)) == ["GFX-OUT1", "GFX-OUT2", "GFX-OUT3"]


def test_a_typed_id_in_the_way_is_left_and_passed_over(client: httpx.Client, make: Any) -> None:
    outputs = [{"connector": "A"}, {"connector": "B", "id": "NEW-OUT1"}]
    source = make("sources", name="x", type="y", id="OLD", outputs=outputs)
    assert ids(patched(client, source, id="NEW")) == ["NEW-OUT2", "NEW-OUT1"]


def test_editing_outputs_merges_with_a_rename_meanwhile(
    client: httpx.Client, source: dict[str, Any]
) -> None:
    """The client's list has the ids of the label that it saw: that is no change of its own."""
    patched(client, source, id="SRC 7", version=1)
    first, second = source["outputs"]
    mine = [{**first, "connector": "DP"}, second]
    after = patched(client, source, outputs=mine, version=1)
    assert ids(after) == ["SRC 7-OUT1", "SRC 7-OUT2"]
    assert after["outputs"][0]["connector"] == "DP"
    renamed = patched(client, source, id="SRC 9", version=2)
    assert [o["connector"] for o in renamed["outputs"]] == ["DP", "SDI"]
    assert ids(renamed) == ["SRC 9-OUT1", "SRC 9-OUT2"]


def test_a_copy_gets_ids_of_its_own(make: Any, source: dict[str, Any]) -> None:
    copy = make("sources", name="x", type="y", id="SRC 2", outputs=source["outputs"])
    assert ids(copy) == ["SRC 2-OUT1", "SRC 2-OUT2"]


def test_restoring_only_the_outputs_keeps_the_label_of_today(
    client: httpx.Client, source: dict[str, Any]
) -> None:
    patched(client, source, id="SRC 7", outputs=[])
    path = f"/api/sources/{source['uuid']}/restore"
    after = client.post(path, json={"version": 1, "fields": ["outputs"]}).json()
    assert (after["id"], ids(after)) == ("SRC 7", ["SRC 7-OUT1", "SRC 7-OUT2"])
    after = client.post(path, json={"version": 1}).json()
    assert (after["id"], ids(after)) == ("SRC 1", ["SRC 1-OUT1", "SRC 1-OUT2"])


@pytest.mark.parametrize("by", ["uuid", "id"])
def test_a_client_that_takes_only_the_version_sends_former_ids_as_an_echo(
    client: httpx.Client, source: dict[str, Any], by: str
) -> None:
    """It renamed the source itself, and its form still has the list as it was before."""
    names = {"connector", "outputIndex", "id", by}
    outputs = [{name: o[name] for name in names} for o in source["outputs"]]
    form = {"id": "SRC 7", "name": "GFX", "outputs": outputs}
    first = patched(client, source, **form, version=1)
    assert ids(first) == ["SRC 7-OUT1", "SRC 7-OUT2"]
    again = patched(client, source, **form, note="more", version=2)
    assert again["outputs"] == first["outputs"]
    typed = [{**first["outputs"][0], "id": "GFX-OUT1"}, first["outputs"][1]]
    assert ids(patched(client, source, outputs=typed)) == ["GFX-OUT1", "SRC 7-OUT2"]

"""A source's outputs: always an array out, replaced as a whole, keeping their identity."""

from typing import Any

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

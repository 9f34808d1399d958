"""Device ports: the rows that live with a device, and the whole list that its page saves."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.service import created

Row = dict[str, Any]
Make = Callable[..., Row]

IN = {"portLabel": "RETURN", "ioType": "SDI", "direction": "INPUT"}
OUT = {"portLabel": "SDI 1", "ioType": "3G-SDI", "direction": "OUTPUT"}


def sync(client: httpx.Client, device: Row, *ports: Row, **more: Any) -> list[Row]:
    body = {"productionId": device["productionUuid"], "ports": list(ports), **more}
    answer = client.post(f"/api/device-ports/device/{device['uuid']}/sync", json=body)
    assert answer.status_code == 200, answer.text
    rows: list[Row] = answer.json()
    assert rows == ports_of(client, device)
    return rows


def ports_of(client: httpx.Client, device: Row) -> list[Row]:
    rows: list[Row] = client.get(f"/api/device-ports/device/{device['uuid']}").json()
    return rows


def test_a_device_without_ports_has_an_empty_list(client: httpx.Client, make: Make) -> None:
    assert ports_of(client, make("ccus", name="C")) == []
    for unknown in (str(uuid4()), "CCU 1"):
        assert client.get(f"/api/device-ports/device/{unknown}").json() == []


def test_ports_are_saved_and_found_again(client: httpx.Client, make: Make) -> None:
    ccu = make("ccus", name="C")
    spec = str(uuid4())
    rows = sync(
        client, ccu, OUT, {**OUT, "portLabel": "SDI 2", "specPortUuid": spec, "note": "spare"}, IN,
        deviceDisplayId="what the page shows",
    )  # fmt: skip
    label = ccu["id"]
    assert [row["id"] for row in rows] == [f"{label}_in_1", f"{label}_out_1", f"{label}_out_2"]
    assert rows[2]["specPortUuid"] == spec
    assert (rows[2]["note"], rows[2]["deviceUuid"]) == ("spare", ccu["uuid"])
    assert rows[2]["deviceId"] == label
    assert sync(client, ccu, IN, OUT, {**OUT, "portLabel": "SDI 2"}) == rows, (
        "the same list once more writes nothing"
    )


def test_a_port_has_its_format_with_it(client: httpx.Client, make: Make) -> None:
    raster = {"hRes": 3000, "vRes": 500, "frameRate": 59.94}
    video = client.post("/api/formats", json=raster).raise_for_status().json()
    ccu = make("ccus", name="C")
    one, two = sync(client, ccu, {**OUT, "formatUuid": video["uuid"]}, {**OUT, "portLabel": "B"})
    assert (one["format"], two["format"]) == (video, None)
    client.delete(f"/api/formats/{video['uuid']}").raise_for_status()
    one, two = ports_of(client, ccu)
    assert (one["formatUuid"], one["format"]) == (video["uuid"], None)


def test_a_port_stays_itself_by_uuid_by_spec_and_by_label(client: httpx.Client, make: Make) -> None:
    ccu, spec = make("ccus", name="C"), str(uuid4())
    one, two, three = sync(
        client, ccu, OUT, {**OUT, "portLabel": "SDI 2", "specPortUuid": spec},
        {**OUT, "portLabel": "SDI 3"},
    )  # fmt: skip
    after = sync(
        client, ccu, {**OUT, "uuid": one["uuid"], "portLabel": "PGM"},
        {**OUT, "portLabel": "AUX", "specPortUuid": spec},
        {**OUT, "portLabel": "SDI 3", "ioType": "12G-SDI"},
    )  # fmt: skip
    assert [row["uuid"] for row in after] == [one["uuid"], two["uuid"], three["uuid"]]
    assert [row["portLabel"] for row in after] == ["PGM", "AUX", "SDI 3"]
    assert [row["version"] for row in after] == [2, 2, 2]


def test_a_port_that_is_left_out_is_deleted_and_can_come_back(
    client: httpx.Client, make: Make
) -> None:
    ccu = make("ccus", name="C")
    one, two = sync(client, ccu, OUT, {**OUT, "portLabel": "SDI 2"})
    assert [row["uuid"] for row in sync(client, ccu, OUT)] == [one["uuid"]]
    back = sync(client, ccu, OUT, {**OUT, "portLabel": "SDI 2", "uuid": two["uuid"]})
    assert [row["uuid"] for row in back] == [one["uuid"], two["uuid"]]


@pytest.mark.parametrize("how", ["id", "portLabel", "uuid"])
def test_a_port_that_a_connection_uses_stays_and_is_marked(
    client: httpx.Client, make: Make, how: str
) -> None:
    camera = make("cameras", name="C")
    one, two = sync(client, camera, OUT, {**OUT, "portLabel": "SDI 2"})
    path = make(
        "connections", destinationType="SCREEN", intermediateType="camera",
        intermediateId=camera["id"], intermediateOutput=two[how],
    )  # fmt: skip
    rows = sync(client, camera, OUT)
    assert [(row["uuid"], row["isUnlisted"]) for row in rows] == [
        (one["uuid"], False), (two["uuid"], True),
    ]  # fmt: skip
    listed = sync(client, camera, OUT, {**OUT, "portLabel": "SDI 2"})
    assert [row["isUnlisted"] for row in listed] == [False, False]
    assert client.delete(f"/api/connections/{path['uuid']}").status_code == 200
    assert len(sync(client, camera, OUT)) == 1


@pytest.mark.parametrize("collection", ["cameras", "routers", "sends", "sources", "media-servers"])
def test_ports_follow_the_label_of_any_device(
    client: httpx.Client, make: Make, collection: str
) -> None:
    device = make(collection, name="D", type="X")
    ports = sync(client, device, OUT, IN)
    own = client.patch(f"/api/device-ports/{ports[1]['uuid']}", json={"id": "MINE"}).json()
    new = f"{device['id']} B"
    assert client.patch(f"/api/{collection}/{device['uuid']}", json={"id": new}).status_code == 200
    assert [row["id"] for row in ports_of(client, device)] == [f"{new}_in_1", "MINE"]
    assert [row["deviceId"] for row in ports_of(client, device)] == [new, new]
    assert own["id"] == "MINE"


def test_ports_are_renumbered_with_their_devices(
    client: httpx.Client, make: Make, production: Row
) -> None:
    cameras = [make("cameras", name=name) for name in "ab"]
    for camera in cameras:
        sync(client, camera, OUT)
    one, two = (camera["id"] for camera in cameras)
    answer = client.post(
        f"/api/productions/{production['uuid']}/cameras/renumber",
        json={"order": [cameras[1]["uuid"], cameras[0]["uuid"]]},
    )
    assert answer.status_code == 200, answer.text
    assert [row["id"] for row in ports_of(client, cameras[0])] == [f"{two}_out_1"]
    assert [row["id"] for row in ports_of(client, cameras[1])] == [f"{one}_out_1"]


def test_ports_die_and_are_restored_with_their_device(
    client: httpx.Client, make: Make, production: Row
) -> None:
    ccu = make("ccus", name="C")
    one, two, gone = sync(client, ccu, IN, OUT, {**OUT, "portLabel": "SDI 2"})
    sync(client, ccu, IN, OUT)
    assert client.delete(f"/api/ccus/{ccu['uuid']}").status_code == 200
    listed = client.get(f"/api/device-ports/production/{production['uuid']}").json()
    assert not {one["uuid"], two["uuid"]} & {row["uuid"] for row in listed}
    other = make("ccus", name="another", id=ccu["id"])
    back = client.post(f"/api/ccus/{ccu['uuid']}/restore", json={})
    assert back.status_code == 409, "its label is taken"
    assert client.delete(f"/api/ccus/{other['uuid']}").status_code == 200
    back = client.post(f"/api/ccus/{ccu['uuid']}/restore", json={})
    assert back.status_code == 200, back.text
    assert [row["uuid"] for row in ports_of(client, ccu)] == [one["uuid"], two["uuid"]]
    assert client.delete(f"/api/device-ports/{one['uuid']}").status_code == 200
    assert client.delete(f"/api/ccus/{ccu['uuid']}").status_code == 200
    assert client.post(f"/api/ccus/{ccu['uuid']}/restore", json={}).status_code == 200
    assert [row["uuid"] for row in ports_of(client, ccu)] == [two["uuid"]]
    assert gone["uuid"] not in {row["uuid"] for row in ports_of(client, ccu)}


def test_an_undo_brings_device_and_ports_back(
    client: httpx.Client, make: Make, production: Row
) -> None:
    ccu = make("ccus", name="C")
    ports = sync(client, ccu, IN, OUT)
    client.delete(f"/api/ccus/{ccu['uuid']}")
    feed = client.get(f"/api/productions/{production['uuid']}/changes").json()
    seq = feed["latestSeq"] if "latestSeq" in feed else feed["changes"][-1]["seq"]
    undone = client.post(f"/api/productions/{production['uuid']}/changes/{seq}/undo", json={})
    assert undone.status_code == 200, undone.text
    assert [row["uuid"] for row in ports_of(client, ccu)] == [row["uuid"] for row in ports]


@pytest.mark.parametrize(("body", "status", "words"), [
    ({"ports": []}, 400, "productionId"),
    ({"productionId": "SHOW"}, 400, "ports"),
    ({"productionId": "SHOW", "ports": {}}, 422, "ports"),
    ({"productionId": "SHOW", "ports": [OUT, 7]}, 422, "ports.1"),
    ({"productionId": "SHOW", "ports": [{"portLabel": "x"}]}, 422, "ports.0."),
    ({"productionId": "SHOW", "ports": [{**OUT, "direction": "BOTH"}]}, 422, "ports.0.direction"),
    ({"productionId": "SHOW", "ports": [{**OUT, "formatUuid": "x"}]}, 422, "ports.0.formatUuid"),
    ({"productionId": "nobody's", "ports": []}, 404, "nobody's"),
    ({"productionId": "SHOW", "ports": [OUT] * 1001}, 422, "ports"),
])  # fmt: skip
def test_a_bad_list_is_refused_and_changes_nothing(
    client: httpx.Client, make: Make, body: Row, status: int, words: str
) -> None:
    ccu = make("ccus", name="C")
    before = sync(client, ccu, OUT)
    if body.get("productionId") == "SHOW":
        body = {**body, "productionId": ccu["productionUuid"]}
    answer = client.post(f"/api/device-ports/device/{ccu['uuid']}/sync", json=body)
    assert (answer.status_code, words in answer.text) == (status, True), answer.text
    assert ports_of(client, ccu) == before


@pytest.mark.parametrize("device", ["01234567-89ab-7def-8123-456789abcdef", "CCU 1", "%00"])
def test_ports_of_no_device_are_refused(client: httpx.Client, production: Row, device: str) -> None:
    body = {"productionId": production["uuid"], "ports": [OUT]}
    answer = client.post(f"/api/device-ports/device/{device}/sync", json=body)
    assert answer.status_code in {404, 422}, answer.text


def test_a_device_of_another_show_is_none_of_this_one(client: httpx.Client, make: Make) -> None:
    ccu = make("ccus", name="C")
    other = client.post("/api/productions", json={"name": "Another"}).json()
    body = {"productionId": other["uuid"], "ports": [OUT]}
    answer = client.post(f"/api/device-ports/device/{ccu['uuid']}/sync", json=body)
    assert answer.status_code == 404
    assert ports_of(client, ccu) == []


def test_a_failed_item_leaves_the_whole_list_as_it_was(client: httpx.Client, make: Make) -> None:
    ccu, other = make("ccus", name="C"), make("ccus", name="D")
    before = sync(client, ccu, OUT)
    (theirs,) = sync(client, other, OUT)
    body = {
        "productionId": ccu["productionUuid"],
        "ports": [IN, {**OUT, "portLabel": "PGM", "uuid": theirs["uuid"]}],
    }
    answer = client.post(f"/api/device-ports/device/{ccu['uuid']}/sync", json=body)
    assert answer.status_code == 409, answer.text
    assert ports_of(client, ccu) == before


def test_a_copied_show_has_its_ports(client: httpx.Client, make: Make, production: Row) -> None:
    ccu = make("ccus", name="C")
    sync(client, ccu, IN, OUT)
    copy = client.post(f"/api/productions/{production['uuid']}/copy", json={}).json()
    (copied,) = client.get(f"/api/ccus/production/{copy['uuid']}").json()
    ids = [row["id"] for row in ports_of(client, copied)]
    assert ids == [row["id"] for row in ports_of(client, ccu)]


def test_a_list_leaves_the_ports_of_another_show_s_device_with_its_uuid(
    client: httpx.Client,
) -> None:
    """Clients make uuids, so a device of another type and show may have the same."""
    theirs, own = (created(client, "productions", name="A show") for _ in range(2))
    uuid = created(client, "cameras", name="x", productionId=theirs["uuid"])["uuid"]
    path, port = f"/api/device-ports/device/{uuid}", {"portLabel": "SDI 1", "direction": "OUTPUT"}
    body = {"productionId": theirs["uuid"], "ports": [{**port, "ioType": "SDI"}]}
    before = client.post(f"{path}/sync", json=body).raise_for_status().json()
    created(client, "ccus", name="x", uuid=uuid, productionId=own["uuid"])
    assert client.post(f"{path}/sync", json={"productionId": own["uuid"], "ports": []}).json() == []
    assert client.get(path).json() == before

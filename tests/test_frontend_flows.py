"""What the existing frontend does, page by page, as it was watched: each flow as its requests."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.test_shipped import loaded

Row = dict[str, Any]
Make = Callable[..., Row]


@pytest.fixture(autouse=True)
async def shipped(shared_database: str) -> None:
    await loaded(shared_database)


def listed(client: httpx.Client, collection: str, show: Row) -> list[Row]:
    answer = client.get(f"/api/{collection}/production/{show['uuid']}").raise_for_status()
    rows: list[Row] = answer.json()
    return rows


def test_the_page_begins_with_equipment_and_settings(client: httpx.Client) -> None:
    devices = client.get("/api/equipment").raise_for_status().json()
    settings = client.get("/api/settings").raise_for_status().json()
    assert {device["category"] for device in devices} > {"COMPUTER", "CCU", "MONITOR", "ROUTER"}
    for name in ("connectorTypes", "sourceTypes", "frameRates", "resolutions"):
        assert settings[name], name


def test_a_computer_is_chosen_from_the_catalogue_made_and_edited(
    client: httpx.Client, production: Row
) -> None:
    devices = client.get("/api/equipment", params={"category": "computer"}).json()
    chosen = next(device for device in devices if device["equipment_io_ports"])
    outputs = [port for port in chosen["equipment_io_ports"] if port["port_type"] == "OUTPUT"]
    body = {
        "productionId": production["id"], "type": "GRAPHICS LAPTOP", "name": "GFX A",
        "equipmentUuid": chosen["uuid"],
        "outputs": [{"connector": port["io_type"], "outputIndex": n} for n, port in
                    enumerate(outputs, 1)],
    }  # fmt: skip
    made = client.post("/api/computers", json=body).raise_for_status().json()
    assert (made["equipmentUuid"], len(made["outputs"])) == (chosen["uuid"], len(outputs))
    form = {**made, "name": "GFX B", "version": made["version"]}
    edited = client.put(f"/api/computers/{made['uuid']}", json=form).raise_for_status().json()
    assert (edited["name"], edited["version"]) == ("GFX B", 2)
    assert [row["uuid"] for row in listed(client, "sources", production)] == [made["uuid"]]


def test_a_monitor_with_ports_is_made_once_and_only_once(
    client: httpx.Client, production: Row
) -> None:
    """Its page saves the row, then its ports, and says so again where a user presses twice."""
    monitor = {
        "productionId": production["id"], "uuid": str(uuid4()), "type": "MONITOR", "name": "DSM",
    }  # fmt: skip
    ports = [{"portLabel": "SDI IN", "ioType": "SDI", "direction": "INPUT"}]
    key = {"idempotency-key": str(uuid4())}
    for _ in range(2):
        made = client.post("/api/sends", json=monitor, headers=key).raise_for_status().json()
        body = {"productionId": production["id"], "deviceDisplayId": made["id"], "ports": ports}
        path = f"/api/device-ports/device/{made['uuid']}"
        saved = client.post(f"{path}/sync", json=body).raise_for_status().json()
    assert len(listed(client, "sends", production)) == 1
    assert [port["id"] for port in saved] == [f"{made['id']}_in_1"]
    assert client.get(path).json() == saved


def test_the_ports_of_a_ccu_are_there_when_it_is_opened_again(
    client: httpx.Client, make: Make, production: Row
) -> None:
    ccu, video = make("ccus", name="CCU 1"), client.get("/api/formats").json()[0]
    devices = client.get("/api/equipment", params={"category": "CCU"}).json()
    spec = next(d for d in devices if d["equipment_io_ports"])["equipment_io_ports"]
    path = f"/api/device-ports/device/{ccu['uuid']}"
    assert client.get(path).json() == [], "its page begins with the ports of its equipment"
    ports = [
        {"specPortUuid": port["uuid"], "portLabel": port["label"] or f"PORT {n}",
         "ioType": port["io_type"], "direction": port["port_type"], "formatUuid": video["uuid"]}
        for n, port in enumerate(spec)
    ]  # fmt: skip
    body = {"productionId": production["id"], "deviceDisplayId": ccu["id"], "ports": ports}
    saved = client.post(f"{path}/sync", json=body).raise_for_status().json()
    again = client.get(path).json()
    assert again == saved
    assert {port["specPortUuid"] for port in again} == {port["uuid"] for port in spec}
    assert {port["format"]["id"] for port in again} == {video["id"]}


def test_equipment_that_is_added_stands_beside_what_ships(client: httpx.Client) -> None:
    before = {device["uuid"] for device in client.get("/api/equipment").json()}
    new = {
        "category": "computer", "manufacturer": "Own", "model": f"PC {uuid4()}",
        "ioArchitecture": "direct", "inputs": [],
        "outputs": [{"id": "o1", "type": "HDMI", "label": "HDMI 1", "format": ""}],
        "deviceFormats": [], "formatByIO": True, "isSecondaryDevice": False,
    }  # fmt: skip
    made = client.post("/api/equipment", json=new).raise_for_status().json()
    after = client.get("/api/equipment").json()
    assert {device["uuid"] for device in after} == before | {made["uuid"]}
    assert client.delete(f"/api/equipment/{made['uuid']}").is_success
    assert {device["uuid"] for device in client.get("/api/equipment").json()} == before
    back = client.put(f"/api/equipment/{made['uuid']}", json={"isDeleted": False})
    assert (back.status_code, back.json()["is_deleted"]) == (200, False)


def test_formats_are_listed_added_and_refused_for_system_ones(client: httpx.Client) -> None:
    client.get("/api/equipment").raise_for_status()
    formats = client.get("/api/formats").json()
    assert formats[0]["isSystem"]
    own = {"hRes": 2112, "vRes": 176, "frameRate": 60, "isInterlaced": False, "blanking": "NONE"}
    made = client.post("/api/formats", json=own)
    assert made.status_code == 201, made.text
    assert client.post("/api/formats", json=own).status_code == 409
    assert client.post("/api/formats", json={"hRes": 1}).status_code == 400
    for method in (client.put, client.delete):
        assert method(f"/api/formats/{formats[0]['uuid']}").status_code in {403, 422}
    assert client.delete(f"/api/formats/{formats[0]['uuid']}").status_code == 403
    assert client.delete(f"/api/formats/{made.json()['uuid']}").is_success


def test_media_servers_come_in_pairs_and_are_dragged(
    client: httpx.Client, make: Make, production: Row
) -> None:
    pair = [
        make("media-servers", id=f"1{side}", name=f"MEDIA 1{side}", pairNumber=1, isBackup=backup)
        for side, backup in (("A", False), ("B", True))
    ]
    for server in pair:
        moved = {"pairNumber": 2, "version": server["version"]}
        answer = client.put(f"/api/media-servers/{server['uuid']}", json=moved)
        assert (answer.status_code, answer.json()["pairNumber"]) == (200, 2)
    assert [row["isBackup"] for row in listed(client, "media-servers", production)] == [False, True]


@pytest.mark.parametrize("collection", [
    "routers", "cam-switchers", "vision-switchers", "records", "streams", "led-screens",
    "projection-screens", "projection-surfaces",
])  # fmt: skip
def test_the_other_pages_make_change_and_delete(
    client: httpx.Client, make: Make, production: Row, collection: str
) -> None:
    row = make(collection, name="NEW")
    answer = client.put(f"/api/{collection}/{row['uuid']}", json={**row, "note": "spare"})
    assert (answer.status_code, answer.json()["note"]) == (200, "spare")
    assert client.delete(f"/api/{collection}/{row['uuid']}").is_success
    assert listed(client, collection, production) == []


def test_led_screens_stand_in_the_order_of_the_page(
    client: httpx.Client, make: Make, production: Row
) -> None:
    names = [
        make("led-screens", name=name, sortOrder=n)["name"] for name, n in (("B", 2), ("A", 1))
    ]
    assert [row["name"] for row in listed(client, "led-screens", production)] == names[::-1]


def test_an_address_is_there_once_in_a_show(
    client: httpx.Client, make: Make, production: Row
) -> None:
    body = {"ip": "10.1.1.1", "deviceName": "CCU 1", "category": "CAMERAS"}
    one = make("ip-addresses", **body)
    again = client.post("/api/ip-addresses", json={"productionId": production["id"], **body})
    assert (again.status_code, again.json()["code"]) == (409, "DUPLICATE_VALUE")
    assert "ip" in again.json()["message"]
    other = make("ip-addresses", **{**body, "ip": "10.1.1.2"})
    moved = client.put(f"/api/ip-addresses/{other['uuid']}", json={"ip": "10.1.1.1", "version": 1})
    assert moved.status_code == 409
    client.delete(f"/api/ip-addresses/{one['uuid']}").raise_for_status()
    moved = client.put(f"/api/ip-addresses/{other['uuid']}", json={"ip": "10.1.1.1", "version": 1})
    assert moved.status_code == 200

"""The legs of a connection: stored, merged, shown in the older members, and held to the rules."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

Row = dict[str, Any]
Make = Callable[..., Row]


@pytest.fixture
def show(make: Make) -> dict[str, Row]:
    """Make a source, a router with four ports, a snake and two sends."""
    rows = {
        "source": make("sources", name="S", type="L", outputs=[{"connector": "SDI"}] * 2),
        "router": make("routers", name="R"),
        "snake": make("cable-snakes", name="K", channelCount=4, length=50, lengthUnit="ft"),
        "send": make("sends", type="LED", name="A"), "other": make("sends", type="LED", name="B"),
    }  # fmt: skip
    for name in ("IN 1", "IN 2", "OUT 1", "OUT 2"):
        direction = "INPUT" if name.startswith("IN") else "OUTPUT"
        rows[name] = make(
            "device-ports", deviceType="router", deviceId=rows["router"]["id"], portLabel=name,
            ioType="SDI", direction=direction,
        )  # fmt: skip
    return rows


def legs_of(show: dict[str, Row], entry: str = "IN 1", channel: int | None = None) -> list[Row]:
    """Return two legs: the source to an input of the router, and the router to the send."""
    ride = {"snakeUuid": show["snake"]["uuid"], "channel": channel} if channel else {}
    return [
        {"fromPortUuid": show["source"]["outputs"][0]["uuid"], "toPortUuid": show[entry]["uuid"],
         "cableType": "RG6", "length": 100, "lengthUnit": "ft", **ride},
        {"fromPort": "OUT 1", "toDeviceUuid": show["send"]["uuid"], "state": "planned"},
    ]  # fmt: skip


def patched(make: Make, show: dict[str, Row], **options: Any) -> Row:
    return make("connections", destinationType="send", legs=legs_of(show, **options))


def put(client: httpx.Client, row: Row, **members: Any) -> httpx.Response:
    return client.put(f"/api/connections/{row['uuid']}", json=members)


def test_legs_are_completed_and_shown_in_the_older_members(
    client: httpx.Client, make: Make, show: dict[str, Row]
) -> None:
    row = patched(make, show)
    first, second = row["legs"]
    assert (first["id"], second["id"]) == (f"{row['id']}-LEG1", f"{row['id']}-LEG2")
    assert (first["index"], second["index"], second["fromPortUuid"]) == (
        1, 2, show["OUT 1"]["uuid"],
    )  # fmt: skip
    router, send = show["router"], show["send"]
    assert first["toDeviceUuid"] == second["fromDeviceUuid"] == router["uuid"]
    assert (first["toDeviceType"], first["toPort"]) == ("router", "IN 1")
    shown = {
        "sourceUuid": show["source"]["uuid"], "sourceId": show["source"]["id"],
        "sourceOutputId": show["source"]["outputs"][0]["id"], "intermediateType": "router",
        "intermediateId": router["id"], "intermediateUuid": router["uuid"],
        "intermediateInput": "IN 1", "intermediateOutput": "OUT 1", "destinationType": "send",
        "destinationId": send["id"], "destinationUuid": send["uuid"], "unresolved": [],
    }  # fmt: skip
    assert {name: row[name] for name in shown} == shown
    again = client.get(f"/api/connections/{row['uuid']}").json()
    assert again == row
    assert put(client, row, **row).json() == row, "a form that sends its row back changes nothing"


def test_an_older_member_changes_the_leg_that_it_names(
    client: httpx.Client, make: Make, show: dict[str, Row]
) -> None:
    row = patched(make, show, channel=2)
    other = show["other"]
    after = put(client, row, destinationId=other["id"], version=1).json()
    assert after["legs"][1]["toDeviceUuid"] == other["uuid"] == after["destinationUuid"]
    assert after["legs"][0] == row["legs"][0]
    after = put(client, after, intermediateInput="IN 2", legs=after["legs"]).json()
    assert after["legs"][0]["toPortUuid"] == show["IN 2"]["uuid"]
    assert (after["legs"][0]["channel"], after["intermediateInput"]) == (2, "IN 2")
    after = put(client, after, intermediateType=None, intermediateId=None).json()
    (only,) = after["legs"]
    assert (only["fromDeviceUuid"], only["toDeviceUuid"], only["channel"]) == (
        show["source"]["uuid"], other["uuid"], 2,
    )  # fmt: skip
    assert after["intermediateUuid"] == show["snake"]["uuid"], "what it rides lies between"
    assert after["intermediateInput"] == "CH 2"


def test_two_people_change_two_hops_of_one_path(
    client: httpx.Client, make: Make, show: dict[str, Row]
) -> None:
    row = patched(make, show)
    first, second = row["legs"]
    ours = put(client, row, version=1, legs=[{**first, "cableLabel": "A"}, second])
    theirs = put(client, row, version=1, legs=[first, {**second, "state": "pulled"}])
    assert (ours.status_code, theirs.status_code) == (200, 200)
    assert [leg["cableLabel"] for leg in theirs.json()["legs"]] == ["A", None]
    assert [leg["state"] for leg in theirs.json()["legs"]] == [None, "pulled"]
    same = put(client, row, version=1, legs=[{**first, "cableLabel": "B"}, second])
    assert (same.status_code, same.json()["code"]) == (409, "VERSION_CONFLICT")


def test_an_input_and_a_channel_are_of_the_first(
    client: httpx.Client, make: Make, show: dict[str, Row]
) -> None:
    anna = {"userId": "anna", "userName": "Anna"}
    first = make("connections", destinationType="send", legs=legs_of(show, channel=3), **anna)
    production = first["productionId"]
    leg = {"fromPortUuid": show["source"]["outputs"][1]["uuid"], "toPort": "in 1",
           "toDeviceUuid": show["router"]["uuid"]}  # fmt: skip
    riding = {**leg, "toPort": "IN 2", "snakeUuid": show["snake"]["uuid"], "channel": 3}
    for each, code in ((leg, "INPUT_IN_USE"), (riding, "CHANNEL_IN_USE")):
        body = {"productionId": production, "destinationType": "send", "legs": [each]}
        answer = client.post("/api/connections", json=body)
        assert (answer.status_code, answer.json()["code"]) == (409, code)
        assert answer.json()["usedBy"] == {"uuid": first["uuid"], "id": first["id"]}
        assert "anna" in answer.json()["message"]
    client.delete(f"/api/connections/{first['uuid']}").raise_for_status()
    make("connections", destinationType="send", id="CON 9", legs=[riding])
    back = client.post(f"/api/connections/{first['uuid']}/restore", json={})
    assert (back.status_code, back.json()["code"]) == (409, "CHANNEL_IN_USE")


def test_what_can_never_be_right_is_refused(
    client: httpx.Client, make: Make, show: dict[str, Row]
) -> None:
    row = patched(make, show)
    first, second = row["legs"]
    foreign = make("routers", name="X", productionId=make("productions", showName="Y")["uuid"])
    wrong: list[tuple[list[Row], str, str]] = [
        ([{**first, "toPortUuid": show["OUT 2"]["uuid"]}, second], "SAME_DIRECTION",
         "legs.0.toPortUuid"),
        ([first, {"toDeviceUuid": show["router"]["uuid"]}], "SELF_LOOP", "legs.1.toDeviceUuid"),
        ([{**first, "snakeUuid": show["snake"]["uuid"], "channel": 5}, second],
         "CHANNEL_OUT_OF_RANGE", "legs.0.channel"),
        ([{**first, "toDeviceUuid": foreign["uuid"], "toPortUuid": None}], "INVALID",
         "legs.0.toDeviceUuid"),
        ([first, {"fromDeviceUuid": show["send"]["uuid"]}], "INVALID", "legs.1.fromDeviceUuid"),
        ([{**first, "snakeUuid": show["router"]["uuid"]}, second], "INVALID", "legs.0.snakeUuid"),
        ([{"fromDeviceType": "router", "fromDeviceId": "NOBODY"}], "INVALID",
         "legs.0.fromDeviceId"),
    ]  # fmt: skip
    for legs, code, path in wrong:
        answer = put(client, row, legs=legs)
        assert answer.status_code == 422, (path, answer.text)
        assert (answer.json()["code"], answer.json()["errors"][0]["path"]) == (code, path)
    assert client.get(f"/api/connections/{row['uuid']}").json() == row


def test_the_graph_reads_legs_and_their_lengths(
    client: httpx.Client, make: Make, show: dict[str, Row]
) -> None:
    patched(make, show, channel=4)
    trace = client.get(f"/api/sends/{show['send']['uuid']}/trace").json()
    hops = [(hop["kind"], hop["label"]) for hop in trace["paths"][0]["hops"]]
    assert ("channel", f"{show['snake']['id']} channel 4") in hops
    lengths = [hop["length"] for hop in trace["paths"][0]["hops"] if hop["kind"] == "cable"]
    assert lengths[-1] == pytest.approx(150 * 0.3048), "the cable and the trunk"
    assert trace["paths"][0]["end"] == "source"


def test_a_copied_and_a_restored_show_keep_their_legs(
    client: httpx.Client, make: Make, show: dict[str, Row]
) -> None:
    row = patched(make, show, channel=1)
    copy = client.post(f"/api/productions/{row['productionUuid']}/copy", json={})
    assert copy.status_code == 201, copy.text
    (again,) = client.get(f"/api/connections/production/{copy.json()['uuid']}").json()
    assert again["legs"][0]["fromDeviceUuid"] == again["sourceUuid"] != row["sourceUuid"]
    assert again["legs"][0]["snakeUuid"] not in {None, show["snake"]["uuid"]}
    client.delete(f"/api/connections/{row['uuid']}").raise_for_status()
    client.post(f"/api/connections/{row['uuid']}/restore", json={}).raise_for_status()
    assert client.get(f"/api/connections/{row['uuid']}").json()["legs"] == row["legs"]

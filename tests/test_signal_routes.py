"""Trace, impact and checks over HTTP: their shapes, keys, errors and entity tags."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

Row = dict[str, Any]
Make = Callable[..., Row]


@pytest.fixture
def wall(client: httpx.Client, make: Make) -> dict[str, Row]:
    """Make a camera, its CCU, a router with two inputs and outputs, and a wall at the end."""
    ccu = make("ccus", name="C", formatMode="1080p59.94", referenceInput="TRI-LEVEL")
    rows = {"ccu": ccu, "camera": make("cameras", name="C", ccuUuid=ccu["uuid"])}
    rows["router"] = make("routers", name="R")
    rows["snake"] = make("cable-snakes", name="S", model="50' SDI 16 x 16")
    rows["send"] = make("sends", type="WALL", name="W", hRes=1920, vRes=1080, rate=59.94)
    rows["path"] = make(
        "connections", destinationType="send", destinationUuid=rows["send"]["uuid"],
        intermediateType="router", intermediateId=rows["router"]["id"], intermediateInput="IN 1",
        intermediateOutput="OUT 1",
        signalPath=[{"device": ccu["id"], "output": "SDI 1"}, f"{rows['snake']['id']} CH 7"],
    )  # fmt: skip
    return rows


def get(client: httpx.Client, path: str, **query: Any) -> Row:
    answer = client.get(f"/api/{path}", params=query)
    assert answer.status_code == 200, answer.text
    body: Row = answer.json()
    return body


def ref(collection: str, row: Row) -> Row:
    named = {"uuid": row["uuid"], "label": row["id"], "name": row["name"]}
    return {"collection": collection, **named}


def test_a_trace_from_every_kind_of_thing(client: httpx.Client, wall: dict[str, Row]) -> None:
    trace = get(client, f"sends/{wall['send']['uuid']}/trace")
    assert trace.keys() == {"start", "direction", "seq", "paths", "why"}
    assert (trace["start"], trace["direction"]) == (ref("sends", wall["send"]), "upstream")
    (path,) = trace["paths"]
    assert path.keys() == {"hops", "end", "format", "problems"}
    assert (path["end"], path["format"], path["problems"]) == ("source", "1080p59.94", [])
    assert [hop["kind"] for hop in path["hops"]].count("device") == 4
    channel = next(hop for hop in path["hops"] if hop["kind"] == "channel")
    assert (channel["number"], channel["length"]) == (7, 15.24)
    down = get(client, f"cameras/{wall['camera']['uuid']}/trace")
    assert (down["direction"], down["paths"][0]["end"]) == ("downstream", "send")
    for collection, name in (("cable-snakes", "snake"), ("connections", "path")):
        own = f"{collection}/{wall[name]['uuid']}/trace"
        for direction, end in (("upstream", "source"), ("downstream", "send")):
            answer = get(client, own, direction=direction)
            assert {path["end"] for path in answer["paths"]} == {end}, (own, direction)


def test_a_trace_from_a_port(client: httpx.Client, make: Make, wall: dict[str, Row]) -> None:
    port = make(
        "device-ports", deviceType="router", deviceId=wall["router"]["id"], portLabel="IN 1",
        ioType="SDI", direction="INPUT",
    )  # fmt: skip
    assert get(client, f"device-ports/{port['uuid']}/trace")["paths"][0]["end"] == "source"
    impact = get(client, f"device-ports/{port['uuid']}/impact")
    assert impact["dark"] == [ref("sends", wall["send"])]


def test_the_impact_of_one_thing_and_of_several(
    client: httpx.Client, make: Make, wall: dict[str, Row]
) -> None:
    other = make("sources", type="LAPTOP", name="L", outputs=[{"connector": "SDI"}])
    make("connections", destinationType="send", destinationUuid=wall["send"]["uuid"],
         sourceUuid=other["uuid"])  # fmt: skip
    path = f"cable-snakes/{wall['snake']['uuid']}/impact"
    one = get(client, path)
    assert one.keys() == {"of", "dark", "secondPath", "cameras", "assumed", "seq"}
    assert one["of"] == [ref("cable-snakes", wall["snake"])]
    assert (one["dark"], one["secondPath"]) == ([], [ref("sends", wall["send"])])
    assert one["cameras"] == [ref("cameras", wall["camera"])]
    both = get(client, path, **{"with": other["uuid"]})
    assert both["of"] == [*one["of"], ref("sources", other)]
    assert (both["dark"], both["secondPath"]) == ([ref("sends", wall["send"])], [])
    wrong = client.get(f"/api/{path}", params={"with": str(uuid4())})
    assert (wrong.status_code, wrong.json()["errors"][0]["path"]) == (422, "with")


def test_the_checks_of_a_show(client: httpx.Client, production: Row, wall: dict[str, Row]) -> None:
    path = f"productions/{production['id']}/checks"
    assert get(client, path)["ready"]
    body = {"rate": 60, "version": 1}
    changed = client.patch(f"/api/sends/{wall['send']['uuid']}", json=body).raise_for_status()
    checks = get(client, path)
    assert checks.keys() == {"seq", "ready", "counts", "problems"}
    assert not checks["ready"]
    assert checks["counts"] == {"error": 1, "warning": 0, "info": 0, "waived": 0}
    (problem,) = checks["problems"]
    assert problem.keys() == {"code", "severity", "where", "why", "todo"}
    assert (problem["code"], problem["severity"]) == ("FORMAT_MISMATCH", "error")
    assert ref("sends", changed.json()) in problem["where"]
    feed = client.get(f"/api/productions/{production['uuid']}/changes", params={"since": 0})
    assert checks["seq"] == feed.json()["latest"]
    assert get(client, path, severity="warning") == {**checks, "problems": []}
    assert get(client, path, code="FORMAT_MISMATCH") == checks


def test_an_answer_is_confirmed_until_the_show_changes(
    client: httpx.Client, production: Row, wall: dict[str, Row]
) -> None:
    send = wall["send"]["uuid"]
    paths = [
        f"/api/sends/{send}/trace", f"/api/sends/{send}/impact",
        f"/api/productions/{production['uuid']}/checks",
        f"/api/productions/{production['uuid']}/checks?severity=error",
        f"/api/sends/{send}/trace?direction=downstream",
    ]  # fmt: skip
    tags = [client.get(path).headers["etag"] for path in paths]
    assert len(set(tags)) == len(tags)
    for path, tag in zip(paths, tags, strict=True):
        assert client.get(path, headers={"if-none-match": tag}).status_code == 304
    client.delete(f"/api/connections/{wall['path']['uuid']}").raise_for_status()
    for path, tag in zip(paths, tags, strict=True):
        assert client.get(path, headers={"if-none-match": tag}).status_code == 200
    assert "is black because nothing feeds it" in get(client, f"sends/{send}/trace")["why"]


def test_a_deleted_device_is_the_cause(client: httpx.Client, wall: dict[str, Row]) -> None:
    client.delete(f"/api/routers/{wall['router']['uuid']}").raise_for_status()
    why = get(client, f"sends/{wall['send']['uuid']}/trace")["why"]
    assert "is black because nothing feeds" in why
    assert f"{wall['router']['id']}, which is deleted" in why


def test_keys_and_refusals(client: httpx.Client, production: Row, wall: dict[str, Row]) -> None:
    send, show = wall["send"], production["id"]
    named = client.get(f"/api/sends/{send['id']}/trace", params={"production": show})
    assert named.json()["start"]["uuid"] == send["uuid"]
    statuses = {
        f"/api/sends/{uuid4()}/trace": (404, "NOT_FOUND"),
        f"/api/sends/{uuid4()}/impact": (404, "NOT_FOUND"),
        f"/api/productions/{uuid4()}/checks": (404, "NOT_FOUND"),
        f"/api/sends/{send['uuid']}/trace?direction=sideways": (422, "INVALID"),
        f"/api/productions/{show}/checks?code=NO_SUCH": (422, "INVALID"),
    }
    for path, (status, code) in statuses.items():
        answer = client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (status, code), path
    for collection in ("checklist-items", "productions", "nothing"):
        answer = client.get(f"/api/{collection}/{show}/trace")
        assert (answer.status_code, answer.json()["error"]) == (404, "Route not found")


def test_computers_are_sources(client: httpx.Client, make: Make) -> None:
    laptop = make("sources", type="LAPTOP", name="L")
    answer = get(client, f"computers/{laptop['uuid']}/trace")
    assert answer["why"] == f"{laptop['id']} reaches nothing. Patch a cable to it."
    assert answer["start"]["collection"] == "sources"

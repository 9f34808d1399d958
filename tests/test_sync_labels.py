"""What a label means in a batch: the row that the client calls so, and nobody else's."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.offline import Made, changing, making, mutation, statuses, synced
from tests.test_sync import CAMERAS, CCUS, CONNECTIONS, SOURCES, put

NEW = str(uuid4())
# Creates that are refused before anybody has looked at their label.
REFUSED: dict[str, Made] = {
    "not valid": {"data": {"id": "CAM 1", "name": ""}},
    "no name": {"data": {"id": "CAM 1"}},
    "no such ccu": {"data": {"id": "CAM 1", "name": "x", "ccuId": "NOWHERE"}},
    "another show": {"data": {"id": "CAM 1", "name": "x", "productionId": "ELSEWHERE"}},
    "a uuid that is none": {"uuid": "none", "data": {"id": "CAM 1", "name": "x"}},
    "two uuids": {"uuid": NEW, "data": {"id": "CAM 1", "name": "x", "uuid": str(uuid4())}},
}


@pytest.mark.parametrize("why", REFUSED)
def test_the_label_of_a_row_that_was_refused_means_nobody_elses(
    client: httpx.Client, production: Made, make: Any, why: str
) -> None:
    theirs = make("cameras", name="Theirs", id="CAM 1")
    mine = mutation("create", CAMERAS, **REFUSED[why])
    body = synced(client, production, mine, changing(CAMERAS, "CAM 1", note="Mine"))
    assert statuses(body) == ["rejected", "rejected"]
    assert "refused" in body["results"][1]["error"]["message"]
    assert client.get(f"/api/cameras/{theirs['uuid']}").json() == theirs


def test_a_duplicate_still_says_what_its_label_means(
    client: httpx.Client, production: Made, make: Any
) -> None:
    """The answer was lost, so the client does not know that its row is called otherwise."""
    theirs, mine = make("ccus", name="Theirs", id="CCU 1"), making(CCUS, id="CCU 1")
    synced(client, production, mine, relabel=True)
    later = [changing(CCUS, "CCU 1", note="Mine"), making(CAMERAS, ccuId="CCU 1")]
    body = synced(client, production, mine, *later, relabel=True)
    assert statuses(body) == ["duplicate", "applied", "applied"]
    assert body["results"][1]["entity"]["uuid"] == mine["uuid"]
    assert body["results"][2]["entity"]["ccuUuid"] == mine["uuid"]
    assert client.get(f"/api/ccus/{theirs['uuid']}").json() == theirs


def test_a_row_known_by_its_uuid_says_so_too(
    client: httpx.Client, production: Made, make: Any
) -> None:
    theirs, mine = make("ccus", name="Theirs", id="CCU 1"), making(CCUS, id="CCU 1")
    synced(client, production, mine, relabel=True, clientId="before")
    body = synced(client, production, mine, changing(CCUS, "CCU 1", note="Mine"), clientId="after")
    assert statuses(body) == ["duplicate", "applied"]
    assert body["results"][1]["entity"]["uuid"] == mine["uuid"]
    assert client.get(f"/api/ccus/{theirs['uuid']}").json() == theirs


def test_a_renaming_that_was_refused_leads_to_its_own_row(
    client: httpx.Client, production: Made, make: Any
) -> None:
    row, theirs = make("cameras", name="x", id="OLD"), make("cameras", name="y", id="NEW")
    put(client, CAMERAS, row, version=1, note="Theirs")
    clash = changing(CAMERAS, row["uuid"], 1, id="NEW", note="Mine")
    broken = changing(CAMERAS, row["uuid"], 1, id="NEW", name="")
    for refused, fate in ((clash, "conflict"), (broken, "rejected")):
        body = synced(client, production, refused, changing(CAMERAS, "NEW", name=fate))
        assert statuses(body) == [fate, "applied"]
        assert body["results"][1]["entity"]["uuid"] == row["uuid"]
    assert client.get(f"/api/cameras/{theirs['uuid']}").json() == theirs


def test_a_form_that_was_refused_does_not_take_its_row_away(
    client: httpx.Client, production: Made, make: Any
) -> None:
    row = make("cameras", name="x", id="CAM 1")
    put(client, CAMERAS, row, version=1, note="Theirs")
    form = changing(CAMERAS, "CAM 1", 1, id="CAM 1", note="Mine")
    body = synced(client, production, form, changing(CAMERAS, "CAM 1", 1, name="Mine"))
    assert statuses(body) == ["conflict", "merged"]


def test_the_last_row_that_got_the_label_has_it(
    client: httpx.Client, production: Made, make: Any
) -> None:
    theirs = make("cameras", name="Theirs", id="CAM 1")
    first, second = making(CAMERAS, id="CAM 1"), making(CAMERAS, id="CAM 1")
    gone = mutation("delete", CAMERAS, key=theirs["uuid"])
    body = synced(client, production, first, gone, second, changing(CAMERAS, "CAM 1", note="Mine"))
    assert statuses(body) == ["rejected", "applied", "applied", "applied"]
    assert body["results"][3]["entity"]["uuid"] == second["uuid"]


def test_a_try_that_is_undone_leaves_no_meaning_behind(
    client: httpx.Client, production: Made, make: Any
) -> None:
    """PostgreSQL refuses the last one, so those before it are done a second time."""
    outputs = [{"id": "A", "connector": "SDI"}]
    stolen, ours = (make("sources", name="S", type="x", outputs=outputs) for _ in range(2))
    old = make("cameras", name="Old", id="CAM 1")
    theirs = make("cameras", name="Theirs", id="CAM 2")
    body = synced(
        client, production,
        changing(CAMERAS, "CAM 1", note="first"), making(CAMERAS, id="CAM 2"),
        changing(CAMERAS, old["uuid"], id="CAM 7"), changing(CAMERAS, theirs["uuid"], id="CAM 1"),
        changing(SOURCES, ours["uuid"], outputs=stolen["outputs"]),
        relabel=True,
    )  # fmt: skip
    assert statuses(body) == ["applied", "merged", "applied", "applied", "rejected"]
    assert body["results"][0]["entity"]["uuid"] == old["uuid"]


def test_a_label_of_another_type_is_left_alone(
    client: httpx.Client, production: Made, make: Any
) -> None:
    sends = [make("sends", name="x", type="MONITOR", id=word) for word in "12"]
    make("cameras", name="Theirs", id="1")
    kept = {"destinationType": "SEND", "destinationUuid": sends[1]["uuid"]}
    wires = [make("connections", **kept, intermediateType="PATCHBAY") for _ in range(2)]
    body = synced(
        client, production, making(CAMERAS, id="1"),
        changing(CONNECTIONS, wires[0]["uuid"], destinationId="1"),
        changing(CONNECTIONS, wires[1]["uuid"], intermediateId="1"),
        relabel=True,
    )  # fmt: skip
    assert statuses(body) == ["merged", "applied", "applied"]
    assert body["results"][1]["entity"]["destinationUuid"] == sends[0]["uuid"]
    assert body["results"][2]["entity"]["intermediateId"] == "1"


def test_a_relabelled_source_takes_its_outputs_and_connections_along(
    client: httpx.Client, production: Made, make: Any
) -> None:
    """Offline the new source was SRC 1, and so were its outputs: on the server that is another."""
    theirs = make("sources", name="Theirs", type="x", id="SRC 1", outputs=[{"connector": "SDI"}])
    camera = make("cameras", name="Theirs", id="CAM 1")
    outputs = [{"connector": "SDI", "id": "SRC 1-OUT1"}]
    mine = making(SOURCES, id="SRC 1", outputs=outputs)
    device = making(CAMERAS, id="CAM 1")
    ends = {"intermediateId": "CAM 1", "sourceOutputId": "SRC 1-OUT1"}
    typed = making(CONNECTIONS, sourceId="SRC 1", intermediateType="cam", **ends)
    untyped = making(CONNECTIONS, **ends)
    body = synced(client, production, mine, device, typed, untyped, relabel=True)
    assert statuses(body) == ["merged", "merged", "applied", "applied"]
    source, _, *paths = (result["entity"] for result in body["results"])
    assert [output["id"] for output in source["outputs"]] == ["SRC 2-OUT1"]
    for path in paths:
        assert path["sourceOutputUuid"] == source["outputs"][0]["uuid"] != theirs["uuid"]
        assert path["intermediateUuid"] == device["uuid"] != camera["uuid"]
    refused = making(SOURCES, id="SRC 1", outputs=outputs, name="")
    body = synced(client, production, refused, making(CONNECTIONS, **ends), relabel=True)
    assert statuses(body) == ["rejected", "rejected"]


def test_a_source_renamed_offline_is_still_found_by_its_outputs(
    client: httpx.Client, production: Made, make: Any
) -> None:
    source = make("sources", name="x", type="x", id="SRC 1", outputs=[{"connector": "SDI"}])
    words = ("SRC 1-OUT1", "SRC 7-OUT1", source["outputs"][0]["uuid"])
    paths = [making(CONNECTIONS, sourceId="SRC 7", sourceOutputId=word) for word in words]
    body = synced(client, production, changing(SOURCES, "SRC 1", 1, id="SRC 7"), *paths)
    for result in body["results"][1:]:
        assert result["entity"]["sourceOutputUuid"] == source["outputs"][0]["uuid"]
        assert result["entity"]["sourceOutputId"] == "SRC 7-OUT1"

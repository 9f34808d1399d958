"""References: by label or uuid, inside one production; the label is derived, never stale."""

from typing import Any

import httpx
import pytest

from app.entities import device_types
from app.model.entity import Row
from tests.support.bodies import SOME_UUID, minimal


@pytest.fixture
def ccus(make: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    return make("ccus", name="One", id="CCU 1"), make("ccus", name="Two", id="CCU 2")


def test_a_camera_is_linked_by_label_or_uuid(make: Any, ccus: Any) -> None:
    for body in ({"ccuId": "CCU 1"}, {"ccuUuid": ccus[0]["uuid"]},
                 {"ccuId": "CCU 1", "ccuUuid": ccus[0]["uuid"]},
                 {"ccuId": "CCU 1", "ccuUuid": None}):  # fmt: skip
        camera = make("cameras", name="Camera", **body)
        assert (camera["ccuId"], camera["ccuUuid"]) == ("CCU 1", ccus[0]["uuid"])


def test_renaming_a_ccu_shows_in_its_cameras(client: httpx.Client, make: Any, ccus: Any) -> None:
    camera = make("cameras", name="Camera", ccuId="CCU 1")
    client.put(f"/api/ccus/{ccus[0]['uuid']}", json={"id": "TRUCK A"}).raise_for_status()
    after = client.get(f"/api/cameras/{camera['uuid']}").json()
    assert after == {**camera, "ccuId": "TRUCK A"}


@pytest.mark.parametrize(
    "said", [{"ccuId": None}, {"ccuId": ""}, {"ccuUuid": None}, {"ccuUuid": ""}]
)
def test_null_or_blank_unlinks(client: httpx.Client, make: Any, ccus: Any, said: Any) -> None:
    camera = make("cameras", name="Camera", ccuId="CCU 1")
    after = client.put(f"/api/cameras/{camera['uuid']}", json=said).json()
    assert (after["ccuId"], after["ccuUuid"], after["version"]) == (None, None, 2)
    assert list(after["fieldVersions"]) == ["ccuUuid"]


@pytest.mark.parametrize("changed", ["ccuId", "ccuUuid"])
def test_of_label_and_uuid_the_changed_one_counts(
    client: httpx.Client, make: Any, ccus: Any, changed: str
) -> None:
    camera = make("cameras", name="Camera", ccuId="CCU 1")
    form = {**camera, changed: {"ccuId": "CCU 2", "ccuUuid": ccus[1]["uuid"]}[changed]}
    after = client.put(f"/api/cameras/{camera['uuid']}", json=form).json()
    assert (after["ccuId"], after["ccuUuid"]) == ("CCU 2", ccus[1]["uuid"])


def test_label_and_uuid_that_disagree_are_refused(
    client: httpx.Client, make: Any, ccus: Any
) -> None:
    camera = make("cameras", name="Camera")
    body = {"ccuId": "CCU 1", "ccuUuid": ccus[1]["uuid"]}
    answer = client.put(f"/api/cameras/{camera['uuid']}", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "ccuUuid")


def test_what_is_not_in_the_production_is_refused_by_name(
    client: httpx.Client, production: dict[str, Any], make: Any, ccus: Any
) -> None:
    other = client.post("/api/productions", json={"name": "Other"}).json()
    theirs = client.post(
        "/api/ccus", json={"productionId": other["id"], "name": "x", "id": "THEIRS"}
    ).json()
    client.delete(f"/api/ccus/{ccus[1]['uuid']}")
    camera = make("cameras", name="Camera", ccuId="CCU 1")
    for member, said in (("ccuId", "THEIRS"), ("ccuId", "CCU 2"), ("ccuUuid", theirs["uuid"]),
                         ("ccuUuid", SOME_UUID), ("ccuId", "nobody")):  # fmt: skip
        create = {"productionId": production["id"], "name": "x", member: said}
        for answer in (
            client.post("/api/cameras", json=create),
            client.put(f"/api/cameras/{camera['uuid']}", json={member: said}),
        ):
            assert answer.status_code == 422, said
            assert answer.json()["errors"][0]["path"] == member
            assert said in answer.json()["message"]
    assert client.get(f"/api/cameras/{camera['uuid']}").json() == camera


def test_a_label_that_two_hold_must_be_named_by_uuid(
    client: httpx.Client, make: Any, ccus: Any
) -> None:
    client.put(f"/api/ccus/{ccus[1]['uuid']}", json={"id": "CCU 1"}).raise_for_status()
    camera = make("cameras", name="Camera")
    answer = client.put(f"/api/cameras/{camera['uuid']}", json={"ccuId": "CCU 1"})
    assert answer.status_code == 422
    assert "uuid" in answer.json()["message"]


def test_a_connection_names_source_output_and_destination(client: httpx.Client, make: Any) -> None:
    source = make("sources", name="GFX", type="LAPTOP", outputs=[{"connector": "HDMI"}])
    send = make("sends", name="Wall", type="LED", id="DST 1")
    body = {"sourceId": source["id"], "sourceOutputId": source["outputs"][0]["id"],
            "destinationType": "SEND", "destinationId": "DST 1"}  # fmt: skip
    path = make("connections", **body)
    assert path["sourceUuid"] == source["uuid"]
    assert path["destinationUuid"] == send["uuid"]
    client.put(f"/api/sends/{send['uuid']}", json={"id": "WALL"}).raise_for_status()
    client.put(f"/api/sources/{source['uuid']}", json={"id": "GFX A"}).raise_for_status()
    after = client.get(f"/api/connections/{path['uuid']}").json()
    labels = {"destinationId": "WALL", "sourceId": "GFX A", "sourceOutputId": "GFX A-OUT1"}
    assert after == {**path, **labels}


@pytest.mark.parametrize("word", ["SEND", "send", "sends", "Send"])
def test_a_destination_by_uuid_or_label_in_any_spelling(make: Any, word: str) -> None:
    send = make("sends", name="Wall", type="LED")
    for said in ({"destinationId": send["id"]}, {"destinationUuid": send["uuid"]},
                 {"destinationId": send["uuid"]}):  # fmt: skip
        path = make("connections", destinationType=word, **said)
        assert (path["destinationUuid"], path["destinationId"]) == (send["uuid"], send["id"])


def test_a_patchbay_is_the_frontends_own_word(make: Any) -> None:
    path = make("connections", destinationType="PATCHBAY", destinationId="PB 1",
                intermediateType="SWITCHER", intermediateId="E2")  # fmt: skip
    assert (path["destinationId"], path["destinationUuid"]) == ("PB 1", None)


@pytest.mark.parametrize(
    ("said", "member"),
    [
        ({"destinationType": "SEND", "destinationId": "NOBODY"}, "destinationId"),
        ({"destinationType": "SEND", "destinationUuid": SOME_UUID}, "destinationUuid"),
        ({"destinationType": "PATCHBAY", "destinationUuid": SOME_UUID}, "destinationUuid"),
        ({"intermediateType": "CCU", "intermediateId": "NOBODY"}, "intermediateId"),
        ({"sourceId": "NOBODY"}, "sourceId"),
        ({"sourceOutputId": "NOBODY"}, "sourceOutputId"),
    ],
)
def test_what_a_connection_names_must_live_in_its_production(
    client: httpx.Client, production: dict[str, Any], said: dict[str, str], member: str
) -> None:
    body = {"productionId": production["id"], "destinationType": "PATCHBAY", **said}
    answer = client.post("/api/connections", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == member


def test_an_output_must_be_its_own_sources(client: httpx.Client, make: Any) -> None:
    one, two = (
        make("sources", name="x", type="y", outputs=[{"connector": "HDMI"}]) for _ in range(2)
    )
    path = make("connections", destinationType="PATCHBAY", sourceId=one["id"],
                sourceOutputId=one["outputs"][0]["uuid"])  # fmt: skip
    theirs = {"sourceOutputId": two["outputs"][0]["id"]}
    assert client.put(f"/api/connections/{path['uuid']}", json=theirs).status_code == 422
    both = {**theirs, "sourceId": two["id"]}
    assert client.put(f"/api/connections/{path['uuid']}", json=both).status_code == 200


def test_redirecting_a_connection_by_label_beside_its_old_uuid(
    client: httpx.Client, make: Any
) -> None:
    one, two = (make("sends", name="x", type="y") for _ in range(2))
    path = make("connections", destinationType="SEND", destinationId=one["id"])
    form = {**path, "destinationId": two["id"]}
    after = client.put(f"/api/connections/{path['uuid']}", json=form).json()
    assert (after["destinationUuid"], after["destinationId"]) == (two["uuid"], two["id"])
    back = {**after, "destinationUuid": one["uuid"]}
    after = client.put(f"/api/connections/{path['uuid']}", json=back).json()
    assert (after["destinationUuid"], after["destinationId"]) == (one["uuid"], one["id"])
    patchbay = {**after, "destinationType": "PATCHBAY", "destinationId": "PB 1"}
    after = client.put(f"/api/connections/{path['uuid']}", json=patchbay).json()
    assert (after["destinationUuid"], after["destinationId"]) == (None, "PB 1")


def words_of(entity: type[Row]) -> list[str]:
    """Return what people may write for a type."""
    names = {
        entity.entity_type, entity.collection, entity.event_type, entity.prefix, entity.noun,
        *entity.path_aliases,
    }  # fmt: skip
    plain = {name.lower().replace("_", "-").removesuffix("s") for name in names}
    return sorted({*names, *plain, *(f"{name}S".upper() for name in plain)})


SPELLINGS = [(entity, word) for entity in device_types() for word in words_of(entity)]


@pytest.mark.parametrize(("entity", "word"), SPELLINGS, ids=[word for _, word in SPELLINGS])
def test_a_kept_type_in_any_spelling_is_kept_by_uuid(
    client: httpx.Client, production: dict[str, Any], make: Any, entity: type[Row], word: str
) -> None:
    one, two = (make(entity.collection, **minimal(entity)) for _ in range(2))
    path = make("connections", destinationType=word, destinationId=one["id"],
                intermediateType=word, intermediateId=two["id"])  # fmt: skip
    assert (path["destinationUuid"], path["intermediateUuid"]) == (one["uuid"], two["uuid"])
    assert path["unresolved"] == []
    order = {"order": [two["uuid"], one["uuid"]], "prefix": "NEW"}
    where = f"/api/productions/{production['uuid']}/{entity.collection}/renumber"
    client.post(where, json=order).raise_for_status()
    after = client.get(f"/api/connections/{path['uuid']}").json()
    assert after == {**path, "destinationId": "NEW 2", "intermediateId": "NEW 1"}
    for end in ("destination", "intermediate"):
        answer = client.patch(f"/api/connections/{path['uuid']}", json={f"{end}Id": "GONE"})
        assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, f"{end}Id")
        assert "'NEW 1'" in answer.json()["message"]


@pytest.mark.parametrize("word", ["BANANA", "PATCHBAY", "snakeish", "camera 1", "x"])
def test_a_type_that_nobody_keeps_is_text_and_says_so(
    client: httpx.Client, make: Any, word: str
) -> None:
    send = make("sends", name="Wall", type="LED", id="DST 1")
    said = {"destinationType": word, "destinationId": "DST 1"}
    path = make("connections", **said, intermediateType=word, intermediateId="DST 1")
    assert path["unresolved"] == ["destination", "intermediate"]
    assert (path["destinationUuid"], path["intermediateUuid"]) == (None, None)
    client.patch(f"/api/sends/{send['uuid']}", json={"id": "WALL"}).raise_for_status()
    after = client.get(f"/api/connections/{path['uuid']}").json()
    assert after == path
    kept = {"destinationType": "send", "destinationId": "WALL"}
    after = client.patch(f"/api/connections/{path['uuid']}", json=kept).json()
    assert (after["destinationUuid"], after["unresolved"]) == (send["uuid"], ["intermediate"])
    # The type alone takes the uuid away, and leaves the label of today as text.
    client.patch(f"/api/sends/{send['uuid']}", json={"id": "LED"}).raise_for_status()
    after = client.patch(f"/api/connections/{path['uuid']}", json={"destinationType": word}).json()
    assert (after["destinationUuid"], after["destinationId"]) == (None, "LED")


def test_a_device_without_a_type_is_kept_where_only_one_is_called_so(make: Any) -> None:
    camera = make("cameras", name="x", id="ROBO")
    path = make("connections", destinationType="PATCHBAY", intermediateId="ROBO")
    assert (path["intermediateUuid"], path["unresolved"]) == (camera["uuid"], [])
    make("ccus", name="x", id="ROBO")
    path = make("connections", destinationType="PATCHBAY", intermediateId="ROBO")
    assert (path["intermediateUuid"], path["unresolved"]) == (None, ["intermediate"])


def test_a_form_with_a_former_label_alone_leaves_the_device(
    client: httpx.Client, make: Any
) -> None:
    """The frontend's form has labels only; a rename in between changes no version of the row."""
    camera = make("cameras", name="x", id="CAM 1")
    path = make("connections", destinationType="PATCHBAY", intermediateType="camera",
                intermediateId="CAM 1")  # fmt: skip
    client.patch(f"/api/cameras/{camera['uuid']}", json={"id": "JIB"}).raise_for_status()
    form = {"intermediateType": "camera", "intermediateId": "CAM 1", "note": "new", "version": 1}
    after = client.put(f"/api/connections/{path['uuid']}", json=form).json()
    expected = ("JIB", camera["uuid"], "new")
    assert (after["intermediateId"], after["intermediateUuid"], after["note"]) == expected


def test_a_stale_form_does_not_move_a_connection_to_another_output(
    client: httpx.Client, production: dict[str, Any], make: Any
) -> None:
    one, two = (
        make("sources", name="x", type="y", outputs=[{"connector": "HDMI"}]) for _ in range(2)
    )
    path = make("connections", destinationType="PATCHBAY", sourceUuid=one["uuid"],
                sourceOutputId=one["outputs"][0]["id"])  # fmt: skip
    assert path["sourceOutputUuid"] == one["outputs"][0]["uuid"]
    where = f"/api/productions/{production['uuid']}/sources/renumber"
    client.post(where, json={"order": [two["uuid"], one["uuid"]]}).raise_for_status()
    now = client.get(f"/api/connections/{path['uuid']}").json()
    assert (now["sourceOutputId"], now["version"]) == ("SRC 2-OUT1", 1)
    form = {"sourceUuid": path["sourceUuid"], "sourceOutputId": path["sourceOutputId"],
            "note": "new", "version": 1}  # fmt: skip
    after = client.put(f"/api/connections/{path['uuid']}", json=form).json()
    assert after["sourceOutputUuid"] == path["sourceOutputUuid"]
    assert after["sourceOutputId"] == "SRC 2-OUT1"
    for said in ({"sourceOutputId": None}, {"sourceOutputUuid": ""}):
        after = client.put(f"/api/connections/{path['uuid']}", json=said).json()
        assert (after["sourceOutputId"], after["sourceOutputUuid"]) == (None, None)
        back = {"sourceOutputUuid": path["sourceOutputUuid"]}
        after = client.put(f"/api/connections/{path['uuid']}", json=back).json()
        assert after["sourceOutputId"] == "SRC 2-OUT1"


def test_an_output_that_is_gone_says_so(client: httpx.Client, make: Any) -> None:
    source = make("sources", name="x", type="y", outputs=[{"connector": "HDMI"}])
    path = make("connections", destinationType="PATCHBAY", sourceId=source["id"],
                sourceOutputId=source["outputs"][0]["id"])  # fmt: skip
    client.patch(f"/api/sources/{source['uuid']}", json={"outputs": []}).raise_for_status()
    after = client.get(f"/api/connections/{path['uuid']}").json()
    assert after == {**path, "unresolved": ["sourceOutput"]}

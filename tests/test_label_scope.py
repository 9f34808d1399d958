"""A label means one row: of which show is said, a clash is told, a former label is not taken."""

from typing import Any

import httpx
import pytest

from app.model.entity import Row
from tests.support.bodies import SCOPED, minimal, named
from tests.support.service import created
from tests.support.sockets import tab

scoped = pytest.mark.parametrize("entity", SCOPED, ids=named)


@scoped
def test_the_show_narrows_every_path_by_label(
    client: httpx.Client, production: dict[str, Any], entity: type[Row]
) -> None:
    shows = [production, created(client, "productions", name="Another")]
    own, other = (
        created(client, entity.collection, productionId=s["uuid"], **minimal(entity, id="ONE 1"))
        for s in shows
    )
    for mount in (entity.collection, *entity.path_aliases):
        path = f"/api/{mount}/ONE 1"
        refused = client.get(path)
        assert (refused.status_code, refused.json()["code"]) == (409, "AMBIGUOUS_ID")
        assert "?production=" in refused.json()["message"]
        for show, row in zip(shows, (own, other), strict=True):
            for name in (show["uuid"], show["id"], show["id"].lower()):
                assert client.get(path, params={"production": name}).json()["uuid"] == row["uuid"]
        narrow = {"production": production["id"]}
        assert client.patch(path, params=narrow, json={"note": mount}).json()["note"] == mount
        assert client.put(path, params=narrow, json={"note": "x"}).json()["uuid"] == own["uuid"]
        history = client.get(f"{path}/history", params=narrow).json()["history"]
        assert len(history) > 1
        back = client.post(f"{path}/restore", params=narrow, json={"version": 1})
        assert back.json()["uuid"] == own["uuid"]
        assert client.get(path, params={"production": "NO SUCH"}).status_code == 404
        assert client.get("/api/x", params=narrow).status_code == 404
    assert client.delete(f"/api/{entity.collection}/ONE 1", params=narrow).status_code == 200
    assert client.get(f"/api/{entity.collection}/ONE 1").json()["uuid"] == other["uuid"]


@scoped
def test_a_clash_on_update_is_told_and_listed(
    client: httpx.Client, make: Any, production: dict[str, Any], entity: type[Row]
) -> None:
    first, second = (make(entity.collection, **minimal(entity, id=f"ONE {n}")) for n in (1, 2))
    path, clashes = (
        f"/api/{entity.collection}",
        f"/api/productions/{production['id']}/label-clashes",
    )
    assert client.get(clashes).json() == []
    answer = client.put(f"{path}/{second['uuid']}", json={"id": "one 1"})
    assert answer.json()["labelClash"] == [{"uuid": first["uuid"], "id": "ONE 1"}]
    assert "etag" not in answer.headers
    assert "labelClash" not in client.get(f"{path}/{second['uuid']}").json()
    told = client.get(clashes).json()
    assert [(c["collection"], len(c["rows"])) for c in told] == [(entity.collection, 2)]
    bulk = {"operations": [{"op": "update", "key": second["uuid"], "data": {"id": "ONE 1"}}]}
    told = client.post(f"/api/productions/{production['uuid']}/{entity.collection}/bulk", json=bulk)
    assert told.json()["results"][0]["entity"]["labelClash"]
    edit = client.put(f"{path}/{second['uuid']}", json={"id": "ONE 2"})
    assert "labelClash" not in edit.json()
    assert edit.headers["etag"]
    assert client.get(clashes).json() == []


def test_clashes_of_an_unknown_show_are_none_of_nothing(client: httpx.Client) -> None:
    assert client.get("/api/productions/NO SUCH/label-clashes").status_code == 404


def test_two_shows_of_one_label_are_told(client: httpx.Client, production: dict[str, Any]) -> None:
    other = created(client, "productions", name="x")
    edit = {"id": production["id"], "version": 1}
    answer = client.put(f"/api/productions/{other['uuid']}", json=edit)
    assert [c["uuid"] for c in answer.json()["labelClash"]] == [production["uuid"]]


@pytest.fixture
def moved(client: httpx.Client, production: dict[str, Any]) -> tuple[str, list[str]]:
    """Return a label that went from one live show to another, and the uuids of both."""
    label = f"GALA {production['id']}"
    first = created(client, "productions", name="First", id=label)
    edit = {"id": f"{label} OLD", "version": 1}
    client.put(f"/api/productions/{first['uuid']}", json=edit).raise_for_status()
    second = created(client, "productions", name="Second", id=label)
    return label, [first["uuid"], second["uuid"]]


def test_a_former_label_writes_to_neither_show(
    client: httpx.Client, moved: tuple[str, list[str]]
) -> None:
    label, shows = moved
    camera = {"productionId": label, "name": "A"}
    bulk = {"operations": [{"op": "create", "data": {"name": "A"}}]}
    renamed = created(client, "cameras", productionId=shows[0], name="A")
    lookalike = {**camera, "productionId": f"{label.lower()} "}
    narrow = {"production": label}
    for answer in (
        client.post("/api/cameras", json=camera),
        client.post("/api/cameras", json=lookalike),
        client.put("/api/cameras/CAM 1", params=narrow, json={"name": "x"}),
        client.delete("/api/cameras/CAM 1", params=narrow),
        client.post(f"/api/productions/{label}/cameras/bulk", json=bulk),
        client.post(f"/api/productions/{label}/cameras/renumber", json={"prefix": "X"}),
        client.put(f"/api/productions/{label}", json={"name": "x", "version": 1}),
        client.delete(f"/api/productions/{label}"),
        client.post(f"/api/productions/{label}/sync", json={
            "clientId": "tab-1", "mutations": [{
                "id": "m-1", "op": "create", "collection": "cameras", "data": camera,
            }],
        }),
    ):  # fmt: skip
        told = answer.json()
        assert (answer.status_code, told["code"]) == (409, "AMBIGUOUS_ID"), answer.text
        assert {c["uuid"] for c in told["candidates"]} == set(shows)
        assert f"{label} OLD" in told["message"]
    for show, count in zip(shows, (1, 0), strict=True):
        assert len(client.get(f"/api/cameras/production/{show}").json()) == count
    moving = client.put(f"/api/cameras/{renamed['uuid']}", json=camera)
    assert moving.status_code == 400, "a row stays where it is"
    for show in shows:
        assert client.post("/api/cameras", json={**camera, "productionId": show}).is_success


async def test_nor_is_its_room_joined(client: httpx.Client, moved: tuple[str, list[str]]) -> None:
    label, shows = moved
    async with tab(str(client.base_url)) as page:
        for key in (label, label.lower()):
            refused = await page.ask("production:join", {"productionId": key, "userId": "ann"})
            assert refused["code"] == "AMBIGUOUS_ID"
            assert refused["candidates"]
        joined = await page.ask("production:join", {"productionId": shows[1], "userId": "ann"})
        assert joined["productionId"] == label


def test_a_show_is_not_given_a_label_that_another_gave_up(client: httpx.Client) -> None:
    first = created(client, "productions", name="x")
    edit = {"id": f"GONE {first['uuid'][:8]}", "version": 1}
    client.put(f"/api/productions/{first['uuid']}", json=edit).raise_for_status()
    assert created(client, "productions", name="y")["id"] != first["id"]


def test_a_show_that_is_renamed_back_has_its_label_again(
    client: httpx.Client, production: dict[str, Any]
) -> None:
    path, label = f"/api/productions/{production['uuid']}", production["id"]
    for version, name in ((1, f"{label} OLD"), (2, label)):
        client.put(path, json={"id": name, "version": version}).raise_for_status()
    assert created(client, "cameras", productionId=label, name="A")["productionId"] == label


@pytest.mark.parametrize("change", [str.lower, lambda label: f"{label} "], ids=["case", "blank"])
def test_a_show_is_its_own_however_it_is_written(
    client: httpx.Client, make: Any, production: dict[str, Any], change: Any
) -> None:
    written = change(production["id"])
    camera = make("cameras", name="A")
    edit = {"productionId": written, "name": "B"}
    assert client.put(f"/api/cameras/{camera['uuid']}", json=edit).json()["name"] == "B"
    bulk = {"operations": [{"op": "create", "data": edit}]}
    path = f"/api/productions/{production['uuid']}/cameras/bulk"
    assert client.post(path, json=bulk).json()["results"][0]["status"] == "created"

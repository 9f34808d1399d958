"""Diagrams over HTTP: their types, headers, tags and errors."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.drawing import parsed, uuids

Row = dict[str, Any]
Make = Callable[..., Row]


@pytest.fixture
def rows(client: httpx.Client, make: Make) -> dict[str, Row]:
    """Make a source that a wall shows by a router, and a send that nothing feeds."""
    made = {"source": make("sources", type="LAPTOP", name="L"), "router": make("routers", name="R")}
    made["wall"] = make("sends", type="WALL", name="W")
    made["dark"] = make("sends", type="WALL", name="D")
    made["path"] = make(
        "connections", sourceType="source", sourceUuid=made["source"]["uuid"],
        destinationType="send", destinationUuid=made["wall"]["uuid"],
        intermediateType="router", intermediateId=made["router"]["id"], intermediateInput="IN 1",
        intermediateOutput="OUT 1",
    )  # fmt: skip
    return made


def url(rows: dict[str, Row], kind: str) -> str:
    return f"/api/productions/{rows['source']['productionUuid']}/diagram.{kind}"


def test_a_show_is_drawn_with_what_a_browser_may_do_with_it(
    client: httpx.Client, rows: dict[str, Row]
) -> None:
    answer = client.get(url(rows, "svg"))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers["x-content-type-options"] == "nosniff"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; frame-ancestors 'none';")
    assert "unsafe" not in policy
    root = parsed(answer.text)
    assert {rows[name]["uuid"] for name in ("source", "router", "wall", "dark")} == {
        *uuids(root, "device")
    }
    assert uuids(root, "path") == [rows["path"]["uuid"]]
    words = [element.text or "" for element in root.iter()]
    seq = client.get(f"/api/sends/{rows['wall']['uuid']}/trace").json()["seq"]
    assert any(f"change {seq} \u00b7 20" in text and text.endswith("UTC") for text in words)


@pytest.mark.parametrize(
    ("kind", "media", "begin"),
    [
        ("mmd", "text/vnd.mermaid", "---\ntitle: "),
        ("dot", "text/vnd.graphviz", "digraph signal_flow {"),
        ("json", "application/json", '{"graph":{"type":"signal-flow"'),
    ],
)
def test_it_is_had_as_text_as_well(
    client: httpx.Client, rows: dict[str, Row], kind: str, media: str, begin: str
) -> None:
    answer = client.get(url(rows, kind), params={"trace": rows["wall"]["id"]})
    assert answer.headers["content-type"].partition(";")[0] == media
    assert answer.text.startswith(begin)
    assert rows["router"]["uuid"] in answer.text
    assert rows["dark"]["uuid"] not in answer.text


def test_a_tag_holds_until_the_show_changes(client: httpx.Client, rows: dict[str, Row]) -> None:
    first = client.get(url(rows, "svg"))
    asked = {"If-None-Match": first.headers["etag"]}
    again = client.get(url(rows, "svg"), headers=asked)
    assert (again.status_code, again.content) == (304, b"")
    other = client.get(url(rows, "svg"), headers=asked, params={"trace": rows["wall"]["uuid"]})
    assert other.status_code == 200
    client.patch(f"/api/sends/{rows['dark']['uuid']}", json={"version": 1, "name": "Lobby"})
    changed = client.get(url(rows, "svg"), headers=asked)
    assert changed.status_code == 200
    assert ">Lobby<" in changed.text


def test_what_changed_since_a_number_is_marked(client: httpx.Client, rows: dict[str, Row]) -> None:
    seq = client.get(url(rows, "json")).json()["graph"]["metadata"]["seq"]
    client.patch(f"/api/sends/{rows['wall']['uuid']}", json={"version": 1, "name": "Wall"})
    client.delete(f"/api/sends/{rows['dark']['uuid']}")
    graph = client.get(url(rows, "json"), params={"since": seq}).json()["graph"]
    marked = {node["label"]: node["metadata"]["change"] for node in graph["nodes"].values()}
    assert marked[rows["wall"]["id"]] == "changed"
    assert marked[rows["source"]["id"]] is None
    assert graph["metadata"]["deleted"] == [{"collection": "sends", "label": rows["dark"]["id"]}]
    late = client.get(url(rows, "json"), params={"since": seq + 1_000})
    assert (late.status_code, late.json()["code"]) == (410, "LOG_TRIMMED")


def test_a_client_hears_what_it_did_wrong(client: httpx.Client, rows: dict[str, Row]) -> None:
    nowhere = client.get(f"/api/productions/{uuid4()}/diagram.svg")
    assert nowhere.status_code == 404
    for params in (
        {"trace": str(uuid4())}, {"trace": ""}, {"trace": "NO SUCH"}, {"direction": "sideways"},
        {"since": "-1"}, {"since": "yesterday"}, {"trace": "a\x00b"},
    ):  # fmt: skip
        answer = client.get(url(rows, "svg"), params=params)
        assert (answer.status_code, answer.json()["code"]) == (422, "INVALID"), params

"""If-Match: a write goes through only to the row that its tag names, whoever was faster."""

from typing import Any

import httpx
import pytest

from app.model.entity import Row
from app.model.secret_fields import public
from app.rules.etags import allows
from tests.support.bodies import REPRESENTATIVES, SCOPED, minimal, named

every = pytest.mark.parametrize("entity", REPRESENTATIVES, ids=named)


def path(entity: type[Row], row: Any) -> str:
    return f"/api/{entity.collection}/{row['uuid']}"


def edit(entity: type[Row], value: str, **members: Any) -> dict[str, Any]:
    return {("note" if entity in SCOPED else "venue"): value, **members}


@every
def test_the_tag_of_every_answer_is_the_same_and_lets_a_write_through(
    client: httpx.Client, make: Any, entity: type[Row]
) -> None:
    row = make(entity.collection, **minimal(entity))
    tag = client.get(path(entity, row)).headers["etag"]
    answer = client.patch(
        path(entity, row), json=edit(entity, "First", version=1), headers={"if-match": tag}
    )
    assert answer.status_code == 200
    assert answer.headers["etag"] == client.get(path(entity, row)).headers["etag"] != tag
    late = {"if-match": answer.headers["etag"]}
    assert client.request("DELETE", path(entity, row), headers=late).status_code == 200


def test_a_create_says_its_tag(client: httpx.Client, production: Any) -> None:
    body = {"productionId": production["id"], "name": "x"}
    answer = client.post("/api/cameras", json=body)
    again = client.get(f"/api/cameras/{answer.json()['uuid']}")
    assert answer.headers["etag"] == again.headers["etag"]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@every
def test_a_write_to_another_state_is_refused_and_changes_nothing(
    client: httpx.Client, make: Any, entity: type[Row], method: str
) -> None:
    row = make(entity.collection, **minimal(entity))
    tag = client.get(path(entity, row)).headers["etag"]
    client.put(path(entity, row), json=edit(entity, "Theirs", version=1)).raise_for_status()
    now = client.get(path(entity, row)).json()
    body = edit(entity, "Mine", version=2) if method != "DELETE" else {}
    answer = client.request(method, path(entity, row), json=body, headers={"if-match": tag})
    told = answer.json()
    assert (answer.status_code, told["code"]) == (412, "PRECONDITION_FAILED")
    assert (told["serverData"], told["currentVersion"]) == (public(entity, now), 2)
    assert client.get(path(entity, row)).json() == now


def test_a_ccu_that_is_renamed_changes_the_tag_of_its_cameras(
    client: httpx.Client, make: Any
) -> None:
    ccu = make("ccus", name="x")
    camera = make("cameras", name="x", ccuId=ccu["id"])
    tag = client.get(f"/api/cameras/{camera['uuid']}").headers["etag"]
    client.put(f"/api/ccus/{ccu['uuid']}", json={"id": "CCU 99"}).raise_for_status()
    answer = client.put(
        f"/api/cameras/{camera['uuid']}", json={"name": "y"}, headers={"if-match": tag}
    )
    assert (answer.status_code, answer.json()["serverData"]["ccuId"]) == (412, "CCU 99")


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        (b"", True), (b"*", True), (b'"a"', True), (b'"x", "a"', True), (b'W/"a"', False),
        (b'"b"', False), (b"a", False), (b'W/"a", "b"', False), (b"\xff\x00", False), (b'"', False),
    ],
)  # fmt: skip
def test_the_comparison_is_strong(header: bytes, allowed: bool) -> None:
    assert allows(header, '"a"') is allowed

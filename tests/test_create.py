"""Creating: 201 with the whole entity, in the contract's form, for every type."""

from typing import Any

import httpx
import pytest

from app.model.entity import Row
from app.model.schemas import read_schema
from tests.support.bodies import ALL, SCOPED, SOME_UUID, full, minimal, named, optional

every = pytest.mark.parametrize("entity", ALL, ids=named)
scoped = pytest.mark.parametrize("entity", SCOPED, ids=named)


def posted(client: httpx.Client, entity: type[Row], body: dict[str, Any]) -> httpx.Response:
    return client.post(f"/api/{entity.collection}", json=body)


@every
def test_the_least_a_create_takes(client: httpx.Client, make: Any, entity: type[Row]) -> None:
    made = make(entity.collection, **minimal(entity))
    assert made["version"] == 1
    assert made["fieldVersions"] == {}
    assert made["isDeleted"] is False
    assert made["createdAt"] == made["updatedAt"]
    read_schema(entity).model_validate(made)


@every
def test_every_member_comes_back_as_it_was_sent(make: Any, entity: type[Row]) -> None:
    body = full(entity)
    made = make(entity.collection, **body)
    lists = {name: body.pop(name) for name in entity.parts}
    assert {name: made[name] for name in body} == body
    for name, elements in lists.items():
        assert [{k: e[k] for k in elements[0]} for e in made[name]] == elements
    read_schema(entity).model_validate(made)


@every
def test_the_answer_has_every_member_and_no_other(make: Any, entity: type[Row]) -> None:
    made = make(entity.collection, **minimal(entity))
    assert set(made) == set(read_schema(entity).model_fields)
    assert "error" not in made


@every
def test_the_client_may_bring_the_uuid_once(make: Any, client: httpx.Client, entity: Any) -> None:
    made = make(entity.collection, **minimal(entity))
    own = made["uuid"][:-4] + "beef"
    assert make(entity.collection, **minimal(entity, uuid=own))["uuid"] == own
    scope = {"productionId": made.get("productionId")} if "productionId" in made else {}
    again = posted(client, entity, {**scope, **minimal(entity, uuid=own)})
    assert (again.status_code, again.json()["code"]) == (409, "DUPLICATE_UUID")


@scoped
def test_an_unknown_or_deleted_production_is_refused(client: httpx.Client, entity: Any) -> None:
    gone = client.post("/api/productions", json={"name": "Gone"}).json()
    client.delete(f"/api/productions/{gone['uuid']}")
    for key in ("NO SUCH SHOW", SOME_UUID, gone["uuid"], gone["id"] + " x"):
        answer = posted(client, entity, {**minimal(entity), "productionId": key})
        body = answer.json()
        assert (answer.status_code, body["code"]) == (400, "PRODUCTION_NOT_FOUND")
        assert body["productionId"] == key
        assert body["error"] == "Production not found"


@scoped
def test_the_production_is_named_by_uuid_or_label(
    client: httpx.Client, production: dict[str, Any], entity: type[Row]
) -> None:
    for key in (production["uuid"], production["id"]):
        made = posted(client, entity, {**minimal(entity), "productionId": key}).json()
        assert made["productionId"] == production["id"]
        assert made["productionUuid"] == production["uuid"]


@every
def test_blanks_and_null_are_no_value_but_zero_and_false_are(make: Any, entity: Any) -> None:
    members = optional(entity)
    for blank in ("", None):
        made = make(entity.collection, **minimal(entity), **dict.fromkeys(members, blank))
        assert {name: made[name] for name in members} == dict.fromkeys(members)
    nothing = {"int": 0, "float": 0, "bool": False}
    sent: dict[str, Any] = {n: nothing[kind] for n, kind in members.items() if kind in nothing}
    if "completedAt" in sent:
        sent["completed"] = True
    made = make(entity.collection, **minimal(entity), **sent)
    assert {name: made[name] for name in sent} == sent


@every
def test_unknown_members_are_ignored_and_named(
    client: httpx.Client, make: Any, entity: Any
) -> None:
    scope = {"productionId": make("productions", name="Another")["id"]}
    sent = {"metadata": {"a": 1}, "version": 9, "isDeleted": True, "createdAt": "2001-01-01",
            "syncedAt": "2001-01-01", "Zürich\r\nset-cookie: x": 1}  # fmt: skip
    body = {**(scope if entity in SCOPED else {}), **minimal(entity), **sent}
    answer = posted(client, entity, body)
    made = answer.json()
    assert answer.status_code == 201
    assert made["version"] == 1
    assert not made["isDeleted"]
    assert made["createdAt"] > "2020"
    assert made["syncedAt"] is None
    ignored = answer.headers["x-ignored-fields"].split(", ")
    assert {"metadata", "version", "isDeleted", "Z%C3%BCrich%0D%0Aset-cookie%3A%20x"} <= set(
        ignored
    )
    assert "set-cookie" not in answer.headers

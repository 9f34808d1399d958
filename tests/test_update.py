"""Updating: partial whichever the method, nothing written where nothing differs."""

from typing import Any

import httpx
import pytest

from app.model.entity import Row
from tests.support.bodies import ALL, SCOPED, full, minimal, named, optional

every = pytest.mark.parametrize("entity", ALL, ids=named)
scoped = pytest.mark.parametrize("entity", SCOPED, ids=named)
methods = pytest.mark.parametrize("method", ["PUT", "PATCH"])


def edited(
    client: httpx.Client, row: dict[str, Any], entity: Any, /, **body: Any
) -> httpx.Response:
    return client.put(f"/api/{entity.collection}/{row['uuid']}", json={"version": 1, **body})


@methods
@every
def test_absent_members_stay_untouched(
    client: httpx.Client, make: Any, entity: type[Row], method: str
) -> None:
    row = make(entity.collection, **full(entity))
    name = next(iter(minimal(entity)))
    answer = client.request(
        method,
        f"/api/{entity.collection}/{row['uuid']}",
        json={name: "Changed", "version": 1, "userId": "u1"},
    )
    after = answer.json()
    assert answer.status_code == 200
    assert after["version"] == 2
    assert after[name] == "Changed"
    assert after["updatedAt"] >= row["updatedAt"]
    assert after["lastModifiedBy"] == "u1"
    assert after["fieldVersions"] == {name: {"version": 2, "updatedAt": after["updatedAt"]}}
    twice = {word for word, field in entity.synonyms.items() if entity.wire(field) == name}
    moved = {name, *twice, "version", "updatedAt", "fieldVersions", "lastModifiedBy"}
    assert {k: v for k, v in after.items() if k not in moved} == {
        k: v for k, v in row.items() if k not in moved
    }


@every
def test_every_member_can_be_changed_in_one_edit(
    client: httpx.Client, make: Any, entity: Any
) -> None:
    row = make(entity.collection, **minimal(entity))
    body = full(entity)
    after = edited(client, row, entity, **body).json()
    lists = {name: body.pop(name) for name in entity.parts}
    assert {name: after[name] for name in body} == body
    for name, elements in lists.items():
        assert [{k: e[k] for k in elements[0]} for e in after[name]] == elements


@every
def test_a_whole_form_sent_back_writes_nothing(
    client: httpx.Client, make: Any, entity: Any
) -> None:
    row = make(entity.collection, **full(entity))
    answer = edited(client, row, entity, **row)
    assert (answer.status_code, answer.json()) == (200, row)


@every
def test_optional_members_are_emptied_by_null_and_blank(
    client: httpx.Client, make: Any, entity: Any
) -> None:
    members = dict.fromkeys(optional(entity))
    undone = {"completed": False} if "completed" in entity.model_fields else {}
    for blank in (None, ""):
        row = make(entity.collection, **full(entity, **undone))
        after = edited(client, row, entity, **dict.fromkeys(members, blank)).json()
        assert {name: after[name] for name in members} == members


@every
def test_null_for_a_required_member_is_refused(
    client: httpx.Client, make: Any, entity: Any
) -> None:
    row = make(entity.collection, **minimal(entity))
    for name in ("id", *minimal(entity)):
        answer = edited(client, row, entity, **{name: None})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["path"] == name
    assert client.get(f"/api/{entity.collection}/{row['uuid']}").json() == row


@scoped
def test_rows_do_not_move_between_productions(
    client: httpx.Client, production: dict[str, Any], make: Any, entity: type[Row]
) -> None:
    other = make("productions", name="Another")
    row = make(entity.collection, **minimal(entity))
    for key in (other["id"], other["uuid"], "NO SUCH SHOW"):
        answer = edited(client, row, entity, productionId=key)
        assert (answer.status_code, answer.json()["code"]) == (400, "WRONG_PRODUCTION")
    for key in (production["id"], production["uuid"]):
        assert edited(client, row, entity, productionId=key).status_code == 200


@every
def test_what_the_server_owns_is_not_the_clients(
    client: httpx.Client, make: Any, entity: Any
) -> None:
    row = make(entity.collection, **minimal(entity))
    sent = {"uuid": row["uuid"][:-4] + "beef", "isDeleted": True, "createdAt": "2001-01-01",
            "syncedAt": "2001-01-01"}  # fmt: skip
    answer = edited(client, row, entity, **sent)
    assert answer.json() == row
    assert set(answer.headers["x-ignored-fields"].split(", ")) == set(sent)


@every
def test_an_unknown_row_is_a_404(client: httpx.Client, entity: type[Row]) -> None:
    answer = client.put(f"/api/{entity.collection}/NOBODY", json={"version": 1})
    assert (answer.status_code, answer.json()["error"]) == (404, f"{entity.noun} not found")

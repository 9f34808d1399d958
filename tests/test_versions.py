"""Versions: a stale edit is a 409 that says what was, what they made of it, and what you sent."""

from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.model.entity import Row
from app.model.secret_fields import public
from app.rules.merge import differing, same
from tests.support.bodies import (
    REPRESENTATIVES,
    SCOPED_REPRESENTATIVES,
    minimal,
    named,
)

every = pytest.mark.parametrize("entity", REPRESENTATIVES, ids=named)
scoped = pytest.mark.parametrize("entity", SCOPED_REPRESENTATIVES, ids=named)
ERRORS = {
    "cameras": "Conflict detected", "ccus": "Conflict detected", "sends": "Conflict detected",
    "sources": "Conflict", "productions": "Conflict",
    "connections": "Version conflict", "cable-snakes": "Version conflict",
    "checklist-items": "Version conflict",
}  # fmt: skip


def put(client: httpx.Client, entity: type[Row], row: Any, /, **body: Any) -> httpx.Response:
    return client.put(f"/api/{entity.collection}/{row['uuid']}", json=body)


@every
def test_a_stale_version_is_refused_with_all_that_is_needed(
    client: httpx.Client, make: Any, entity: type[Row]
) -> None:
    name = next(iter(minimal(entity)))
    row = make(entity.collection, **minimal(entity))
    theirs = put(client, entity, row, version=1, **{name: "Theirs"}).json()
    answer = put(client, entity, row, version=1, **{name: "Mine"})
    body = answer.json()
    assert answer.status_code == 409
    assert body["error"] == ERRORS.get(entity.collection, "Version conflict")
    assert body["code"] == "VERSION_CONFLICT"
    assert (body["currentVersion"], body["clientVersion"]) == (2, 1)
    assert body["serverData"] == public(entity, theirs)
    assert body["conflicts"] == [
        {
            "fieldName": name, "clientVersion": 1, "serverVersion": 2, "baseValue": row[name],
            "clientValue": "Mine", "serverValue": "Theirs",
        }
    ]  # fmt: skip
    assert client.get(f"/api/{entity.collection}/{row['uuid']}").json() == theirs


@every
def test_the_base_is_what_the_client_saw_however_often_it_changed(
    client: httpx.Client, make: Any, entity: type[Row]
) -> None:
    name = next(iter(minimal(entity)))
    row = make(entity.collection, **minimal(entity))
    for version, value in enumerate(["one", "two", "three"], 1):
        put(client, entity, row, version=version, **{name: value}).raise_for_status()
    conflict = put(client, entity, row, version=2, **{name: "mine"}).json()["conflicts"][0]
    assert (conflict["baseValue"], conflict["serverValue"]) == ("one", "three")


@every
def test_a_version_ahead_of_the_server_is_refused(
    client: httpx.Client, make: Any, entity: Any
) -> None:
    row = make(entity.collection, **minimal(entity))
    answer = put(client, entity, row, version=7)
    assert (answer.status_code, answer.json()["currentVersion"]) == (409, 1)


@every
def test_equal_values_never_conflict(client: httpx.Client, make: Any, entity: type[Row]) -> None:
    name = next(iter(minimal(entity)))
    row = make(entity.collection, **minimal(entity))
    both = [put(client, entity, row, version=1, **{name: "Same"}) for _ in range(2)]
    assert [answer.status_code for answer in both] == [200, 200]
    assert both[1].json()["version"] == 2


@scoped
def test_without_a_version_the_last_write_wins(
    client: httpx.Client, make: Any, entity: Any
) -> None:
    name = next(iter(minimal(entity)))
    row = make(entity.collection, **minimal(entity))
    for value in ("one", "two"):
        after = put(client, entity, row, **{name: value}).json()
        assert after[name] == value


def test_a_production_must_say_what_it_started_from(client: httpx.Client, make: Any) -> None:
    row = make("productions", name="A show")
    none: dict[str, Any] = {}
    empty: list[dict[str, Any]] = [none, {"fieldVersions": {}}, {"version": None}]
    for said in [*empty, {"field_versions": {}}]:
        answer = client.put(f"/api/productions/{row['uuid']}", json={"name": "New", **said})
        body = answer.json()
        assert answer.status_code == 400
        assert body["error"] == "Version required for conflict detection"


@pytest.mark.parametrize(
    "said",
    [
        {"fieldVersions": {"venue": {"version": 1, "updatedAt": "2026-01-01T00:00:00.000Z"}}},
        {"field_versions": {"venue": {"version": 1, "updated_at": "2026-01-01"}}},
        {"fieldVersions": {"venue": 1}},
        {"fieldVersions": {"load_in": {"version": 1}, "venue": {"version": 1}}},
    ],
)
def test_versions_by_field_in_either_spelling(client: httpx.Client, make: Any, said: Any) -> None:
    row = make("productions", name="A show", venue="Here")
    path = f"/api/productions/{row['uuid']}"
    assert client.put(path, json={"venue": "There", **said}).json()["venue"] == "There"
    answer = client.put(path, json={"venue": "Elsewhere", **said})
    body = answer.json()
    assert answer.status_code == 409
    assert (body["currentVersion"], body["clientVersion"]) == (2, 1)
    assert body["conflicts"][0]["baseValue"] == "Here"
    other = client.put(path, json={"room": "Hall B", "fieldVersions": {"room": 1}})
    assert other.json()["room"] == "Hall B", "another field is not in its way"


def test_a_whole_production_form_with_its_own_versions_goes_through(
    client: httpx.Client, make: Any
) -> None:
    row = make("productions", name="A show", venue="Here")
    path = f"/api/productions/{row['uuid']}"
    row = client.put(path, json={**row, "venue": "There"}).json()
    after = client.put(path, json={**row, "room": "Hall A"}).json()
    assert (after["room"], after["venue"], after["version"]) == ("Hall A", "There", 3)


SCALAR = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False)
KEY = st.text(max_size=2)
JSON = st.recursive(
    SCALAR | KEY,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEY, inner, max_size=3),
    max_leaves=6,
)


@given(JSON, JSON)
def test_sameness_is_that_of_json(left: Any, right: Any) -> None:
    assert same(left, left)
    assert same(left, right) == same(right, left)
    assert not same(True, 1)
    assert not same([0], [False])


@given(
    st.dictionaries(st.sampled_from("abcd"), JSON), st.dictionaries(st.sampled_from("abcd"), JSON)
)
def test_only_what_differs_is_written(current: dict[str, Any], submitted: dict[str, Any]) -> None:
    wanted = differing(current, submitted)
    assert wanted.items() <= submitted.items() or not wanted
    assert differing(current | wanted, submitted) == {}

"""Who did it: optional everywhere, from the body, in the row and in the log."""

from typing import Any

import httpx
import pytest

from app.model.entity import Row
from tests.support.bodies import ALL, minimal, named


@pytest.mark.parametrize(
    ("said", "row_value", "logged"),
    [
        ({}, None, ("system", "System")),
        ({"userId": "u1", "userName": "Ann"}, "u1", ("u1", "Ann")),
        ({"userId": "u1", "lastModifiedBy": "laptop 3"}, "laptop 3", ("u1", "System")),
        ({"lastModifiedBy": "laptop 3"}, "laptop 3", ("system", "System")),
        ({"userId": "", "userName": None, "lastModifiedBy": ""}, None, ("system", "System")),
    ],
)
@pytest.mark.parametrize("entity", ALL, ids=named)
def test_the_row_and_the_log_say_who(
    client: httpx.Client, make: Any, entity: type[Row], said: dict[str, Any],
    row_value: str | None, logged: tuple[str, str],
) -> None:  # fmt: skip
    row = make(entity.collection, **minimal(entity), **said)
    name = next(iter(minimal(entity)))
    edit = {name: "Changed", "version": 1, **said}
    after = client.put(f"/api/{entity.collection}/{row['uuid']}", json=edit).json()
    assert (row["lastModifiedBy"], after["lastModifiedBy"]) == (row_value, row_value)
    owner = row.get("productionUuid", row["uuid"])
    for event in client.get(f"/api/productions/{owner}/events?limit=2").json():
        assert (event["userId"], event["userName"]) == logged


@pytest.mark.parametrize("wrong", [1, {}, [], True, "x" * 5_000, "a\x00"])
def test_an_actor_that_is_no_text_is_refused(client: httpx.Client, wrong: Any) -> None:
    for member in ("userId", "userName", "lastModifiedBy"):
        answer = client.post("/api/productions", json={"name": "x", member: wrong})
        assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, member)

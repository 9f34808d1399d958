"""Checklist items: the server keeps ``completedAt`` true to ``completed``."""

import time
from typing import Any

import httpx
import pytest


@pytest.fixture
def item(make: Any) -> dict[str, Any]:
    made: dict[str, Any] = make(
        "checklist-items", title="Power requirements", id="chk-1760000000000"
    )
    return made


def put(client: httpx.Client, item: dict[str, Any], **body: Any) -> dict[str, Any]:
    answer = client.put(f"/api/checklist-items/{item['uuid']}", json=body)
    after: dict[str, Any] = answer.raise_for_status().json()
    return after


def test_completing_stamps_the_time_and_undoing_clears_it(client: httpx.Client, item: Any) -> None:
    assert (item["completed"], item["completedAt"]) == (False, None)
    before = time.time() * 1_000
    done = put(client, item, completed=True)
    assert before - 1 <= done["completedAt"] <= time.time() * 1_000 + 1
    assert set(done["fieldVersions"]) == {"completed", "completedAt"}
    assert put(client, item, completed=True) == done, "once done, the time stays"
    assert put(client, item, **{**done, "completedAt": None})["completedAt"] == done["completedAt"]
    undone = put(client, item, completed=False)
    assert (undone["completed"], undone["completedAt"]) == (False, None)


def test_the_clients_own_time_of_completion_is_kept(client: httpx.Client, item: Any) -> None:
    assert (
        put(client, item, completed=True, completedAt=1_760_000_000_123)["completedAt"]
        == 1_760_000_000_123
    )


def test_a_time_without_completion_is_dropped(client: httpx.Client, make: Any, item: Any) -> None:
    assert put(client, item, completedAt=5)["completedAt"] is None
    assert make("checklist-items", title="x", completedAt=5)["completedAt"] is None
    assert make("checklist-items", title="x", completed=True)["completedAt"] > 1_700_000_000_000


def test_notes_are_arrays_whose_keys_are_the_frontends_own(make: Any) -> None:
    notes = [{"Some Key": {"snake_key": [None, 1.5, "é", ""]}}, "text", 0, False]
    made = make("checklist-items", title="x", completionNote=notes, moreInfo=[])
    assert (made["completionNote"], made["moreInfo"]) == (notes, [])

"""One value that nobody can read spoils its own row of a batch, and no other."""

import json
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic_core import from_json

from app.rules.json_items import Unreadable, read_items

GOOD = {"op": "create", "data": {"name": "Good"}}
# What a client may write in the place of a value, and in that of a whole item.
VALUES = {
    "half an emoji": r'"x\ud83d"',
    "its other half": r'"\ude00"',
    "half in a name": r'{"\ud83d": 1}',
    "nested": "[" * 250 + "]" * 250,
    "nested without end": '[{"a":' * 60_000 + "1" + "}]" * 60_000,
    "giant": "9" * 5_000,
    "infinite": "1e400",
    "NUL": r'"a\u0000b"',
    "not a number": "NaN",
    "not UTF-8": '"\udcff"',
    "a line break": '"a\nb"',
    "a list": "[1]",
}
ITEMS = {
    "null": "null", "a number": "1", "half an emoji": r'"\ud83d"', "a list": "[[]]", "empty": "{}",
    "no operation": '{"op": "explode", "mutationId": "m-bad", "collection": "cameras"}',
    "a list of operations": '{"op": ["create"], "mutationId": {"a": 1}, "collection": [1]}',
    "two names": r'{"op": "create", "mutationId": 7, "mutationId": "\ud83d", "data": {}}',
}  # fmt: skip


def raw(name: str, items: list[Any], **members: Any) -> bytes:
    """Return a body; an item that is text stands there as it is."""
    texts = [item if isinstance(item, str) else json.dumps(item) for item in items]
    rest = "".join(f", {json.dumps(key)}: {json.dumps(value)}" for key, value in members.items())
    body = f'{{"{name}": [{", ".join(texts)}]{rest}}}'
    return body.encode("utf-8", "surrogateescape")


def post(client: httpx.Client, path: str, body: bytes) -> httpx.Response:
    return client.post(path, content=body, headers={"content-type": "application/json"})


def mutation(text: str | None = None) -> Any:
    """Return a good create, or the text of one whose note is ``text``."""
    made = {"mutationId": str(uuid4()), "uuid": str(uuid4()), "collection": "cameras", **GOOD}
    if text is None:
        return made
    return json.dumps({**made, "data": {"name": "x", "note": "@"}}).replace('"@"', text)


@pytest.mark.parametrize("bad", [*VALUES.values(), *ITEMS.values()], ids=[*VALUES, *ITEMS])
def test_a_batch_is_done_but_for_what_cannot_be_read(
    client: httpx.Client, production: Any, bad: str
) -> None:
    text = bad if bad in ITEMS.values() else mutation(bad)
    body = raw("mutations", [mutation(), text, mutation()], clientId="laptop")
    path = f"/api/productions/{production['uuid']}/sync"
    for expected in ("applied", "duplicate"):
        results = post(client, path, body).raise_for_status().json()["results"]
        assert [result["status"] for result in results] == [expected, "rejected", expected]
        assert results[1]["error"]["code"] in {"BROKEN_JSON", "INVALID"}
        if bad in VALUES.values() and "without end" not in bad:
            assert results[1]["mutationId"], "a client must find the one to blame"


@pytest.mark.parametrize("bad", [*VALUES.values(), *ITEMS.values()], ids=[*VALUES, *ITEMS])
def test_a_bulk_is_done_but_for_what_cannot_be_read(
    client: httpx.Client, production: Any, bad: str
) -> None:
    text = json.dumps({"op": "create", "data": {"name": "x", "note": "@"}}).replace('"@"', bad)
    items = [GOOD, bad if bad in ITEMS.values() else text, GOOD]
    path = f"/api/productions/{production['uuid']}/cameras/bulk"
    answer = post(client, path, raw("operations", items, atomic=False)).raise_for_status().json()
    assert [result["status"] for result in answer["results"]] == ["created", "failed", "created"]
    assert answer["results"][1]["error"]["code"] in {"BROKEN_JSON", "INVALID"}
    refused = post(client, path, raw("operations", items))
    assert refused.status_code in {409, 422}
    assert "1" in json.dumps([refused.json().get("errors"), refused.json()["message"]])
    rows = client.get(f"/api/cameras/production/{production['uuid']}").json()
    assert len(rows) == 2, "together they are done or not"


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b'{"mutations": [}', b'{"mutations": [{]}', b'{"mutations": [1 2]}',
    b'{"mutations": []} x', b'{"mutations" []}', b"{1: 2}", b'{"mutations": [], }',
    rb'{"clientId": "\ud83d", "mutations": []}', b'{"mutations": [' + b"[" * 200_000,
    b'{"mutations": [' + b'[{"":' * 200_000 + b"1" + b"}]" * 200_000 + b"]}",
])  # fmt: skip
def test_a_body_that_is_no_json_is_refused_whole(
    client: httpx.Client, production: Any, body: bytes
) -> None:
    answer = post(client, f"/api/productions/{production['uuid']}/sync", body)
    assert answer.status_code in {400, 422}
    assert answer.json()["code"] in {"BROKEN_JSON", "INVALID"}


def test_an_atomic_batch_names_the_one_that_cannot_be_read(
    client: httpx.Client, production: Any
) -> None:
    body = raw("mutations", [mutation(), mutation(VALUES["half an emoji"])], atomic=True)
    answer = post(client, f"/api/productions/{production['uuid']}/sync", body)
    assert (answer.status_code, answer.json()["code"]) == (409, "SYNC_FAILED")
    assert "Mutation 1" in answer.json()["message"]
    assert [result["status"] for result in answer.json()["results"]] == ["undone", "rejected"]


def test_too_many_are_refused_whether_they_can_be_read_or_not(
    client: httpx.Client, production: Any
) -> None:
    body = raw("mutations", [r'"\ud83d"'] * 1_001)
    answer = post(client, f"/api/productions/{production['uuid']}/sync", body)
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "mutations")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8"))
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)  # fmt: skip


@settings(max_examples=30, deadline=None, suppress_health_check=[*HealthCheck])
@given(
    st.dictionaries(st.text(max_size=3), JSON, max_size=3),
    st.lists(JSON, max_size=4),
    st.sampled_from([None, 1]),
)
def test_what_can_be_read_is_read_as_ever(
    members: dict[str, Any], items: list[Any], indent: int | None
) -> None:
    body = json.dumps({**members, "items": items}, indent=indent).encode()
    assert read_items(body, "items", len(items)) == from_json(body)
    halves = [*items, "\ud83d"]
    read = read_items(json.dumps({**members, "items": halves}).encode(), "items", len(halves))
    assert read["items"][:-1] == from_json(body)["items"]
    assert isinstance(read["items"][-1], Unreadable)

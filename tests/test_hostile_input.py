"""Hostile input: a 4xx with the field's path, never a 500, and nothing is lost."""

import json
import socket
from typing import Any

import httpx
import pytest

from app.model.entity import Row
from tests.support.bodies import ALL, minimal, named, optional

every = pytest.mark.parametrize("entity", ALL, ids=named)
JSON = {"content-type": "application/json"}
DEEP = 100_000


def post(client: httpx.Client, entity: type[Row], content: bytes) -> httpx.Response:
    return client.post(f"/api/{entity.collection}", content=content, headers=JSON)


@pytest.mark.parametrize(
    "content",
    [
        b"{", b"", b"nonsense", b'{"name": NaN}', b'{"name": Infinity}', b'{"name": "\\ud800"}',
        b'{"name": "\xff"}', b"\xff\xfe", b'{"a": ' + b"9" * 5_000 + b"}", b"[" * DEEP,
        b'{"a":' * DEEP + b"1" + b"}" * DEEP, b"[" * DEEP + b"]" * DEEP, b'{"name": "x"} trailing',
    ],
    ids=range(13),
)  # fmt: skip
@every
def test_what_is_not_json_is_a_400(client: httpx.Client, entity: type[Row], content: bytes) -> None:
    for answer in (
        post(client, entity, content),
        client.put(f"/api/{entity.collection}/x", content=content, headers=JSON),
        client.request("DELETE", f"/api/{entity.collection}/x", content=content, headers=JSON),
    ):
        if content == b"":
            assert answer.status_code in {404, 422}
            continue
        assert answer.status_code == 400
        assert answer.json()["code"] == "BROKEN_JSON"
        assert answer.json()["error"] == "Invalid JSON"


@pytest.mark.parametrize("content", [b"[]", b"1", b'"text"', b"null", b"true", b"{}"])
@every
def test_json_of_another_shape_is_a_422(client: httpx.Client, entity: Any, content: bytes) -> None:
    answer = post(client, entity, content)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"]


WRONG: dict[str, list[Any]] = {
    "str": [1, True, [], {}, "a\x00b", "x" * 200_000],
    "int": ["1", 1.5, True, [], 10**100, -(10**100), 2**60, "x"],
    "float": ["1.5", True, [], {}, 10**100, 1e300, "NaN"],
    "bool": ["yes", 1, 0, [], "true"],
    "UUID": ["no", 1, True, "x" * 36, [], "0" * 33],
    "datetime": ["soon", 1, True, []],
    "list": ["x", 1, {}, [["a\x00"]], [{"k\x00": 1}], ["x", {"deep": ["\x00"]}]],
    "dict": ["x", 1, {}, [1], [[]], [{"a": "\x00"}]],
    "Any": ["a\x00", ["\x00"], {"a\x00": 1}],
}


@every
def test_a_wrong_value_is_a_422_that_names_its_member(
    client: httpx.Client, production: dict[str, Any], entity: type[Row]
) -> None:
    before = client.get(f"/api/{entity.collection}/production/{production['id']}").content
    members = {**optional(entity), **dict.fromkeys(minimal(entity), "str"), "id": "str"}
    members |= {"uuid": "UUID"}
    for member, kind in members.items():
        for wrong in WRONG.get(kind, []):
            body = {"productionId": production["id"], **minimal(entity), member: wrong}
            answer = client.post(f"/api/{entity.collection}", json=body)
            assert answer.status_code == 422, (member, wrong)
            assert answer.json()["errors"][0]["path"].split(".")[0] == member
            assert "a\x00b" not in answer.text
    assert client.get(f"/api/{entity.collection}/production/{production['id']}").content == before


@every
def test_numbers_beyond_every_bound_in_free_json_are_kept_or_refused(
    client: httpx.Client, production: dict[str, Any], entity: type[Row]
) -> None:
    free = [n for n, kind in optional(entity).items() if kind in {"list", "dict", "Any"}]
    for member in free:
        rows = optional(entity)[member] == "dict"
        for number in (10**30, 1e30, -1e39, 1e-39, 0.0):
            value: Any = [{"n": number}] if rows else [{"n": number}, number]
            body = {"productionId": production["id"], **minimal(entity), member: value}
            kept = client.post(f"/api/{entity.collection}", json=body).raise_for_status().json()
            assert float(kept[member][0]["n"]) == float(number)
            path = f"/api/{entity.collection}/{kept['uuid']}"
            assert client.put(path, json={**body, "version": 1}).json() == kept
        # PostgreSQL would write 1e308 with 309 digits.
        for huge in ("1e308", "-1e308", "1e-308", "1e41", "9" * 42, "1e999"):
            content = json.dumps(
                {"productionId": production["id"], **minimal(entity), member: [{"n": "HUGE"}]}
            ).replace('"HUGE"', huge)
            answer = post(client, entity, content.encode())
            path = answer.json()["errors"][0]["path"]
            assert (answer.status_code, path) == (422, f"{member}.0.n")


@pytest.mark.parametrize("number", [2**31, -(2**31), 10**18])
def test_whole_numbers_stay_within_their_column(
    client: httpx.Client, make: Any, number: int
) -> None:
    row = make("ccus", name="x", sortOrder=2**31 - 1)
    answer = client.put(f"/api/ccus/{row['uuid']}", json={"sortOrder": number})
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "sortOrder")


@every
def test_missing_members_are_named(client: httpx.Client, entity: type[Row]) -> None:
    answer = client.post(f"/api/{entity.collection}", json={})
    paths = {fault["path"] for fault in answer.json()["errors"]}
    assert answer.status_code == 422
    scope = {"productionId"} if "production_uuid" in entity.model_fields else set()
    assert paths == {*minimal(entity), *scope}


@every
def test_a_body_too_large_is_a_413_in_one_form(client: httpx.Client, entity: type[Row]) -> None:
    """The server answers and hangs up while we may still be sending: then the answer is read."""
    address = (client.base_url.host, client.base_url.port)
    path = f"/api/{entity.collection}"
    declared = b"content-length: 20000000\r\n\r\n" + b"x" * 1_000_000
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    chunked = b"transfer-encoding: chunked\r\n\r\n" + chunk * 6
    for rest in (declared, chunked):
        with socket.create_connection(address, timeout=20) as wire:
            wire.sendall(f"POST {path} HTTP/1.1\r\nhost: x\r\n".encode() + rest)
            answer = ""
            while "BODY_TOO_LARGE" not in answer and (more := wire.recv(65_536)):
                answer += more.decode()
        assert answer.startswith("HTTP/1.1 413 ")
        assert "application/problem+json" in answer
        assert "BODY_TOO_LARGE" in answer


@pytest.mark.parametrize("declared", ["text/plain", "application/xml", "multipart/form-data", "x"])
def test_a_body_that_is_not_declared_as_json_is_a_415(client: httpx.Client, declared: str) -> None:
    answer = client.post(
        "/api/productions", content=b'{"name": "x"}', headers={"content-type": declared}
    )
    assert (answer.status_code, answer.json()["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


def test_a_body_that_declares_nothing_is_read_as_json(client: httpx.Client) -> None:
    request = client.build_request("POST", "/api/productions", content=b'{"name": "x"}')
    request.headers.pop("content-type", None)
    assert client.send(request).status_code == 201


@every
def test_free_text_of_every_kind_survives(make: Any, entity: type[Row]) -> None:
    name = next(iter(minimal(entity)))
    for text in (
        "'; DROP TABLE cameras;--",
        "👩‍💻 é ñ 漢字",
        "\\u0000 \\",
        "a\t\nb",
        "\U0010ffff",
    ):
        assert make(entity.collection, **{**minimal(entity), name: text})[name] == text


def test_an_error_shows_neither_what_was_sent_nor_sql(client: httpx.Client) -> None:
    answer = client.post("/api/productions", json={"name": ["s3cret-value"]})
    assert "s3cret-value" not in answer.text
    for word in ("SELECT", "INSERT", "Traceback", "asyncpg"):
        assert word not in answer.text

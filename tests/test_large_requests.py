"""Heads, trailers and bodies that are larger than they may be are refused before they are read."""

from collections.abc import Iterator

import httpx
import pytest

from tests.support.lines import exchanged, head, line, rest, send
from tests.support.service import ServiceClient, service

POST = "/api/productions"
JSON = "Content-Type: application/json"
LARGE = 1_500_000


@pytest.fixture(scope="module")
def small(shared_database: str) -> Iterator[ServiceClient]:
    with service(shared_database, max_body_bytes=100_000) as made:
        yield made


def in_parts(part: bytes, size: int = LARGE) -> list[bytes]:
    return [part * (100_000 // len(part))] * (size // 100_000)


@pytest.mark.parametrize(
    "parts",
    [
        [b"GET /livez?", *in_parts(b"a")],
        [b"GET /livez HTTP/1.1\r\nCookie: ", *in_parts(b"a")],
        [b"GET /livez HTTP/1.1\r\n", *in_parts(b"a", 200_000)],
        [b"GET /livez HTTP/1.1\r\n", *in_parts(b"a: b\r\n")],
        [b"GET /livez HTTP/1.1\r\nCookie: " + b"a" * 33_000 + b"\r\n\r\n"],
        [b"GET /livez HTTP/1.1\r\n" + b"a: b\r\n" * 101 + b"\r\n"],
        [*in_parts(b"\r\n")],
    ],
    ids=["address", "value", "name", "lines", "at once", "101 lines", "line breaks"],
)
def test_a_head_that_is_too_large_is_a_431(client: httpx.Client, parts: list[bytes]) -> None:
    problem = exchanged(client, *parts).problem
    assert (problem["status"], problem["code"]) == (431, "HEAD_TOO_LARGE")


def test_a_head_up_to_the_limits_is_answered(client: httpx.Client) -> None:
    many, wide = [f"X-{number}: b" for number in range(97)], [f"Cookie: {'a' * 31_000}"]
    for lines in (many, wide):
        whole = head(client, "GET", "/livez", "Connection: close", *lines)
        assert exchanged(client, whole).status == 200


def test_what_stands_behind_a_body_is_bounded_as_a_head(client: httpx.Client) -> None:
    top = head(client, "POST", POST, JSON, "Transfer-Encoding: chunked")
    for endless in (in_parts(b"a: b\r\n"), [b"a: ", *in_parts(b"b")]):
        problem = exchanged(client, top, b"2\r\n{}\r\n0\r\n", *endless).problem
        assert (problem["status"], problem["code"]) == (431, "HEAD_TOO_LARGE")


@pytest.mark.parametrize(
    ("length", "parts"),
    [
        ("Content-Length: 1000000", in_parts(b"x", 1_000_000)),
        ("Content-Length: 20000000", in_parts(b"x", 20_000_000)),
        ("Transfer-Encoding: chunked", [b"f4240\r\n", *in_parts(b"x", 1_000_000), b"\r\n"] * 9),
    ],
    ids=["whole", "large", "endless"],
)
def test_a_body_that_is_too_large_is_a_413_and_the_last(
    small: httpx.Client, length: str, parts: list[bytes]
) -> None:
    problem = exchanged(small, head(small, "POST", POST, JSON, length), *parts).problem
    assert (problem["status"], problem["code"]) == (413, "BODY_TOO_LARGE")


def test_a_page_of_another_origin_may_read_that_its_body_is_too_large(small: httpx.Client) -> None:
    origin = {"origin": "http://localhost:5173"}
    answer = small.post(POST, content=b"x" * 200_000, headers=origin)
    assert answer.status_code == 413
    assert answer.headers["access-control-allow-origin"]
    assert answer.headers["x-request-id"]


def test_a_large_body_that_nobody_reads_is_not_read_to_its_end(small: httpx.Client) -> None:
    with line(small) as made:
        send(made, head(small, "GET", "/livez", f"Content-Length: {LARGE}"), *in_parts(b"x"))
        assert rest(made).status == 200


def test_what_is_no_http_is_a_400_in_our_form(client: httpx.Client) -> None:
    problem = exchanged(client, b"\x16\x03\x01\x02\x00\r\n\r\n").problem
    assert (problem["status"], problem["code"]) == (400, "BAD_REQUEST")


def test_a_few_requests_may_come_before_their_answers_and_no_flood(client: httpx.Client) -> None:
    one, last = head(client, "GET", "/livez"), head(client, "GET", "/livez", "Connection: close")
    assert exchanged(client, one * 9 + last).body.count(b"HTTP/1.1 200 ") == 9
    assert exchanged(client, one * 5_000).body.count(b"HTTP/1.1 200 ") < 20
    assert client.get("/livez").status_code == 200

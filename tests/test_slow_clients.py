"""Who sends slowly, or nothing, is not waited for; who waits for the service is never cut."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from app.database.url import DatabaseUrl
from app.main import create_app
from tests.support.lines import answered, exchanged, head, line, rest
from tests.support.service import PlainClient, ServiceClient, running, service, settings

QUICK: dict[str, Any] = {
    "first_request_timeout": 0.3, "head_timeout": 0.3, "keep_alive_timeout": 0.3,
    "body_grace": 0.3, "body_rate": 1_000.0,
}  # fmt: skip
POST = "/api/productions"
JSON = "Content-Type: application/json"


@pytest.fixture(scope="module")
def hasty(shared_database: str) -> Iterator[ServiceClient]:
    with service(shared_database, **QUICK) as made:
        yield made


def test_who_says_nothing_is_left_without_an_answer(hasty: httpx.Client) -> None:
    """Browsers open connections before they need them, and would show an answer as an error."""
    assert exchanged(hasty).status == 0


def test_line_breaks_before_a_request_are_no_request(hasty: httpx.Client) -> None:
    assert exchanged(hasty, b"\r\n").status == 0


def test_a_head_that_never_ends_is_a_408(hasty: httpx.Client) -> None:
    problem = exchanged(hasty, head(hasty, "GET", "/livez")[:-2]).problem
    assert (problem["status"], problem["code"]) == (408, "REQUEST_TOO_SLOW")


def test_the_second_head_of_a_connection_is_bounded_as_the_first(hasty: httpx.Client) -> None:
    with line(hasty) as made:
        assert answered(made, head(hasty, "GET", "/livez")) == 200
        made.sendall(b"GET /livez HT")
        assert rest(made).problem["code"] == "REQUEST_TOO_SLOW"


def test_a_body_that_does_not_come_is_a_408(hasty: httpx.Client) -> None:
    top = head(hasty, "POST", POST, JSON, "Content-Length: 9")
    problem = exchanged(hasty, top, b"{").problem
    assert (problem["status"], problem["code"]) == (408, "REQUEST_TOO_SLOW")
    assert problem["instance"] == POST


def test_a_body_without_a_length_is_bounded_as_well(hasty: httpx.Client) -> None:
    top = head(hasty, "POST", POST, JSON, "Transfer-Encoding: chunked")
    assert exchanged(hasty, top, b"1\r\n{\r\n").problem["code"] == "REQUEST_TOO_SLOW"


def test_the_rest_of_a_refused_body_is_not_waited_for(hasty: httpx.Client) -> None:
    answer = exchanged(hasty, head(hasty, "POST", "/nothing", JSON, "Content-Length: 9"), b"{")
    assert answer.status in {404, 408}


@pytest.mark.parametrize("then", [b"", b"\r\n"])
def test_a_connection_between_two_requests_is_closed(hasty: httpx.Client, then: bytes) -> None:
    with line(hasty) as made:
        assert answered(made, head(hasty, "GET", "/livez")) == 200
        made.sendall(then)
        assert rest(made).status == 0


class Slow:
    """An application that reads the body only after a while, and answers after another."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/slow":
            await self.app(scope, receive, send)
            return
        await asyncio.sleep(1.5)
        size, more = 0, True
        while more:
            message = await receive()
            size, more = size + len(message.get("body", b"")), message.get("more_body", False)
        await asyncio.sleep(1.5)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(size).encode()})


@pytest.fixture(scope="module")
def slow(shared_database: str) -> Iterator[PlainClient]:
    bounds = {**QUICK, "body_grace": 0.5, "body_rate": 2_000_000.0}
    app = create_app(settings(**bounds), DatabaseUrl.parse(shared_database))
    app.add_middleware(Slow)
    with running(app) as root, PlainClient(base_url=root, timeout=60) as made:
        yield made


def test_a_body_that_the_service_does_not_read_on_is_not_cut(slow: httpx.Client) -> None:
    assert slow.post("/slow", content=b"x" * 3_000_000).text == "3000000"


def test_a_body_that_is_not_asked_for_yet_is_not_cut(slow: httpx.Client) -> None:
    with line(slow) as made:
        made.sendall(head(slow, "POST", "/slow", "Content-Length: 2", "Expect: 100-continue",
                          "Connection: close"))  # fmt: skip
        assert made.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        made.sendall(b"xx")
        assert rest(made).status == 200


def test_the_connections_of_the_slow_are_given_back(shared_database: str) -> None:
    with service(shared_database, **QUICK, connections_per_address=3) as made:
        for _ in range(3):
            for _ in range(3):
                exchanged(made, b"GET /livez HT")
        assert made.get("/livez").status_code == 200

"""No address, and nobody else, holds so many connections that others find the door shut."""

import asyncio
import resource
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from app.live.sockets.limits import SocketLimits
from tests.support.lines import answered, head, line, rest
from tests.support.processes import plain
from tests.support.service import service
from tests.support.sockets import served, tab

THERE, HERE = "127.0.0.2", "127.0.0.1"
POLL = "/socket.io/?EIO=4&transport=polling"


def test_an_address_with_too_many_connections_is_a_429(shared_database: str) -> None:
    with service(shared_database, connections_per_address=3) as made:
        with ExitStack() as stack:
            for _ in range(3):
                stack.enter_context(line(made, THERE))
            with line(made, THERE) as fourth:
                fourth.sendall(head(made, "GET", "/livez"))
                answer = rest(fourth)
                assert (answer.status, answer.problem["code"]) == (429, "TOO_MANY_FROM_ADDRESS")
                assert int(answer.headers["retry-after"]) > 0
            assert made.get("/livez").status_code == 200
        asked = head(made, "GET", "/livez", "Connection: close")
        until(lambda: asked_there(made, asked) == 200)


def asked_there(made: httpx.Client, asked: bytes) -> int:
    """Ask from there; return the status."""
    with line(made, THERE) as again:
        again.sendall(asked)
        return rest(again).status


def until(is_so: Any) -> None:
    give_up = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def test_proxies_have_as_many_as_they_need(shared_database: str) -> None:
    bounds: dict[str, Any] = {"connections_per_address": 2, "trusted_proxies": (f"{THERE}/32",)}
    with service(shared_database, **bounds) as made, ExitStack() as stack:
        for _ in range(9):
            stack.enter_context(line(made, THERE))
        with line(made, THERE) as tenth:
            tenth.sendall(head(made, "GET", "/livez", "Connection: close"))
            assert rest(tenth).status == 200


async def test_a_socket_counts_until_it_ends(shared_database: str) -> None:
    with served(shared_database, connections_per_address=1) as root:
        async with tab(root):
            with pytest.raises(InvalidStatus) as refused:
                async with connect(f"ws{root[4:]}/socket.io/?EIO=4&transport=websocket"):
                    pass
            assert refused.value.response.status_code == 429
        async with plain(base_url=root, timeout=60) as client:
            async with asyncio.timeout(60):
                while (await client.get("/livez")).status_code != 200:
                    pass


def test_who_says_nothing_goes_when_there_is_no_room(shared_database: str) -> None:
    with service(shared_database, max_connections=20) as made, ExitStack() as stack:
        asked = head(made, "GET", "/livez")
        waiting = stack.enter_context(line(made))
        assert answered(waiting, asked) == 200
        silent = [stack.enter_context(line(made, f"127.0.0.{n + 3}")) for n in range(60)]
        assert made.get("/livez").status_code == 200
        assert [rest(one).status for one in silent[:40]] == [0] * 40
        assert answered(waiting, asked) == 200


def test_handshakes_without_a_connect_are_bounded_by_address(shared_database: str) -> None:
    with service(shared_database, handshakes_per_address=3, trusted_proxies=("1",)) as made:
        theirs = {"x-forwarded-for": "203.0.113.7"}
        opened = [made.get(POLL, headers=theirs).raise_for_status().text for _ in range(3)]
        answer = made.get(POLL, headers=theirs)
        assert (answer.status_code, answer.json()["code"]) == (429, "TOO_MANY_FROM_ADDRESS")
        assert made.get(POLL, headers={"x-forwarded-for": "203.0.113.8"}).status_code == 200
        sid = opened[0].partition('"sid":"')[2].partition('"')[0]
        assert made.post(f"{POLL}&sid={sid}", content="40", headers=theirs).status_code == 200
        assert made.get(POLL, headers=theirs).status_code == 200


async def test_a_handshake_that_ends_without_connect_counts_no_more(shared_database: str) -> None:
    limits = SocketLimits(hello=0.1, goodbye=0.1, handshakes_per_address=2)
    with served(shared_database, limits) as root:
        async with plain(base_url=root, timeout=60) as client:
            statuses = [(await client.get(POLL)).status_code for _ in range(3)]
            assert statuses == [200, 200, 429]
            async with asyncio.timeout(60):
                while (await client.get(POLL)).status_code != 200:
                    pass


def test_the_process_may_open_as_many_files_as_its_system_lets_it() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    code = (
        "import resource; from app.protocol.open_files import raise_open_files; "
        f"resource.setrlimit(resource.RLIMIT_NOFILE, (256, {hard})); most = raise_open_files(); "
        "print(most, resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    returned, soft = map(int, done.stdout.split())
    assert returned == soft > 256

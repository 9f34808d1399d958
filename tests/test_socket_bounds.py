"""No socket takes more than its share, and none that misbehaves disturbs another."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from app.live.sockets.limits import SocketLimits
from tests.support.processes import plain
from tests.support.sockets import posted, served, tab

TIGHT = SocketLimits(
    hello=0.5, goodbye=0.2, packets=400, waiting=1_000_000, patience=1.0, at_once=1e9, linger=0.1
)


@pytest.fixture(scope="module")
def root(shared_database: str) -> Iterator[str]:
    with served(shared_database, TIGHT) as made:
        yield made


@pytest.fixture
async def show(root: str) -> dict[str, Any]:
    return await posted(root, "productions", name="A show")


@asynccontextmanager
async def raw(root: str, *, greeted: bool = True, sid: str = "") -> AsyncIterator[ClientConnection]:
    """Open a WebSocket that says and reads only what a test does; little fits in between."""
    host, port = root.removeprefix("http://").split(":")
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    narrow.setblocking(False)
    await asyncio.get_running_loop().sock_connect(narrow, (host, int(port)))
    address = f"ws://{host}:{port}/socket.io/?EIO=4&transport=websocket"
    async with connect(
        address + (f"&sid={sid}" if sid else ""), sock=narrow, max_queue=1, max_size=None,
        ping_interval=None, close_timeout=0.1,
    ) as made:  # fmt: skip
        if greeted:
            assert str(await made.recv()).startswith("0")
            await made.send("40")
            assert str(await made.recv()).startswith('40{"sid"')
        yield made


async def joined(watching: ClientConnection, show: dict[str, Any], user: str) -> None:
    body = {"productionId": show["id"], "userId": user}
    await watching.send("420" + json.dumps(["production:join", body]))
    while not str(await watching.recv()).startswith("430"):
        pass


async def ended(watching: ClientConnection, within: float = 60.0) -> int:
    """Read until the connection is over; give the code that it ended with."""
    async with asyncio.timeout(within):
        try:
            while True:
                await watching.recv()
        except ConnectionClosed as over:
            return over.rcvd.code if over.rcvd else 1006


async def written(root: str, show: dict[str, Any], count: int) -> None:
    """Write rows of some 20 kB, a hundred in a transaction."""
    made = {"op": "create", "data": {"name": "C", "note": "n" * 20_000}}
    async with plain(base_url=root, timeout=60) as client:
        for _ in range(count // 100):
            path = f"/api/productions/{show['uuid']}/ccus/bulk"
            answer = await client.post(path, json={"operations": [made] * 100})
            answer.raise_for_status()


# Those who do not read


async def test_who_takes_nothing_is_dropped_while_others_get_all(
    root: str, show: dict[str, Any]
) -> None:
    async with raw(root) as slow, tab(root) as good:
        await joined(slow, show, "slow")
        await good.join(show["id"], "good")
        await good.seen("good", "slow")
        await written(root, show, 500)
        await good.one("entity:created", seq=501)
        assert [p["seq"] for p in good.of("entity:created")] == list(range(2, 502))
        await good.seen("good")
        assert await ended(slow) == 1006


async def test_what_tabs_say_does_not_pile_up_for_who_takes_nothing(
    root: str, show: dict[str, Any]
) -> None:
    async with raw(root) as slow, tab(root) as good, tab(root) as loud:
        await joined(slow, show, "slow")
        await good.join(show["id"], "good")
        await loud.join(show["id"], "loud")
        await good.seen("good", "loud", "slow")
        said = {"productionId": show["id"], "data": "x" * 100_000}
        count = 0
        while len(loud.of("presence:update")[-1]) == 3:
            assert await loud.ask("production:change", said) == {}
            count += 1
            assert count < 300
        await good.until(lambda: len(good.of("production:change")) == count)
        assert await ended(slow) == 1006


async def test_who_reads_late_gets_every_entry_once(root: str, show: dict[str, Any]) -> None:
    async with raw(root) as late:
        await joined(late, show, "late")
        writing = asyncio.create_task(written(root, show, 300))
        await asyncio.sleep(0.5)
        seqs: list[int] = []
        async with asyncio.timeout(60):
            while not seqs or seqs[-1] < 301:
                words = str(await late.recv())
                if words.startswith('42["entity:created"'):
                    seqs.append(json.loads(words[2:])[1]["seq"])
                elif words == "2":
                    await late.send("3")
        await writing
    assert seqs == list(range(2, 302))


async def test_who_is_silent_is_dropped(shared_database: str) -> None:
    quick = SocketLimits(ping_interval=0.2, ping_timeout=0.3, goodbye=0.1)
    with served(shared_database, quick) as url:
        async with raw(url) as silent, tab(url) as good:
            await ended(silent)
            assert (await good.join("NOBODY"))["code"] == "PRODUCTION_NOT_FOUND"


# Those who say too much, or nonsense


async def test_who_says_too_much_is_told_so_and_disconnected(
    shared_database: str,
) -> None:
    with served(shared_database, SocketLimits(per_second=5, at_once=20)) as url:
        async with tab(url) as loud, tab(url) as good:
            for _ in range(40):
                await loud.client.emit("production-list:leave", {})
            assert (await loud.one("refused"))["code"] == "TOO_FAST"
            async with asyncio.timeout(60):
                await loud.ended.wait()
            assert await good.ask("production-list:leave", {}) == {}


@pytest.mark.parametrize(
    "frame",
    [
        '42["disconnect"]', '42["connect",{}]', "42{}", "42[]", '42[{"a":1}]', '42["a"', "49", "9",
        "x", "", '451-["a",{"_placeholder":true,"num":0}]', "42" + "[" * 100_000, b"\x00binary",
        '4{"a":1}', "40/admin,", "43999[{}]", '44"x"', '42["a",' + "9" * 200 + "]",
    ],
    ids=lambda frame: str(frame)[:20],
)  # fmt: skip
async def test_nonsense_ends_at_most_the_one_who_sends_it(
    root: str, show: dict[str, Any], capfd: pytest.CaptureFixture[str], frame: str | bytes
) -> None:
    async with tab(root) as good, raw(root) as bad:
        await good.join(show["id"], "good")
        await joined(bad, show, "bad")
        await good.seen("bad", "good")
        await bad.send(frame)
        await bad.send("429" + json.dumps(["production-list:leave", {}]))
        async with asyncio.timeout(60):
            try:
                while str(await bad.recv()) != "439[{}]":
                    pass
            except ConnectionClosed:
                await good.seen("good")
        assert (await good.join(show["id"], "good"))["seq"] == 1
    assert "Traceback" not in "".join(capfd.readouterr())


_BAD: tuple[Any, ...] = (
    None, 3, "x", [], {}, {"productionId": None}, {"productionId": ""},
    {"productionId": "x" * 1_001}, {"productionId": "a\x00b"}, {"productionId": {"a": 1}},
    {"productionId": "x", "since": -1}, {"productionId": "x", "since": "1"},
    {"productionId": "x", "since": 2**63}, {"productionId": "x", "userId": ["a"]},
    {"productionId": "x", "userName": "n" * 201}, {"productionId": "\ud800"},
)  # fmt: skip


@pytest.mark.parametrize("payload", _BAD, ids=range(len(_BAD)))
async def test_a_bad_payload_is_answered_with_an_error(root: str, payload: Any) -> None:
    async with tab(root) as one:
        answer = await one.ask("production:join", payload)
        assert answer["code"] == "INVALID"
        assert set(answer) == {"error", "message", "code"}


async def test_a_message_that_is_too_large_ends_its_connection(root: str) -> None:
    async with raw(root) as large:
        await large.send("42" + "x" * 300_000)
        assert await ended(large) == 1009


async def test_a_poll_that_sends_too_much_ends_its_session_and_is_answered(root: str) -> None:
    async with plain(base_url=root, timeout=5) as client:
        opened = await client.get("/socket.io/?EIO=4&transport=polling")
        address = f"/socket.io/?EIO=4&transport=polling&sid={json.loads(opened.text[1:])['sid']}"
        answer = await client.post(address, content=b"4" + b"x" * 300_000)
        assert answer.status_code == 400
        assert (await client.get(address)).status_code == 400


# Those who only begin


async def test_who_does_not_say_connect_is_dropped(root: str) -> None:
    async with raw(root, greeted=False) as mute, plain(base_url=root) as client:
        opened = await client.get("/socket.io/?EIO=4&transport=polling")
        sid = json.loads(opened.text[1:])["sid"]
        await ended(mute)
        polled = await client.get(f"/socket.io/?EIO=4&transport=polling&sid={sid}")
        assert polled.status_code == 400 or polled.text.startswith("1")


async def test_a_takeover_from_polling_must_come_to_its_end_and_be_the_only_one(root: str) -> None:
    async with plain(base_url=root) as client:
        opened = await client.get("/socket.io/?EIO=4&transport=polling")
        sid = json.loads(opened.text[1:])["sid"]
        address = f"/socket.io/?EIO=4&transport=polling&sid={sid}"
        assert (await client.post(address, content=b"40")).status_code == 200
        async with raw(root, greeted=False, sid=sid) as taking:
            with pytest.raises(InvalidStatus) as refused:
                async with raw(root, greeted=False, sid=sid):
                    pass
            assert refused.value.response.status_code == 400
            await ended(taking)
        assert (await client.get(address)).text.startswith('40{"sid"')


async def test_there_are_no_more_sockets_than_allowed(shared_database: str) -> None:
    with served(shared_database, SocketLimits(sockets=2)) as url:
        async with tab(url), plain(base_url=url) as client:
            async with tab(url, "polling"):
                opened = await client.get("/socket.io/?EIO=4&transport=polling")
                assert (opened.status_code, opened.json()["code"]) == (503, "BUSY")
                with pytest.raises(InvalidStatus) as refused:
                    async with raw(url):
                        pass
                assert refused.value.response.status_code == 503
            async with tab(url):
                pass


async def test_a_socket_watches_no_more_shows_than_allowed(shared_database: str) -> None:
    with served(shared_database, SocketLimits(rooms=2)) as url:
        shows = [await posted(url, "productions", name="x") for _ in range(3)]
        async with tab(url) as one:
            answers = [await one.join(show["uuid"]) for show in shows]
            assert answers[2]["code"] == "BAD_REQUEST"
            await one.ask("production:leave", {"productionId": shows[0]["uuid"]})
            assert (await one.join(shows[2]["uuid"]))["seq"] == 1

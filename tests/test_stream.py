"""The feed as server-sent events, over a real socket."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from app.database.url import DatabaseUrl
from app.main import create_app
from app.server import listen
from tests.legacy import connected
from tests.support import databases
from tests.support.live import KILL, logged
from tests.support.pace import at_most
from tests.support.service import PlainClient, created, running, settings

TOKEN = "a-token-of-this-test"


class Event(NamedTuple):
    """One event; ``name`` is "" for a comment."""

    name: str
    id: str | None
    told: Any


class Stream:
    """An open stream."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.iter_lines()

    def block(self) -> dict[str, str]:
        """Return the next block of lines by field; a comment's field is ""."""
        found: dict[str, str] = {}
        for line in self._lines:
            if not line:
                return found
            name, _, value = line.partition(":")
            found[name] = value.removeprefix(" ")
        raise EOFError

    def next(self) -> Event:
        """Return the next event that is no comment."""
        while "event" not in (found := self.block()):
            pass
        return Event(found["event"], found.get("id"), json.loads(found["data"]))

    def take(self, count: int) -> list[Event]:
        return [self.next() for _ in range(count)]


class Served:
    """A running service of this test's own, with its parts."""

    def __init__(self, app: FastAPI, root: str) -> None:
        self.app, self.root = app, root
        self.client = PlainClient(base_url=root, timeout=20)

    @contextmanager
    def stream(self, production: Any, **how: Any) -> Iterator[Stream]:
        path = f"/api/productions/{production}/changes/stream"
        with (
            PlainClient(base_url=self.root, timeout=20) as own,
            own.stream(
                "GET", path, params=how.pop("params", None), headers=how.pop("headers", None)
            ) as response,
        ):
            response.raise_for_status()
            made = Stream(response)
            assert made.block() == {"retry": "2000", "": "open"}
            yield made

    def refused(self, production: Any, **how: Any) -> tuple[int, str]:
        answer = self.client.get(f"/api/productions/{production}/changes/stream", **how)
        return answer.status_code, answer.json()["code"]

    def until(self, true: Callable[[], bool]) -> None:
        end = time.monotonic() + 60
        while not true():
            assert time.monotonic() < end
            time.sleep(0.01)

    def until_left(self) -> None:
        self.until(lambda: self.app.state.hub.idle and not self.app.state.event_streams.open)


@contextmanager
def serving(url: str, **changes: Any) -> Iterator[Served]:
    app = create_app(settings(**changes), DatabaseUrl.parse(url))
    with running(app) as root:
        served = Served(app, root)
        with served.client:
            served.until(app.state.listener.listening.is_set)
            yield served


@pytest.fixture(scope="module")
def module_served(shared_database: str) -> Iterator[Served]:
    with serving(shared_database) as made:
        yield made


@pytest.fixture
def served(module_served: Served) -> Iterator[Served]:
    yield module_served
    module_served.until_left()


@pytest.fixture
def show(served: Served) -> dict[str, Any]:
    return created(served.client, "productions", name="A show")


def ccu(served: Served, show: dict[str, Any], **members: Any) -> dict[str, Any]:
    return created(served.client, "ccus", productionId=show["uuid"], name="C", **members)


def feed(served: Served, show: dict[str, Any], since: int) -> list[dict[str, Any]]:
    answer = served.client.get(f"/api/productions/{show['uuid']}/changes", params={"since": since})
    found: list[dict[str, Any]] = answer.raise_for_status().json()["changes"]
    return found


# What is sent


@pytest.mark.parametrize("key", ["uuid", "id"])
def test_a_stream_is_open_at_once_and_tells_what_the_feed_tells(
    served: Served, show: dict[str, Any], key: str
) -> None:
    ccu(served, show)
    headers = {"accept-encoding": "gzip", "origin": "http://localhost:5173"}
    with served.stream(show[key], headers=headers) as stream:
        assert stream.response.headers["content-type"].startswith("text/event-stream")
        assert stream.response.headers["cache-control"] == "no-store"
        assert "content-encoding" not in stream.response.headers
        assert stream.response.headers["x-request-id"]
        row = ccu(served, show)
        served.client.put(f"/api/ccus/{row['uuid']}", json={"name": "Ünïcode\nline"})
        served.client.delete(f"/api/ccus/{row['uuid']}")
        told = stream.take(3)
    assert [(event.name, event.id) for event in told] == [
        ("change", "3"), ("change", "4"), ("change", "5")
    ]  # fmt: skip
    assert [event.told for event in told] == feed(served, show, 2)


def test_a_stream_goes_on_after_what_the_client_has(served: Served, show: dict[str, Any]) -> None:
    for _ in range(4):
        ccu(served, show)
    for how, first in (
        ({"params": {"since": 0}}, 1),
        ({"params": {"since": 3}}, 4),
        ({"headers": {"last-event-id": "2"}}, 3),
        ({"headers": {"last-event-id": "4"}, "params": {"since": 1}}, 5),
    ):
        with served.stream(show["uuid"], **how) as stream:
            told = stream.take(6 - first)
            assert [int(event.id or 0) for event in told] == [*range(first, 6)]


def test_rows_that_read_differently_follow_the_change(served: Served, show: dict[str, Any]) -> None:
    """They are sent once more to who comes back with that change as the last one."""
    one = ccu(served, show)
    body = {"productionId": show["uuid"], "name": "A", "ccuId": one["id"]}
    camera = created(served.client, "cameras", **body)
    with served.stream(show["uuid"]) as stream:
        served.client.put(f"/api/ccus/{one['uuid']}", json={"id": "NEW"}).raise_for_status()
        change, derived = stream.take(2)
    assert (change.name, change.id, derived.name, derived.id) == ("change", "4", "derived", None)
    assert derived.told == {
        "collection": "cameras", "entityType": "camera", "entityId": camera["uuid"],
        "entityData": {**camera, "ccuId": "NEW"},
    }  # fmt: skip
    with served.stream(show["uuid"], headers={"last-event-id": "4"}) as stream:
        ccu(served, show)
        again, fresh = stream.take(2)
    assert again == derived
    assert (fresh.name, fresh.id) == ("change", "5")


def test_a_quiet_stream_shows_that_it_is_alive(
    served: Served, show: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served.app.state.event_streams, "heartbeat", 0.02)
    with served.stream(show["uuid"]) as stream:
        assert [stream.block() for _ in range(3)] == [{"": "still here"}] * 3
        ccu(served, show)
        assert stream.next().id == "2"


async def test_what_is_lost_is_said_and_the_stream_goes_on(
    served: Served, show: dict[str, Any], shared_database: str
) -> None:
    with served.stream(show["uuid"]) as stream:
        async with connected(shared_database) as raw:
            by_hand = "UPDATE productions SET change_seq = change_seq + 1 WHERE uuid = $1"
            await raw.execute(by_hand, show["uuid"])
            await logged(raw, show["uuid"])
        lost = stream.next()
        assert (lost.name, lost.id) == ("resync", "3")
        assert lost.told["latest"] == 3
        assert served.client.get(lost.told["resync"]).status_code == 200
        ccu(served, show)
        assert stream.next().id == "4"


async def test_killed_connections_lose_and_repeat_nothing(own_database: str) -> None:
    with serving(own_database) as served, serving(own_database) as other:
        show = created(served.client, "productions", name="A show")
        with served.stream(show["uuid"]) as one, other.stream(show["uuid"]) as two:
            for n in range(40):
                ccu(served, show)
                if n % 12 == 5:
                    await databases.execute(own_database, KILL)
            for stream in (one, two):
                assert [int(e.id or 0) for e in stream.take(40)] == [*range(2, 42)]


# What is refused


def test_who_asks_for_what_is_not_there_is_told_before_the_stream_begins(
    served: Served, show: dict[str, Any]
) -> None:
    uuid = show["uuid"]
    assert served.refused("NOBODY") == (404, "NOT_FOUND")
    assert served.refused("00000000-0000-4000-8000-000000000000") == (404, "NOT_FOUND")
    assert served.refused(uuid, params={"since": 2}) == (410, "LOG_TRIMMED")
    assert served.refused(uuid, headers={"last-event-id": "7"}) == (410, "LOG_TRIMMED")
    for word in ("x", "-1", "1.5", "", "9" * 30, str(2**63)):
        assert served.refused(uuid, headers={"last-event-id": word}) == (422, "INVALID"), word
        assert served.refused(uuid, params={"since": word}) == (422, "INVALID"), word


async def test_a_trimmed_log_is_answered_as_the_feed_does(
    served: Served, show: dict[str, Any], shared_database: str
) -> None:
    for _ in range(3):
        ccu(served, show)
    sql = "DELETE FROM changes WHERE production_uuid = $1 AND seq <= 2"
    await databases.execute(shared_database, sql, show["uuid"])
    path = f"/api/productions/{show['uuid']}/changes"
    answers = [served.client.get(p, params={"since": 1}) for p in (path, f"{path}/stream")]
    assert [answer.status_code for answer in answers] == [410, 410]
    bodies = [{**answer.json(), "instance": ""} for answer in answers]
    assert bodies[0] == bodies[1]
    with served.stream(show["uuid"], params={"since": 2}) as stream:
        assert [event.id for event in stream.take(2)] == ["3", "4"]


def test_a_deleted_show_can_be_watched_to_its_end(served: Served, show: dict[str, Any]) -> None:
    with served.stream(show["uuid"]) as stream:
        served.client.delete(f"/api/productions/{show['uuid']}").raise_for_status()
        assert stream.next().told["operation"] == "DELETE"


def test_there_are_only_so_many_streams(
    served: Served, show: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served.app.state.event_streams, "most", 2)
    with served.stream(show["uuid"]), served.stream(show["uuid"]):
        assert served.refused(show["uuid"]) == (503, "BUSY")
    served.until_left()
    with served.stream(show["uuid"]):
        pass


def test_the_door_stands_before_a_stream(shared_database: str) -> None:
    with serving(shared_database, access_token=SecretStr(TOKEN)) as served:
        assert served.refused("SHOW 1") == (401, "UNAUTHORIZED")
        bearer = {"authorization": f"Bearer {TOKEN}"}
        assert served.refused("NOBODY", headers=bearer) == (404, "NOT_FOUND")


# How it ends


def test_a_client_that_leaves_is_forgotten(served: Served, show: dict[str, Any]) -> None:
    for _ in range(3):
        with served.stream(show["uuid"]), served.stream(show["uuid"]) as stream:
            assert served.app.state.hub.subscribers == 2
            ccu(served, show)
            stream.next()
        served.until_left()
    assert served.app.state.hub.subscribers == 0


def test_a_service_that_stops_ends_its_streams_at_once(own_database: str) -> None:
    """Else it would wait for them until its time to drain is over."""
    with ThreadPoolExecutor(2) as readers:
        opened = threading.Barrier(3)

        def read(served: Served, show: dict[str, Any]) -> str:
            with served.stream(show["uuid"]) as stream:
                opened.wait(60)
                return _rest(stream)

        with serving(own_database) as served:
            show = created(served.client, "productions", name="A show")
            reading = [readers.submit(read, served, show) for _ in range(2)]
            opened.wait(60)
            began = time.monotonic()
        assert time.monotonic() - began < at_most(1.5)
        assert [done.result(60) for done in reading] == ["ended", "ended"]
        assert served.app.state.hub.idle


def _rest(stream: Stream) -> str:
    try:
        while True:
            stream.block()
    except EOFError:
        return "ended"


def test_a_stopping_service_takes_no_more(served: Served, show: dict[str, Any]) -> None:
    stopping = served.app.state.shutdown
    stopping.has_begun = True
    try:
        assert served.refused(show["uuid"]) == (503, "UNAVAILABLE")
    finally:
        stopping.has_begun = False


def test_a_client_that_takes_nothing_is_left_and_holds_nobody_up(
    served: Served, show: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served.app.state.event_streams, "patience", 0.3)
    at = urlsplit(served.root)
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    deaf.connect((at.hostname, at.port))
    path = f"/api/productions/{show['uuid']}/changes/stream"
    deaf.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    served.until(lambda: served.app.state.event_streams.open == 1)
    with served.stream(show["uuid"]) as stream:
        heard: list[int] = []
        while served.app.state.event_streams.open == 2:
            ccu(served, show, note="n" * 90_000)
            heard += [int(event.id or 0) for event in stream.take(1)]
            assert len(heard) < 400
        assert heard == [*range(2, len(heard) + 2)]
    served.until_left()
    deaf.close()


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the system cannot do it")
def test_a_connection_whose_other_end_takes_nothing_is_ended_by_the_system() -> None:
    """What was written to it would otherwise be kept for as long as its client likes."""
    with listen(settings(port=0), silence=1) as listening, socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        deaf.connect(listening.getsockname())
        accepted, _ = listening.accept()
        accepted.settimeout(20)
        with accepted, pytest.raises(OSError, match="Connection timed out"):
            accepted.sendall(b"x" * 50_000_000)


# What operators see


def test_health_says_whether_announcements_are_heard(served: Served) -> None:
    answer = served.client.get("/health")
    assert (answer.status_code, answer.json()["live"]) == (200, {"listening": True})
    app = create_app(settings(), DatabaseUrl.parse("postgresql://someone@127.0.0.1:1/none"))
    with running(app) as root:
        assert httpx.get(f"{root}/health").json()["live"] == {"listening": False}

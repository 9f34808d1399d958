"""The service answers to its own names alone, so that no stranger's name leads a browser here."""

import json
import socket

import httpx
import pytest

from app.access.hosts import Hosts
from app.settings import BadSettings, load_settings
from tests.support.service import service

POLLING = "/socket.io/?EIO=4&transport=polling"
OWN = [
    "localhost", "LOCALHOST:3010", "127.0.0.1", "127.9.9.9:80", "[::1]", "[::1]:3010",
    "healthcheck.railway.app",
]  # fmt: skip
OF_NETWORK = ["desk", "desk:80", "desk.local", "signalbook.internal:80", "10.0.0.7", "[fd12::1]"]
STRANGE = [
    "evil.example", "127.0.0.1.evil.example", "localhost.evil.example:3010", "127.1.evil.example",
    "railway.app", "x.healthcheck.railway.app", "[::1", "::1", "a@localhost", "localhost:x",
    "localhost:80:80", "999.1.1.1", "local host", "localhost/", "evil.example:80\\localhost",
]  # fmt: skip


@pytest.mark.parametrize("name", [*OWN, *OF_NETWORK])
def test_unless_it_is_set_names_of_the_network_are_ours(name: str) -> None:
    assert Hosts(()).knows(name.encode())


@pytest.mark.parametrize("name", STRANGE)
@pytest.mark.parametrize("allowed", [(), ("show.example", "*.crew.example")])
def test_a_strangers_name_never_is(allowed: tuple[str, ...], name: str) -> None:
    assert not Hosts(allowed).knows(name.encode("latin-1"))


@pytest.mark.parametrize(
    ("name", "known"),
    [("show.example", True), ("SHOW.example:8443", True), ("a.crew.example", True),
     ("a.b.crew.example", True), ("crew.example", False), ("xcrew.example", False),
     ("a.show.example", False), ("show.example.evil.example", False), ("10.0.0.7", True),
     ("10.0.0.8", False), ("[fd12::1]:80", True), ("fd12::1", False), ("desk", False),
     ("desk.local", False)]
    + [(name, True) for name in OWN],
)  # fmt: skip
def test_where_names_are_set_only_they_are(name: str, known: bool) -> None:
    hosts = Hosts(("Show.Example", "*.crew.example", "10.0.0.7", "fd12::1"))
    assert hosts.knows(name.encode()) is known


def test_a_star_is_any_name() -> None:
    assert Hosts(("*",)).knows(b"evil.example")


def test_under_a_strangers_name_nothing_is_told(client: httpx.Client) -> None:
    for path in ("/api/productions", "/health", "/livez", "/docs", "/nothing", POLLING):
        answer = client.get(path, headers={"host": "evil.example"})
        assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN"), path
        assert "ALLOWED_HOSTS" in answer.json()["message"]
        assert client.get(path, headers={"host": "desk.local"}).status_code != 403, path
    asked = {"host": "evil.example", "origin": "http://evil.example"}
    preflight = {**asked, "access-control-request-method": "PUT"}
    assert client.options("/api/productions", headers=preflight).status_code == 403
    assert client.post("/api/productions", headers=asked, json={}).status_code == 403


def test_a_name_is_said_once(client: httpx.Client) -> None:
    port = client.base_url.port or 0
    for twice in ("Host: evil.example", f"Origin: http://127.0.0.1:{port}\r\nOrigin: http://a"):
        asked = f"GET /livez HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{twice}\r\nConnection: close"
        with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
            line.sendall(f"{asked}\r\n\r\n".encode())
            head, _, body = line.makefile("rb").read().partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ")
        assert json.loads(body)["code"] == "BAD_REQUEST"


def test_the_platform_and_those_that_are_set_are_answered(shared_database: str) -> None:
    with service(shared_database, allowed_hosts=("show.example",)) as client:
        for host, status in (
            ("healthcheck.railway.app", 200), ("show.example", 200), ("desk.local", 403),
        ):  # fmt: skip
            for path in ("/livez", "/api/productions", POLLING):
                assert client.get(path, headers={"host": host}).status_code == status, (host, path)


@pytest.mark.parametrize("name", ["https://a.example", "a.example:80", "a..b", "*.", "a.*", "a/b"])
def test_what_no_name_can_be_stops_the_start(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("ALLOWED_HOSTS", "show.example, *.show.example, 10.0.0.7, fd12::1")
    assert len(load_settings().allowed_hosts) == 4
    monkeypatch.setenv("ALLOWED_HOSTS", f"show.example,{name}")
    with pytest.raises(BadSettings, match="ALLOWED_HOSTS must be names"):
        load_settings()

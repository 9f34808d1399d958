"""HEAD is GET without the body; a path lists the methods it takes; the root leads to the pages."""

import http.client
import json
import re
import time
from typing import Any, Final
from urllib.parse import quote

import httpx
import pytest
from fastapi.routing import iter_route_contexts
from pydantic import SecretStr

from app.model.entity import Row
from tests.support.bodies import ALL, SCOPED, SOME_UUID, minimal, named
from tests.support.service import ServiceClient, service

every = pytest.mark.parametrize("entity", ALL, ids=named)
SHOW: Final = f"/api/productions/{SOME_UUID}"
ORIGIN: Final = {"origin": "http://show.local"}
# Each answer has its own.
_OWN: Final = {"date", "x-request-id"}
_COUNTED: Final = {"/health", "/api/health", "/livez", "/api/server/info"}


def head_like_get(client: httpx.Client, path: str, **headers: str) -> httpx.Response:
    """Ask for the head; assert that it is the one of GET, and that nothing follows it."""
    got = client.get(path, headers=headers, follow_redirects=False)
    head = client.head(path, headers=headers, follow_redirects=False)
    # Times and durations are of various lengths.
    own = {*_OWN, "content-length"} if path in _COUNTED else _OWN
    left, right = (
        [(name, value) for name, value in answer.headers.multi_items() if name not in own]
        for answer in (got, head)
    )
    assert (head.status_code, left) == (got.status_code, right), path
    assert head.content == b""
    return head


@every
def test_the_head_of_every_read_is_that_of_get(
    client: httpx.Client, make: Any, production: Any, entity: type[Row]
) -> None:
    row = make(entity.collection, **minimal(entity)) if entity in SCOPED else production
    root = f"/api/{entity.collection}"
    listed = f"{root}/production/{production['uuid']}" if entity in SCOPED else root
    one = f"{root}/{row['uuid']}"
    for path in (listed, one, f"{root}/{quote(row['id'], safe='')}", f"{one}/history"):
        for coding in ("gzip", "identity"):
            head = head_like_get(client, path, **{"accept-encoding": coding})
            assert int(head.headers["content-length"]) > 0
        if tag := head.headers.get("etag"):
            kept = head_like_get(client, path, **{"if-none-match": tag})
            assert (kept.status_code, kept.headers["etag"]) == (304, tag)
    for path in (f"{root}/{SOME_UUID}", f"{root}/%00", f"{root}/x/y/z", f"{one}?more=1"):
        head_like_get(client, path)


def test_a_compressed_answer_has_a_compressed_head(
    client: httpx.Client, make: Any, production: Any
) -> None:
    for _ in range(3):
        make("cameras", name="x" * 400)
    for path in (f"/api/cameras/production/{production['uuid']}",
                 f"/api/productions/{production['uuid']}/show"):  # fmt: skip
        head = head_like_get(client, path, **{"accept-encoding": "gzip"})
        assert head.headers["content-encoding"] == "gzip"


def test_the_head_of_everything_else_is_that_of_get(
    client: httpx.Client, production: dict[str, Any]
) -> None:
    show = f"/api/productions/{production['uuid']}"
    for path in ("/", "/health", "/livez", "/api/health", "/api/server/info", "/docs",
                 "/openapi.json", "/static-offline-docs/swagger-ui.css", "/static-offline-docs/x",
                 f"{show}/show?collections=cameras", f"{show}/changes", f"{show}/events",
                 f"{show}/events/since/0", f"{show}/events/since/x", f"{show}/sync/runs",
                 f"{show}/changes?since=x", f"{SHOW}/show", f"{SHOW}/changes/stream",
                 "/api/admin/releases", "/api/nothing", "/api/cameras"):  # fmt: skip
        head_like_get(client, path, **{"accept-encoding": "identity"})


def test_without_the_token_a_head_is_refused(shared_database: str) -> None:
    token = "correct-horse-battery"
    with service(shared_database, access_token=SecretStr(token)) as guarded:
        assert head_like_get(guarded, "/api/productions").status_code == 401
        assert head_like_get(guarded, "/health").status_code == 200
        bearer = {"authorization": f"Bearer {token}"}
        assert head_like_get(guarded, "/api/productions", **bearer).status_code == 200


def test_the_head_of_a_stream_is_sent_and_the_stream_closed(
    client: ServiceClient, production: dict[str, Any]
) -> None:
    streams = client.service_app.state.event_streams
    raw = http.client.HTTPConnection(client.base_url.host, client.base_url.port or 80, timeout=20)
    path = f"/api/productions/{production['uuid']}/changes/stream"
    for since in ("", "?since=0"):
        raw.request("HEAD", path + since)
        answer = raw.getresponse()
        assert answer.status == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.read() == b""
        # The connection serves the next request, so nothing of the stream followed.
        raw.request("GET", "/livez")
        assert json.load(raw.getresponse())["status"] == "alive"
        while streams.open:
            time.sleep(0.01)
    raw.close()


def test_a_path_lists_its_methods(client: ServiceClient) -> None:
    """Of all routes there are: a method that a path lacks is a 405, and OPTIONS says the same."""
    methods: dict[str, set[str]] = {}
    for route in iter_route_contexts(client.service_app.routes):
        if route.path and route.methods:
            path = re.sub(r"\{(\w+)\}", r"\1", route.path)
            methods.setdefault(path, {"OPTIONS"}).update(route.methods)
    assert len(methods) > 50
    for path, least in methods.items():
        listed = client.options(path)
        assert (listed.status_code, listed.content) == (204, b""), path
        allow = listed.headers["allow"].split(", ")
        assert allow == sorted({*least, *allow})
        assert ("HEAD" in allow) == ("GET" in allow)
        wrong = next(name for name in ("GET", "PUT", "POST", "TRACE") if name not in allow)
        answer = client.request(wrong, path)
        body = answer.json()
        assert (answer.status_code, body["code"]) == (405, "METHOD_NOT_ALLOWED"), path
        assert answer.headers["allow"] == listed.headers["allow"]
        assert answer.headers["content-type"] == "application/problem+json"
        assert body["error"] == "Method not allowed"
        assert wrong in body["message"]
        assert listed.headers["allow"] in body["message"]


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/api/cameras", "OPTIONS, POST"),
        ("/api/productions", "GET, HEAD, OPTIONS, POST"),
        ("/api/cameras/CAM 1", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"),
        ("/api/computers/%0A", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"),
        ("/api/cameras/production/x", "GET, HEAD, OPTIONS"),
        (f"{SHOW}/sync", "OPTIONS, POST"),
        ("/static-offline-docs/swagger-ui.css", "GET, HEAD, OPTIONS"),
        ("/health", "GET, HEAD, OPTIONS"),
        ("/", "GET, HEAD, OPTIONS"),
    ],
)
def test_the_methods_of(client: httpx.Client, path: str, allow: str) -> None:
    assert client.options(path).headers["allow"] == allow
    assert client.request("TRACE", path).headers["allow"] == allow


def test_an_unknown_path_takes_no_method(client: httpx.Client) -> None:
    for path in ("/nothing", "/api", "/api/", "/api/gadgets", "/api/settings/gadgets",
                 "/api/cameras/", "/api/cameras/x/y", "/health/"):  # fmt: skip
        for method in ("GET", "HEAD", "POST", "OPTIONS", "DELETE", "TRACE"):
            answer = client.request(method, path)
            assert (answer.status_code, "allow" in answer.headers) == (404, False), (method, path)
        assert client.get(path).json()["error"] == "Route not found"


def test_browsers_ask_before_they_call_as_before(client: httpx.Client) -> None:
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
        asked = {**ORIGIN, "access-control-request-method": method,
                 "access-control-request-headers": "authorization, if-none-match"}  # fmt: skip
        for path in ("/api/productions", "/api/nothing"):
            answer = client.options(path, headers=asked)
            assert (answer.status_code, answer.text) == (200, "OK")
            assert method in answer.headers["access-control-allow-methods"]
    plain = client.options("/api/productions", headers=ORIGIN)
    assert (plain.status_code, plain.headers["access-control-allow-origin"]) == (204, "*")
    assert "POST" in plain.headers["allow"]


def test_sockets_take_three_methods(client: httpx.Client) -> None:
    for method in ("PUT", "DELETE", "PATCH", "HEAD", "TRACE"):
        answer = client.request(method, "/socket.io/?EIO=4&transport=polling")
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, OPTIONS, POST")
    listed = client.options("/socket.io/", headers=ORIGIN)
    assert (listed.status_code, listed.headers["allow"]) == (204, "GET, OPTIONS, POST")
    asked = {**ORIGIN, "access-control-request-method": "POST"}
    preflight = client.options("/socket.io/?EIO=4&transport=polling", headers=asked)
    assert preflight.headers["access-control-allow-origin"] == ORIGIN["origin"]
    assert preflight.status_code == 200


def test_the_root_leads_to_the_pages(client: httpx.Client) -> None:
    answer = client.get("/", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")
    for link in answer.json().values():
        assert client.get(link).status_code == 200
    followed = client.get("/", follow_redirects=True)
    assert followed.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("collection", ["cameras", "computers", "cable-snakes"])
def test_who_looks_for_a_list_below_its_show_is_told_where_it_is(
    client: httpx.Client, production: dict[str, Any], collection: str
) -> None:
    answer = client.get(f"/api/productions/{production['uuid']}/{collection}")
    assert answer.status_code == 404
    assert f"/api/{collection}/production/" in answer.json()["message"]
    other = client.get(f"/api/productions/{production['uuid']}/nothing")
    assert "list" not in other.json()["message"]

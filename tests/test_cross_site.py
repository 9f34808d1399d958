"""Pages of other sites cannot write: neither by a request, nor by a socket."""

from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest
from socketio.exceptions import ConnectionError as NotConnected

from app.access.origins import Origins
from app.live.sockets.limits import SocketLimits
from tests.support.service import created, service, settings
from tests.support.sockets import served, tab

EVIL: Final = {"origin": "https://evil.example"}
FRONTEND: Final = "https://show.example"
# What a browser sends of a page, where the service is {own}; and whether that page may write.
PAGES: Final[list[tuple[dict[str, str], bool]]] = [
    ({}, True),
    ({"origin": "http://{own}"}, True),
    ({"origin": "http://{own}", "sec-fetch-site": "same-origin"}, True),
    ({"sec-fetch-site": "none"}, True),
    ({"origin": FRONTEND}, True),
    ({"origin": FRONTEND, "sec-fetch-site": "cross-site"}, True),
    # A proxy that hands on another Host: the browser knows better.
    ({"origin": "https://proxied.example", "sec-fetch-site": "same-origin"}, True),
    (EVIL, False),
    ({**EVIL, "sec-fetch-site": "cross-site"}, False),
    ({"sec-fetch-site": "cross-site"}, False),
    ({"sec-fetch-site": "same-site"}, False),
    ({"sec-fetch-site": "Same-Origin"}, False),
    ({"origin": "null"}, False),
    ({"origin": "null", "sec-fetch-site": "cross-site"}, False),
    ({"origin": "http://{own}.evil.example"}, False),
    ({"origin": "http://evil.example/{own}"}, False),
    ({"origin": "https://show.example.evil.example"}, False),
    ({"origin": "http://127.0.0.1:1"}, False),
    ({"origin": "http://[::1"}, False),
    ({"origin": "\xff"}, False),
]


@pytest.fixture(scope="module")
def named(shared_database: str) -> Iterator[httpx.Client]:
    with service(shared_database, cors_origins=(FRONTEND,)) as client:
        yield client


def sent_by(page: dict[str, str], client: httpx.Client) -> dict[str, bytes]:
    own = str(client.base_url.netloc, "ascii")
    return {name: value.replace("{own}", own).encode("latin-1") for name, value in page.items()}


@pytest.mark.parametrize(("page", "may"), PAGES)
def test_a_page_writes_where_it_is_ours_or_named(
    named: httpx.Client, page: dict[str, str], may: bool
) -> None:
    headers: Any = sent_by(page, named)
    before = len(named.get("/api/productions").json())
    answer = named.post("/api/productions", headers=headers, content=b'{"name": "x"}')
    assert answer.status_code == (201 if may else 403)
    assert len(named.get("/api/productions").json()) == before + may
    if not may:
        assert answer.json()["code"] == "FORBIDDEN"
        assert "CORS_ORIGINS" in answer.json()["message"]
        assert answer.headers["x-request-id"]
    # Reading is left to CORS: a page that is not named does not get to see the answer.
    read = named.get("/api/productions", headers=headers)
    assert read.status_code == 200
    allowed = read.headers.get("access-control-allow-origin")
    assert allowed == (FRONTEND if page.get("origin") == FRONTEND else None)


def test_no_method_and_no_path_writes_for_another_site(named: httpx.Client) -> None:
    show = created(named, "productions", name="mine")
    camera = created(named, "cameras", productionId=show["uuid"], name="mine")
    paths = [
        *((method, f"/api/cameras/{camera['uuid']}") for method in ("PUT", "PATCH", "DELETE")),
        ("DELETE", f"/api/productions/{show['uuid']}"),
        ("POST", f"/api/productions/{show['uuid']}/cameras/bulk"), ("POST", "/api/formats"),
        ("POST", f"/api/productions/{show['uuid']}/sync"), ("POST", "/nothing"),
        ("POST", "/socket.io/?EIO=4&transport=polling&sid=x"), ("POST", "/health"),
    ]  # fmt: skip
    for kind in ("", "text/plain", "application/x-www-form-urlencoded", "application/json"):
        headers = {**EVIL, **({"content-type": kind} if kind else {})}
        for method, path in paths:
            body = b'{"operations": [{"op": "delete", "id": "%b"}]}' % camera["uuid"].encode()
            answer = named.request(method, path, headers=headers, content=body)
            assert answer.status_code == 403, (method, path, kind)
    assert named.get(f"/api/cameras/{camera['uuid']}").json() == camera


@pytest.mark.parametrize(
    ("origin", "may"),
    [("http://localhost:5173", True), ("http://192.168.1.5:5173", True),
     ("http://desk.local", True), ("http://desk:5173", True), ("http://[fd12::1]:80", True),
     ("https://8.8.8.8", False),
     ("https://evil.example", False), ("http://localhost.evil.example", False), ("null", False),
     ("file://", False), ("http://", False), ("", True)],
)  # fmt: skip
def test_in_development_pages_of_the_network_may_write(origin: str, may: bool) -> None:
    for changes, allowed in (
        ({}, may),
        ({"environment": "production"}, not origin),
        ({"cors_origins": ("*",)}, True),
        ({"cors_origins": ("https://other.example",)}, not origin),
    ):
        origins = Origins(settings(**changes))
        assert origins.may_write(b"127.0.0.1:3010", origin.encode(), b"") is allowed, changes


async def test_a_socket_comes_from_no_page_of_another_site(shared_database: str) -> None:
    with served(shared_database, SocketLimits(), cors_origins=(FRONTEND,)) as root:
        for transport in ("websocket", "polling"):
            for page in (EVIL, {"Origin": "null"}):
                with pytest.raises(NotConnected):
                    async with tab(root, transport, headers=page):
                        pass
            for page in ({"Origin": FRONTEND}, {"Origin": root}, {}):
                async with tab(root, transport, headers=page) as one:
                    assert one.sid

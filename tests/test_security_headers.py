"""Every answer tells browsers what not to do with it; pages have a content policy of their own."""

import re
import socket
from base64 import b64encode
from hashlib import sha256
from typing import Any, Final

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from app.api.content_policy import page_policy
from app.api.security_headers import SecurityHeadersMiddleware
from tests.support.bodies import SOME_UUID

ALWAYS: Final = {
    "x-content-type-options": "nosniff", "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin", "cross-origin-resource-policy": "same-origin",
}  # fmt: skip
STRICT: Final = "default-src 'none'; frame-ancestors 'none'"
POLLING: Final = "/socket.io/?EIO=4&transport=polling"
ASKED: Final[list[tuple[str, str, dict[str, Any], int]]] = [
    ("GET", "/api/productions", {}, 200),
    ("HEAD", "/api/productions", {}, 200),
    ("GET", f"/api/cameras/{SOME_UUID}", {}, 404),
    ("GET", "/nothing", {}, 404),
    ("POST", "/api/productions", {"json": {}}, 422),
    ("POST", "/api/productions", {"content": b"{"}, 400),
    ("DELETE", "/api/productions", {}, 405),
    ("OPTIONS", "/api/productions", {}, 204),
    ("OPTIONS", "/api/productions",
     {"headers": {"origin": "http://a.local", "access-control-request-method": "PUT"}}, 200),
    ("GET", "/livez", {}, 200),
    ("GET", "/static-offline-docs/swagger-ui.css", {}, 200),
    ("GET", POLLING, {}, 200),
    ("PUT", POLLING, {}, 405),
    ("POST", f"{POLLING}&sid=none", {"content": b"40"}, 400),
    ("GET", "/api/productions", {"headers": {"host": "evil.example"}}, 403),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "more", "status"), ASKED)
def test_every_answer_has_them(
    client: httpx.Client, method: str, path: str, more: dict[str, Any], status: int
) -> None:
    answer = client.request(method, path, **more)
    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in ALWAYS} == ALWAYS
    assert answer.headers.get_list("content-security-policy") == [STRICT]
    assert "strict-transport-security" not in answer.headers


def test_a_refused_websocket_has_them(client: httpx.Client) -> None:
    port = client.base_url.port or 0
    lines = [
        "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1", f"Host: 127.0.0.1:{port}",
        "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Origin: https://evil.example", "", "",
    ]  # fmt: skip
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall("\r\n".join(lines).encode())
        head = line.makefile("rb").read().decode().lower()
    assert head.startswith("http/1.1 403 ")
    assert "x-content-type-options: nosniff" in head
    assert STRICT in head


def test_the_pages_of_the_api_may_run_their_own_scripts_alone(client: httpx.Client) -> None:
    answer = client.get("/docs")
    [policy] = answer.headers.get_list("content-security-policy")
    sources = dict(part.split(" ", 1) for part in policy.split("; "))
    [script] = re.findall(r"(?s)<script>(.*?)</script>", answer.text)
    digest = b64encode(sha256(script.encode()).digest()).decode()
    assert sources["script-src"] == f"'self' 'sha256-{digest}'"
    assert "unsafe" not in policy
    assert sources["default-src"] == sources["frame-ancestors"] == "'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("page", "scripts"),
    [
        ("<script>a()</script><SCRIPT type=module>b()</SCRIPT >", ["a()", "b()"]),
        ("<script src=/a.js></script><p>no script</p>", []),
        ("<!-- <script>a()</script> --><script></script>", [""]),
        ("<script>\r\na &amp; '<p>'\r\n</script>", ["\na &amp; '<p>'\n"]),
    ],
)
def test_a_policy_names_the_scripts_within_a_page(page: str, scripts: list[str]) -> None:
    [named] = re.findall(r"script-src 'self'((?: '[^']+')*)", page_policy(page))
    hashes = [b64encode(sha256(script.encode()).digest()).decode() for script in scripts]
    assert named == "".join(f" 'sha256-{digest}'" for digest in hashes)


@pytest.mark.parametrize(
    ("kind", "scheme", "strict"),
    [("http", "http", False), ("http", "https", True), ("websocket", "wss", True)],
)
async def test_who_came_by_https_is_to_come_so_again(kind: str, scheme: str, strict: bool) -> None:
    start = "websocket.http.response.start" if kind == "websocket" else "http.response.start"

    async def application(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": start, "status": 200, "headers": []})

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError

    scope: Scope = {"type": kind, "scheme": scheme}
    await SecurityHeadersMiddleware(application)(scope, receive, send)
    value = dict(sent[0]["headers"]).get(b"strict-transport-security")
    assert (value == b"max-age=31536000") is strict

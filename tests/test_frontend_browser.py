"""A small application in Chromium: signed out, signed in, expired within an edit, signed out again.

It is built here, and does what a frontend does that knows nothing of signing in: requests and
sockets of its own origin.
"""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request, expect
from pydantic import SecretStr

from app.access.memberships import CHANNEL
from app.releases.connection.open_connection import open_connection
from tests.support.browser import chromium_running
from tests.support.issuers import CLIENT, SECRET, Issuer, serving_issuer
from tests.support.service import PlainClient, service

CREW: Final = "a-token-of-the-crew"
PATIENCE: Final = 60_000
INDEX: Final = """<!doctype html><html><head><title>Shows</title>
<style>body { color: rgb(1, 2, 3) }</style>
<script type="module" src="/assets/app-Diw4gTda.js"></script></head>
<body><input id="name"><button id="save">Save</button><p id="state"></p><p id="socket"></p>
<script>document.title = "Begun within the page"</script></body></html>"""
SCRIPT: Final = """
const state = document.getElementById("state");
document.getElementById("save").onclick = async () => {
  state.textContent = "saving";
  const answer = await fetch("/api/productions", {
    method: "POST", headers: {"content-type": "application/json"},
    body: JSON.stringify({name: document.getElementById("name").value}),
  });
  state.textContent = answer.ok ? "saved" : `kept: ${answer.status} ${(await answer.json()).code}`;
  if (answer.ok && live.textContent == "gone") connect();
};
const live = document.getElementById("socket");
const connect = () => {
  const socket = new WebSocket(`ws://${location.host}/socket.io/?EIO=4&transport=websocket`);
  socket.onmessage = ({data}) => {
    if (data.startsWith("0")) socket.send("40");
    if (data.startsWith("40")) live.textContent = "live";
  };
  socket.onclose = () => { live.textContent = "gone"; };
};
connect();
state.textContent = "ready";
"""
EXPIRE: Final = (
    "WITH ended AS (UPDATE page_sessions SET expires_at = CURRENT_TIMESTAMP RETURNING uuid) "
    f"SELECT pg_notify('{CHANNEL}', 'session:' || uuid) FROM ended"
)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with chromium_running() as browser:
        yield browser


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with serving_issuer() as made:
        yield made


@pytest.fixture(scope="module")
def root(
    shared_database: str, tmp_path_factory: pytest.TempPathFactory, issuer: Issuer
) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("dist")
    (folder / "assets").mkdir()
    (folder / "index.html").write_text(INDEX)
    (folder / "assets" / "app-Diw4gTda.js").write_text(SCRIPT)
    with service(
        shared_database, access_token=SecretStr(CREW), frontend_dir=folder, oidc_issuer=issuer.url,
        oidc_client_id=CLIENT, oidc_client_secret=SecretStr(SECRET), oidc_role_claim="role",
    ) as client:  # fmt: skip
        yield str(client.base_url).rstrip("/")


@pytest.fixture
def neighbour() -> Iterator[str]:
    """Serve the page of somebody else on this machine, and yield its address."""

    class Handler(BaseHTTPRequestHandler):
        """Answers everything with one page."""

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>A neighbour</title>")

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context()
    context.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    page = context.new_page()
    yield page
    context.close()


def sign_in(page: Page, token: str = CREW) -> None:
    page.get_by_label("Your access token").fill(token)
    page.get_by_role("button", name="Sign in").click()


def save(page: Page, state: str) -> None:
    page.click("#save")
    expect(page.locator("#state")).to_have_text(state)


def run_apart(work: Any) -> None:
    """Run a coroutine beside the loop that Playwright runs in this thread."""
    with ThreadPoolExecutor(1) as executor:
        executor.submit(asyncio.run, work).result()


async def expire_sessions(url: str) -> None:
    async with open_connection(url) as connection:
        await connection.execute(EXPIRE)


def until_refused(page: Page, root: str) -> None:
    """Wait until the service has heard that the sessions are over."""
    [cookie] = page.context.cookies()
    with PlainClient(base_url=root, cookies={cookie["name"]: cookie["value"]}) as client:
        while client.get("/api/access/session").status_code != 401:
            page.wait_for_timeout(50)


def names(root: str) -> list[str]:
    with PlainClient(base_url=root) as client:
        shows = client.get("/api/productions", headers={"authorization": f"Bearer {CREW}"}).json()
        return [show["showName"] for show in shows]


def test_nothing_typed_is_lost_when_a_session_ends(
    page: Page, root: str, shared_database: str
) -> None:
    complaints: list[str] = []
    requests: list[Request] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.context.on("request", lambda one: requests.append(one))  # noqa: PLW0108  # it is marked
    page.goto(f"{root}/shows/SHOW%201?tab=cameras")
    expect(page).to_have_url(f"{root}/sign-in?next=%2Fshows%2FSHOW%25201%3Ftab%3Dcameras")
    sign_in(page, "a-wrong-token-of-nobody")
    expect(page.get_by_role("alert")).to_be_visible()
    sign_in(page)
    expect(page).to_have_url(f"{root}/shows/SHOW%201?tab=cameras")
    expect(page.locator("#state")).to_have_text("ready")
    expect(page).to_have_title("Begun within the page")
    expect(page.locator("body")).to_have_css("color", "rgb(1, 2, 3)")
    expect(page.locator("#socket")).to_have_text("live")
    page.fill("#name", "Saved at once")
    save(page, "saved")

    page.fill("#name", "Typed for an hour")
    run_apart(expire_sessions(shared_database))
    until_refused(page, root)
    expect(page.locator("#socket")).to_have_text("gone")
    save(page, "kept: 401 UNAUTHORIZED")
    expect(page.locator("#name")).to_have_value("Typed for an hour")

    another = page.context.new_page()
    another.goto(root)
    sign_in(another)
    expect(another.locator("#state")).to_have_text("ready")
    save(page, "saved")
    expect(page.locator("#socket")).to_have_text("live")
    assert {"Saved at once", "Typed for an hour"} <= set(names(root))
    assert not [text for text in complaints if "Content Security Policy" in text]

    another.goto(f"{root}/sign-out")
    another.get_by_role("button", name="Sign out").click()
    expect(another.get_by_label("Your access token")).to_be_visible()
    expect(page.locator("#socket")).to_have_text("gone")
    page.fill("#name", "Typed when signed out")
    save(page, "kept: 401 UNAUTHORIZED")
    expect(page.locator("#name")).to_have_value("Typed when signed out")
    another.goto(f"{root}/shows")
    expect(another.get_by_label("Your access token")).to_be_visible()
    assert "Typed when signed out" not in names(root)
    assert requests
    assert not [one.url for one in requests if "authorization" in one.all_headers()]
    assert {
        urlsplit(one.url).path for one in requests if CREW in one.url + (one.post_data or "")
    } == {"/sign-in"}


def test_who_signs_in_at_the_issuer_is_back_at_their_page(page: Page, root: str) -> None:
    page.goto(f"{root}/shows")
    page.get_by_role("link", name="Sign in at 127.0.0.1").click()
    expect(page).to_have_url(f"{root}/shows")
    expect(page.locator("#socket")).to_have_text("live")
    page.fill("#name", "Typed by Ann")
    save(page, "saved")


def test_what_is_smuggled_into_the_page_does_not_run(page: Page, root: str) -> None:
    page.goto(root)
    sign_in(page)
    expect(page.locator("#state")).to_have_text("ready")
    page.evaluate("""() => {
      const script = document.createElement("script");
      script.textContent = "window.smuggled = true";
      document.body.append(script);
      document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='window.smuggled = true'>");
    }""")
    page.evaluate("() => new Promise((done) => setTimeout(done, 200))")
    assert page.evaluate("() => window.smuggled") is None
    assert page.evaluate("() => document.cookie") == "", "no script reads the cookie"


def test_a_page_at_another_port_writes_nothing_in_the_name_of_who_is_signed_in(
    page: Page, root: str, neighbour: str
) -> None:
    """To a browser it is the same site, so that the cookie comes along."""
    page.goto(root)
    sign_in(page)
    expect(page.locator("#state")).to_have_text("ready")
    [cookie] = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
    page.goto(neighbour)
    with page.expect_navigation() as answer:
        page.evaluate(
            """(address) => {
              document.body.innerHTML = `<form method="post" enctype="text/plain"
                action="${address}"><input name='{"name": "By a neighbour", "x": "' value='"}'>`;
              document.forms[0].submit();
            }""",
            f"{root}/api/productions",
        )
    assert answer.value
    assert cookie["name"] in answer.value.request.all_headers()["cookie"]
    assert answer.value.status == 401
    assert "By a neighbour" not in names(root)

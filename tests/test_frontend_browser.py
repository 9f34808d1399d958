"""A small application in Chromium: signed out, signed in, expired within an edit, signed out again.

It is built here, and does what a frontend does that knows nothing of signing in: requests and
sockets of its own origin.
"""

import asyncio
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from pydantic import SecretStr

from app.access.memberships import CHANNEL
from app.releases.connection.open_connection import open_connection
from tests.support.service import PlainClient, service

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser")
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
};
const socket = new WebSocket(`ws://${location.host}/socket.io/?EIO=4&transport=websocket`);
socket.onmessage = ({data}) => {
  if (data.startsWith("0")) socket.send("40");
  if (data.startsWith("4")) document.getElementById("socket").textContent = data.slice(0, 2);
};
state.textContent = "ready";
"""
EXPIRE: Final = (
    "WITH ended AS (UPDATE page_sessions SET expires_at = CURRENT_TIMESTAMP RETURNING uuid) "
    f"SELECT pg_notify('{CHANNEL}', 'session:' || uuid) FROM ended"
)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    with sync_playwright() as playwright:
        # As root there is no sandbox; nothing but this application is opened.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def root(shared_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("dist")
    (folder / "assets").mkdir()
    (folder / "index.html").write_text(INDEX)
    (folder / "assets" / "app-Diw4gTda.js").write_text(SCRIPT)
    with service(shared_database, access_token=SecretStr(CREW), frontend_dir=folder) as client:
        yield str(client.base_url).rstrip("/")


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
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(f"{root}/shows/SHOW%201?tab=cameras")
    expect(page).to_have_url(f"{root}/sign-in?next=%2Fshows%2FSHOW%25201%3Ftab%3Dcameras")
    sign_in(page, "a-wrong-token-of-nobody")
    expect(page.get_by_role("alert")).to_be_visible()
    sign_in(page)
    expect(page).to_have_url(f"{root}/shows/SHOW%201?tab=cameras")
    expect(page.locator("#state")).to_have_text("ready")
    expect(page).to_have_title("Begun within the page")
    expect(page.locator("body")).to_have_css("color", "rgb(1, 2, 3)")
    expect(page.locator("#socket")).to_have_text("40")
    page.fill("#name", "Saved at once")
    save(page, "saved")

    page.fill("#name", "Typed for an hour")
    run_apart(expire_sessions(shared_database))
    until_refused(page, root)
    save(page, "kept: 401 UNAUTHORIZED")
    expect(page.locator("#name")).to_have_value("Typed for an hour")

    another = page.context.new_page()
    another.goto(root)
    sign_in(another)
    expect(another.locator("#state")).to_have_text("ready")
    save(page, "saved")
    assert {"Saved at once", "Typed for an hour"} <= set(names(root))
    assert not [text for text in complaints if "Content Security Policy" in text]

    another.goto(f"{root}/sign-out")
    another.get_by_role("button", name="Sign out").click()
    expect(another.get_by_label("Your access token")).to_be_visible()
    page.fill("#name", "Typed when signed out")
    save(page, "kept: 401 UNAUTHORIZED")
    expect(page.locator("#name")).to_have_value("Typed when signed out")
    another.goto(f"{root}/shows")
    expect(another.get_by_label("Your access token")).to_be_visible()
    assert "Typed when signed out" not in names(root)


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

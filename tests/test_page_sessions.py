"""A browser signs in with a token, and is known by a cookie until the session or the token ends."""

import asyncio
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from app.access import memberships, tokens
from app.access.caller import Role
from app.access.peppers import Peppers
from app.releases.connection.open_connection import open_connection
from app.retention import Retention
from tests.support import databases
from tests.support.service import PlainClient, service, settings
from tests.support.sockets import refused, tab
from tests.test_writer import opened

PEPPER: Final = SecretStr(f"new:{'n' * 32}")
CREW: Final = "a-token-of-the-crew"
WHO: Final = "/api/access/session"
INDEX: Final = "<!doctype html><title>The app</title>"
PAGE: Final = {"accept": "text/html"}


@pytest.fixture(scope="module")
def guarded(
    shared_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("dist")
    (folder / "index.html").write_text(INDEX)
    with service(
        shared_database, token_peppers=PEPPER, access_token=SecretStr(CREW), frontend_dir=folder
    ) as client:
        yield client


@pytest.fixture
def browser(guarded: httpx.Client) -> Iterator[httpx.Client]:
    with PlainClient(base_url=guarded.base_url, timeout=30) as client:
        yield client


async def token_of_ann(url: str, role: Role = Role.EDITOR, **more: Any) -> str:
    new = tokens.NewToken("Ann's laptop", "ann", "Ann", role, "the tests", **more)
    async with open_connection(url) as connection:
        return await tokens.create(connection, Peppers(settings(token_peppers=PEPPER)), new)


async def execute(url: str, sql: str, *values: Any) -> None:
    async with open_connection(url) as connection:
        await connection.execute(sql, *values)


def sign_in(browser: httpx.Client, token: str, there: str = "/") -> httpx.Response:
    return browser.post("/sign-in", data={"token": token, "next": there}, follow_redirects=False)


async def until_signed_out(browser: httpx.Client) -> None:
    async with asyncio.timeout(60):
        while browser.get(WHO).status_code != 401:  # noqa: ASYNC110  # nobody tells it
            await asyncio.sleep(0.05)


async def test_a_page_that_is_not_signed_in_is_led_to_the_sign_in_and_back(
    browser: httpx.Client, shared_database: str
) -> None:
    for path in ("/", "/shows/SHOW%201?tab=a&b=c"):
        led = browser.get(path, headers=PAGE, follow_redirects=False)
        assert led.status_code == 303
        there = parse_qs(urlsplit(led.headers["location"]).query)["next"][0]
        page = browser.get(led.headers["location"])
        assert (page.status_code, 'type="password"' in page.text) == (200, True)
        assert "unsafe" not in page.headers["content-security-policy"]
        back = sign_in(browser, await token_of_ann(shared_database), there)
        assert (back.status_code, back.headers["cache-control"]) == (303, "no-store")
        assert back.headers["location"] == path
        assert browser.get(back.headers["location"], headers=PAGE).text == INDEX
        browser.cookies.clear()
    for path in ("/assets/x-1234567a.js", "/api/productions", WHO):
        assert browser.get(path).status_code == 401
    assert browser.get("/api/productions", headers=PAGE, follow_redirects=False).status_code == 401


async def test_the_cookie_is_the_callers_credential(
    browser: httpx.Client, shared_database: str
) -> None:
    answer = sign_in(browser, await token_of_ann(shared_database))
    value, *attributes = answer.headers["set-cookie"].split("; ")
    assert attributes == ["Path=/", "HttpOnly", "SameSite=Lax"]
    assert value.startswith("signalbook=")
    assert browser.get(WHO).json() == {
        "userId": "ann", "userName": "Ann", "role": "editor", "signedIn": True,
    }  # fmt: skip
    own = {"origin": str(browser.base_url).rstrip("/"), "sec-fetch-site": "same-origin"}
    made = browser.post("/api/productions", headers=own, json={"name": "x", "userId": "boss"})
    assert made.status_code == 201
    assert browser.get("/api/admin/migration-status").status_code == 403


@pytest.mark.parametrize(
    ("headers", "counts"),
    [({}, True), ({"sec-fetch-site": "same-origin"}, True), ({"sec-fetch-site": "none"}, True),
     ({"sec-fetch-site": "same-site"}, False), ({"sec-fetch-site": "cross-site"}, False),
     ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, True),
     ({"origin": "http://localhost:5173"}, False), ({"origin": "null"}, False)],
)  # fmt: skip
async def test_the_cookie_of_another_sites_page_counts_for_nothing(
    browser: httpx.Client, shared_database: str, headers: dict[str, str], counts: bool
) -> None:
    """Also where that page is near, or named in CORS_ORIGINS."""
    sign_in(browser, await token_of_ann(shared_database))
    assert browser.get(WHO, headers=headers).status_code == (200 if counts else 401)


async def test_over_https_the_cookie_is_bound_to_the_host(shared_database: str) -> None:
    proxied = {"x-forwarded-proto": "https", "x-forwarded-for": "203.0.113.7"}
    with service(
        shared_database, access_token=SecretStr(CREW), trusted_proxies=("127.0.0.1",)
    ) as client:
        answer = client.post("/sign-in", data={"token": CREW}, headers=proxied)
        value, *attributes = answer.headers["set-cookie"].split("; ")
        assert value.startswith("__Host-signalbook=")
        assert attributes == ["Path=/", "HttpOnly", "SameSite=Lax", "Secure"]
        client.cookies.clear()
        for name, status in (("__Host-signalbook", 200), ("signalbook", 401)):
            cookie = {"cookie": f"{name}={value.partition('=')[2]}"}
            assert client.get(WHO, headers={**proxied, **cookie}).status_code == status


@pytest.mark.parametrize(
    "there", ["//evil.example", "/\\evil.example", "https://evil.example", "", "javascript:a()",
              "/a\r\nset-cookie: x=y", "/ä", "/a b", " /a", "/\t/evil.example"],
)  # fmt: skip
def test_nobody_is_led_to_another_site(browser: httpx.Client, there: str) -> None:
    answer = sign_in(browser, CREW, there)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert 'value="/"' in browser.get("/sign-in", params={"next": there}).text


@pytest.mark.parametrize(
    "token", ["", "wrong", CREW[:-1], "sb_0000000000000000." + "x" * 43, "\x00", "ä" * 50]
)
def test_a_wrong_token_opens_nothing(browser: httpx.Client, token: str) -> None:
    answer = sign_in(browser, token)
    assert answer.status_code == 401
    assert 'role="alert"' in answer.text
    assert "set-cookie" not in answer.headers
    assert not token or token not in answer.text
    assert sign_in(browser, "x" * 9_000).status_code == 413


def test_no_cookie_of_somebody_elses_making_counts(browser: httpx.Client) -> None:
    sign_in(browser, CREW)
    [cookie] = [cookie.value or "" for cookie in browser.cookies.jar]
    browser.cookies.clear()
    for value in ("", "x", cookie[:-1], f"{cookie}x", cookie[1:], f"x.{cookie}", "ä", '"', "a.b.c"):
        answer = browser.get(WHO, headers=[(b"cookie", f"signalbook={value}".encode())])
        assert answer.status_code == 401, value
    other = {"cookie": f"a=b; signalbook={cookie}; c=d"}
    assert browser.get(WHO, headers=other).json()["userId"] is None


async def test_a_session_ends_where_it_is_signed_out(
    browser: httpx.Client, shared_database: str
) -> None:
    sign_in(browser, await token_of_ann(shared_database))
    cookies = dict(browser.cookies)
    assert browser.get("/sign-out").status_code == 200
    assert browser.get(WHO).status_code == 200, "a link alone signs nobody out"
    evil = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    assert browser.post("/sign-out", headers=evil).status_code == 403
    answer = browser.post("/sign-out", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert not browser.cookies
    with PlainClient(base_url=browser.base_url, cookies=cookies) as another_tab:
        assert another_tab.get(WHO).status_code == 401


async def test_a_session_ends_with_its_token(browser: httpx.Client, shared_database: str) -> None:
    token = await token_of_ann(shared_database)
    sign_in(browser, token)
    assert browser.get(WHO).status_code == 200
    await execute(shared_database, tokens.REVOKE, token[3:19])
    await until_signed_out(browser)
    assert sign_in(browser, token).status_code == 401


async def test_a_session_expires(browser: httpx.Client, shared_database: str) -> None:
    sign_in(browser, await token_of_ann(shared_database))
    assert browser.get(WHO).status_code == 200
    expire = (
        "WITH o AS (UPDATE page_sessions SET expires_at = CURRENT_TIMESTAMP RETURNING uuid) "
        f"SELECT pg_notify('{memberships.CHANNEL}', 'session:' || uuid) FROM o"
    )
    await execute(shared_database, expire)
    await until_signed_out(browser)


@pytest.mark.parametrize("slides", [True, False])
async def test_a_session_that_is_used_lasts_if_it_is_to(own_database: str, slides: bool) -> None:
    with service(
        own_database, access_token=SecretStr(CREW), page_session_slides=slides,
        page_session_hours=1.0,
    ) as client:  # fmt: skip
        sign_in(client, CREW)
        await execute(
            own_database, "UPDATE page_sessions SET expires_at = expires_at - interval '50 min'"
        )
        assert client.get(WHO).status_code == 200
    async with open_connection(own_database) as connection:
        left = await connection.fetchval(
            "SELECT extract(epoch FROM expires_at - CURRENT_TIMESTAMP)::int FROM page_sessions"
        )
    assert (left > 3_000) is slides


async def test_sessions_that_are_over_are_removed_a_day_later(own_database: str) -> None:
    await execute(
        own_database,
        "INSERT INTO page_sessions (uuid, subject, user_id, user_name, expires_at) "
        "SELECT gen_random_uuid(), '', hours, '', now() - hours * interval '1 hour' "
        "FROM unnest('{0,23,25,99}'::int[]) AS hours",
    )
    async with opened(own_database) as database:
        assert await Retention(database, 0, pause=0).prune("page sessions") == 2
    left = await databases.column(own_database, "SELECT user_id FROM page_sessions ORDER BY 1")
    assert left == ["0", "23"]


def test_a_session_of_a_shared_token_ends_when_that_is_replaced(shared_database: str) -> None:
    with service(shared_database, token_peppers=PEPPER, access_token=SecretStr(CREW)) as client:
        sign_in(client, CREW)
        cookies = dict(client.cookies)
    for token, status in ((CREW, 200), ("another-token-of-the-crew", 401)):
        with service(
            shared_database, token_peppers=PEPPER, access_token=SecretStr(token)
        ) as client:
            client.cookies.update(cookies)
            assert client.get(WHO).status_code == status


async def test_sockets_carry_the_cookie(browser: httpx.Client, shared_database: str) -> None:
    root = str(browser.base_url).rstrip("/")
    sign_in(browser, await token_of_ann(shared_database))
    [cookie] = [f"{each.name}={each.value}" for each in browser.cookies.jar]
    for transport in ("websocket", "polling"):
        async with tab(root, transport, headers={"Cookie": cookie, "Origin": root}) as one:
            assert one.sid
    async with tab(root, headers={"Cookie": cookie, "Origin": root}) as one:
        browser.post("/sign-out")
        async with asyncio.timeout(60):
            await one.ended.wait()
    said, _ = await refused(root)
    assert said["data"]["code"] == "UNAUTHORIZED"

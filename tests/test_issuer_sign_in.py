"""A browser signs in at the issuer: only who went there comes back, and is who the issuer names."""

import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from app.access.oidc import authorization
from app.settings import BadSettings, load_settings
from tests.support import databases
from tests.support.issuers import CLIENT, SECRET, Issuer, serving_issuer
from tests.support.service import PlainClient, ServiceClient, service
from tests.test_page_sessions import PEPPER, WHO
from tests.test_tokens import bearer

ISSUER_PAGE: Final = "/sign-in/issuer"
CALLBACK: Final = "/sign-in/callback"


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with serving_issuer() as made:
        yield made


def opened(url: str, issuer: Issuer, **more: Any) -> Any:
    return service(
        url, oidc_issuer=issuer.url, oidc_client_id=CLIENT, oidc_client_secret=SecretStr(SECRET),
        oidc_role_claim="role", token_peppers=PEPPER, **more,
    )  # fmt: skip


@pytest.fixture(scope="module")
def guarded(shared_database: str, issuer: Issuer) -> Iterator[ServiceClient]:
    with opened(shared_database, issuer) as client:
        yield client


@pytest.fixture
def browser(guarded: ServiceClient, issuer: Issuer) -> Iterator[httpx.Client]:
    issuer.claims, issuer.discovery = {}, {}
    with PlainClient(base_url=guarded.base_url, timeout=30) as client:
        yield client


def begin(browser: httpx.Client, there: str = "/") -> httpx.Response:
    return browser.get(ISSUER_PAGE, params={"next": there}, follow_redirects=False)


def come_back(browser: httpx.Client, there: str = "/") -> str:
    """Go to the issuer; return the address that it leads back to."""
    location = begin(browser, there).headers["location"]
    with PlainClient() as at_the_issuer:
        return at_the_issuer.get(location, follow_redirects=False).headers["location"]


def finish(browser: httpx.Client, address: str) -> httpx.Response:
    return browser.get(address, follow_redirects=False)


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Return the status of a plain page, and what it says. Nobody is signed in by it."""
    assert "signalbook=" not in answer.headers.get("set-cookie", "")
    said = re.search(r'role="alert">([^<]+)<', answer.text)
    assert said, answer.text
    assert "Your access token" in answer.text, "there is a way on"
    return answer.status_code, said[1]


def test_who_signs_in_at_the_issuer_comes_back_to_where_they_were(
    browser: httpx.Client, issuer: Issuer
) -> None:
    page = browser.get("/sign-in", params={"next": "/shows?a=b&c=d"}).text
    link = re.search(r'href="(/sign-in/issuer[^"]+)">Sign in at 127\.0\.0\.1:\d+<', page)
    assert link
    there = parse_qs(urlsplit(link[1]).query)["next"][0]
    answer = finish(browser, come_back(browser, there))
    assert (answer.status_code, answer.headers["location"]) == (303, "/shows?a=b&c=d")
    assert answer.headers["cache-control"] == "no-store"
    session, ended = answer.headers.get_list("set-cookie")
    assert session.endswith("; Path=/; HttpOnly; SameSite=Lax")
    assert ended.startswith("signalbook-sign-in=;")
    assert browser.get(WHO).json() == {
        "userId": "ann", "userName": "Ann", "role": "editor", "signedIn": True,
    }  # fmt: skip
    own = {"origin": str(browser.base_url).rstrip("/"), "sec-fetch-site": "same-origin"}
    show = browser.post("/api/productions", headers=own, json={"name": "x", "userId": "boss"})
    (event,) = browser.get(f"/api/productions/{show.json()['uuid']}/events").json()
    assert (event["userId"], event["userName"]) == ("ann", "Ann")
    assert not issuer.codes, "a code is used once"


def test_what_is_sent_to_the_issuer_is_new_each_time_and_tells_no_secret(
    browser: httpx.Client,
) -> None:
    answers = [begin(browser), begin(browser)]
    asked = [parse_qs(urlsplit(answer.headers["location"]).query) for answer in answers]
    for name in ("state", "nonce", "code_challenge"):
        assert asked[0][name] != asked[1][name]
    assert asked[0]["tenant"] == ["1"]
    assert asked[0]["client_id"] == [CLIENT]
    assert asked[0]["redirect_uri"] == [f"{str(browser.base_url).rstrip('/')}{CALLBACK}"]
    cookie = answers[0].headers["set-cookie"]
    assert cookie.endswith("; Path=/; HttpOnly; SameSite=Lax; Max-Age=600")
    assert SECRET not in answers[0].headers["location"] + cookie


def test_nobody_comes_back_for_somebody_else(browser: httpx.Client) -> None:
    address = come_back(browser)
    with PlainClient(base_url=browser.base_url) as victim:
        status, words = refusal(finish(victim, address))
        assert (status, words[:31]) == (400, "This browser has not begun to s")
        begin(victim)
        status, words = refusal(finish(victim, address))
        assert (status, words[:31]) == (400, "Another tab has begun to sign i")
        assert victim.get(WHO).status_code == 401
    assert finish(browser, address).status_code == 303
    assert refusal(finish(browser, address))[0] == 400, "it was used"


def test_an_answer_that_is_not_the_issuers_to_this_sign_in_is_refused(
    browser: httpx.Client, issuer: Issuer
) -> None:
    wrong: list[dict[str, Any]] = [
        {"nonce": "another"}, {"nonce": None}, {"aud": "signalbook"}, {"aud": [CLIENT, "x"],
        "azp": "x"}, {"iss": "https://other.example"}, {"exp": 1}, {"key": "two"},
        {"algorithm": "none"}, {"sub": None},
    ]  # fmt: skip
    for claims in wrong:
        issuer.claims = claims
        assert refusal(finish(browser, come_back(browser)))[0] == 401, claims
    issuer.claims = {}
    for more in ("&iss=https://other.example", ""):
        address = come_back(browser)
        address = address.partition("&iss=")[0] + more
        answer = finish(browser, address)
        assert answer.status_code == (400 if more else 303)


def test_what_the_issuer_refuses_is_said_in_a_plain_page(
    browser: httpx.Client, issuer: Issuer, capsys: pytest.CaptureFixture[str]
) -> None:
    address = come_back(browser)
    state = parse_qs(urlsplit(address).query)["state"][0]
    denied = {"error": "access_denied", "error_description": "<b>x", "state": state}
    answer = browser.get(CALLBACK, params=denied)
    status, words = refusal(answer)
    assert (status, words[:34]) == (401, "The issuer has not let you in: sig")
    assert "<b>" not in answer.text
    issuer.codes.clear()
    status, words = refusal(finish(browser, address))
    assert (status, words[:36]) == (401, "The issuer does not say who you are:")
    log = capsys.readouterr().out
    assert "reason=invalid_grant" in log
    assert "code-" not in log
    assert state not in log


def test_who_takes_too_long_begins_again(
    browser: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = come_back(browser)
    monkeypatch.setattr(authorization, "_SECONDS", -1)
    status, words = refusal(finish(browser, address))
    assert (status, words[:21]) == (400, "This took longer than")


@pytest.mark.parametrize("methods", [["client_secret_post"], ["private_key_jwt"], []])
def test_the_client_says_who_it_is_as_the_issuer_wants_it(
    shared_database: str, issuer: Issuer, methods: list[str]
) -> None:
    issuer.claims = {}
    issuer.discovery = {"token_endpoint_auth_methods_supported": methods}
    with opened(shared_database, issuer) as client:
        assert finish(client, come_back(client)).status_code == 303


async def test_who_has_no_role_is_told_whom_to_ask(
    browser: httpx.Client, issuer: Issuer, shared_database: str
) -> None:
    finish(browser, come_back(browser))
    show = browser.post("/api/productions", json={"name": "Ben's"}).json()["uuid"]
    browser.cookies.clear()
    issuer.claims = {"role": None, "sub": "ben", "name": "Ben <b>"}
    answer = finish(browser, come_back(browser))
    status, words = refusal(answer)
    assert status == 403
    assert "knows you as Ben &lt;b&gt;, but you have no role" in words
    assert "issuer:ben" in words
    await databases.execute(
        shared_database, "INSERT INTO access_memberships VALUES ('issuer:eve', $1, 'editor', now(),"
        " 'the tests')", show,
    )  # fmt: skip
    issuer.claims = {"role": None, "sub": "eve"}
    assert finish(browser, come_back(browser)).status_code == 303


async def test_a_session_of_the_issuer_lasts_no_longer_for_being_used(
    own_database: str, issuer: Issuer
) -> None:
    issuer.claims = {}
    is_short = "SELECT expires_at < now() + interval '11 min' FROM page_sessions"
    with opened(own_database, issuer, page_session_hours=1.0) as client:
        finish(client, come_back(client))
        shorten = "UPDATE page_sessions SET expires_at = expires_at - interval '50 min'"
        await databases.execute(own_database, shorten)
        assert client.get(WHO).status_code == 200
        cookies = dict(client.cookies)
    assert await databases.column(own_database, is_short) == [True]
    with service(own_database, oidc_issuer=issuer.url, oidc_client_id="another",
                 token_peppers=PEPPER) as client:  # fmt: skip
        client.cookies.update(cookies)
        assert client.get(WHO).status_code == 401, "another client's sessions are none of ours"


def test_without_the_issuer_a_token_still_signs_in(shared_database: str, issuer: Issuer) -> None:
    away = Issuer("http://127.0.0.1:1")
    with opened(shared_database, away, access_token=SecretStr("a-token-of-the-crew")) as client:
        status, words = refusal(begin(client))
        assert (status, words[:30]) == (503, "The issuer cannot be reached: ")
        signed_in = client.post("/sign-in", data={"token": "a-token-of-the-crew"})
        assert "signalbook" in client.cookies, signed_in.text
    with service(shared_database, access_token=SecretStr("a-token-of-the-crew")) as client:
        assert ISSUER_PAGE not in client.get("/sign-in").text
        for path in (ISSUER_PAGE, CALLBACK):
            assert refusal(client.get(path))[0] == 404


def test_without_an_audience_no_token_of_the_issuer_is_a_credential(
    browser: httpx.Client, issuer: Issuer
) -> None:
    for audience in (CLIENT, "signalbook", None):
        token = issuer.token(aud=audience)
        assert browser.get("/api/productions", headers=bearer(token)).status_code == 401


@pytest.mark.parametrize(
    ("said", "words"),
    [({"OIDC_CLIENT_ID": "x"}, "OIDC_ISSUER is not set"),
     ({"OIDC_CLIENT_ID": "x", "OIDC_ISSUER": "https://a.example", "ENVIRONMENT": "production"},
      "TOKEN_PEPPERS is not set")],
)  # fmt: skip
def test_half_a_client_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, said: dict[str, str], words: str
) -> None:
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BadSettings, match=words):
        load_settings().refuse_exposed()

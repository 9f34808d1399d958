"""The door: nothing beyond loopback without a token; health answers everybody."""

from collections.abc import Iterator

import httpx
import pytest
from pydantic import SecretStr

from app.settings import BadSettings, load_settings
from tests.support.service import service

TOKEN = "a-token-for-the-crew"
PATHS = ("/api/productions", "/api/cameras/production/x", "/api/nothing", "/docs/x", "/static")
PAGES = ("/docs", "/openapi.json", "/static-offline-docs/swagger-ui.css")


@pytest.fixture(scope="module")
def guarded(shared_database: str) -> Iterator[httpx.Client]:
    with service(shared_database, access_token=SecretStr(TOKEN)) as client:
        yield client


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "offered",
    [None, "", "Bearer", "Bearer wrong", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}",
     f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN.upper()}"],
)  # fmt: skip
def test_without_the_token_nothing_is_told(guarded: httpx.Client, path: str, offered: str) -> None:
    headers = {} if offered is None else {"authorization": offered}
    answer = guarded.get(path, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"
    assert TOKEN not in answer.text


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_with_the_token_all_is_open(guarded: httpx.Client, scheme: str) -> None:
    headers = {"authorization": f"{scheme} {TOKEN}"}
    assert guarded.get("/api/productions", headers=headers).status_code == 200
    assert guarded.post("/api/productions", headers=headers, json={"name": "x"}).status_code == 201
    assert guarded.get("/docs", headers=headers).status_code == 200


@pytest.mark.parametrize("path", PAGES)
def test_the_pages_of_the_api_are_open_and_say_what_the_api_asks_for(
    guarded: httpx.Client, path: str
) -> None:
    answer = guarded.get(path)
    assert answer.status_code == 200
    if path == "/openapi.json":
        document = answer.json()
        assert document["components"]["securitySchemes"]["accessToken"]["scheme"] == "bearer"
        assert document["paths"]["/api/productions"]["get"]["security"] == [{"accessToken": []}]
        assert document["paths"]["/health"]["get"]["security"] == []


def test_a_setting_closes_the_pages(shared_database: str) -> None:
    with service(shared_database, api_pages=False) as client:
        for path in ("/", *PAGES):
            assert client.get(path).status_code == 404, path
        assert client.get("/health").status_code == 200


@pytest.mark.parametrize("path", ["/health", "/livez", "/api/health", "/api/server/info"])
def test_health_answers_everybody(guarded: httpx.Client, path: str) -> None:
    assert guarded.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/health/", "//health", "/HEALTH", "/api/health/../productions"])
def test_a_path_that_resembles_health_does_not_open_the_door(
    guarded: httpx.Client, path: str
) -> None:
    # As it stands: joined to the client's address, two slashes would begin a host's name.
    answer = guarded.get(f"{str(guarded.base_url).rstrip('/')}{path}", follow_redirects=False)
    assert answer.status_code in {401, 404}


def test_a_browsers_preflight_needs_no_token(guarded: httpx.Client) -> None:
    headers = {"origin": "http://show.local", "access-control-request-method": "PUT",
               "access-control-request-headers": "authorization,content-type,if-match"}  # fmt: skip
    answer = guarded.options("/api/productions", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "PUT" in answer.headers["access-control-allow-methods"]


def test_even_a_refusal_may_be_read_by_the_frontend(guarded: httpx.Client) -> None:
    answer = guarded.get("/api/productions", headers={"origin": "http://show.local"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "x-ignored-fields" in answer.headers["access-control-expose-headers"]


def test_origins_come_from_the_settings(shared_database: str) -> None:
    with service(shared_database, cors_origins=("https://show.example",)) as client:
        for origin, allowed in (("https://show.example", True), ("https://evil.example", False)):
            answer = client.get("/api/productions", headers={"origin": origin})
            assert (answer.headers.get("access-control-allow-origin") == origin) is allowed


@pytest.mark.parametrize(
    ("host", "exposed"),
    [("127.0.0.1", False), ("localhost", False), ("::1", False), ("127.9.9.9", False),
     ("0.0.0.0", True), ("::", True), ("192.168.1.5", True), ("show.local", True)],
)  # fmt: skip
@pytest.mark.parametrize(
    ("said", "open_to_all"),
    [({}, False), ({"ANONYMOUS": "editor"}, True), ({"ANONYMOUS": "viewer"}, True),
     ({"ACCESS_TOKEN": TOKEN}, True), ({"TOKEN_PEPPERS": f"one:{'p' * 32}"}, True)],
)  # fmt: skip
def test_beyond_loopback_takes_a_token_or_a_word(
    monkeypatch: pytest.MonkeyPatch, host: str, exposed: bool, said: dict[str, str],
    open_to_all: bool,
) -> None:  # fmt: skip
    for name, value in {"HOST": host, **said}.items():
        monkeypatch.setenv(name, value)
    if exposed and not open_to_all:
        with pytest.raises(BadSettings, match="ACCESS_TOKEN"):
            load_settings().refuse_exposed()
    else:
        load_settings().refuse_exposed()
    monkeypatch.setenv("ENVIRONMENT", "production")
    if open_to_all:
        load_settings().refuse_exposed()
    else:  # on loopback as well: a proxy may stand there
        with pytest.raises(BadSettings, match="ANONYMOUS"):
            load_settings().refuse_exposed()


def test_who_is_anonymous_may_what_the_setting_says(shared_database: str) -> None:
    with service(shared_database, anonymous="viewer", environment="production") as client:
        assert client.get("/api/productions").status_code == 200
        written = client.post("/api/productions", json={"name": "x"})
        assert (written.status_code, written.json()["code"]) == (401, "UNAUTHORIZED")
        wrong = client.get("/api/productions", headers={"authorization": "Bearer wrong"})
        assert wrong.status_code == 401


@pytest.mark.parametrize(
    "wrong",
    ["x", "x:short", f"a b:{'p' * 32}", f"one:{'p' * 32},one:{'q' * 32}", f"one:{'p' * 32},",
     f":{'p' * 32}"],
)  # fmt: skip
def test_peppers_that_cannot_be_read_stop_the_start(
    monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    monkeypatch.setenv("TOKEN_PEPPERS", wrong)
    with pytest.raises(BadSettings, match=r"^TOKEN_PEPPERS must") as refused:
        load_settings()
    assert "p" * 32 not in str(refused.value)


@pytest.mark.parametrize(
    ("said", "words"),
    [({"OIDC_ISSUER": "http://login.example"}, "OIDC_ISSUER must"),
     ({"OIDC_ISSUER": "https://login.example"}, "OIDC_AUDIENCE is not set"),
     ({"OIDC_ALGORITHMS": "HS256"}, "OIDC_ALGORITHMS"), ({"OIDC_ALGORITHMS": "none"}, "OIDC")],
)  # fmt: skip
def test_an_issuer_that_could_be_forged_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, said: dict[str, str], words: str
) -> None:
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BadSettings, match=words):
        load_settings().refuse_exposed()

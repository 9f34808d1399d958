"""A built web application is served from our own origin, and nothing else of its machine."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from app.api.frontend import Frontend
from app.settings import BadSettings
from tests.support.service import service

INDEX: Final = (
    "<!doctype html><script>start()</script><script src=/assets/index-DiwrgT4a.js></script>"
)
SECRET: Final = "no file of the application"
SCRIPT: Final = "console.log('x');" * 200
FILES: Final = {
    "index.html": INDEX, "assets/index-DiwrgT4a.js": SCRIPT, "assets/main.3f2a1b9c.css": "a{}",
    "logo.svg": "<svg/>", "my-component.js": "1", "manual/index.html": "<p>manual</p>",
    ".env": SECRET, ".git/config": SECRET, ".well-known/x.txt": "known", "api/cameras": SECRET,
    "health": SECRET, "docs": SECRET, "socket.io/index.html": SECRET,
}  # fmt: skip
PAGE: Final = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture(scope="module")
def built(shared_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    above = tmp_path_factory.mktemp("above")
    (above / "secret.txt").write_text(SECRET)
    folder = above / "dist"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "link.txt").symlink_to(above / "secret.txt")
    (folder / "up").symlink_to(above)
    with service(shared_database, frontend_dir=folder) as client:
        yield client


@pytest.mark.parametrize(
    "path",
    ["/", "/index.html", "/shows", "/shows/SHOW%201/cameras", "/shows/x/", "/apis", "/healthy"],
)
def test_every_page_is_the_index(built: httpx.Client, path: str) -> None:
    for accept in (PAGE, {}):
        answer = built.get(path, headers=accept)
        assert (answer.status_code, answer.text) == (200, INDEX)
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["cache-control"] == "private, no-cache"
        tag = answer.headers["etag"]
        again = built.get(path, headers={**accept, "if-none-match": tag})
        assert (again.status_code, again.content) == (304, b"")


def test_a_label_with_a_dot_is_a_page_and_a_missing_script_is_not(built: httpx.Client) -> None:
    assert built.get("/shows/v1.5", headers=PAGE).text == INDEX
    for path in ("/assets/gone-12345abc.js", "/logo.png"):
        answer = built.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


def test_a_page_may_run_what_it_was_built_with(built: httpx.Client) -> None:
    [policy] = built.get("/shows").headers.get_list("content-security-policy")
    assert "script-src 'self' 'sha256-" in policy
    assert policy.count("sha256-") == 1
    assert "unsafe" not in policy
    assert "connect-src 'self'" in policy
    assert built.get("/shows").headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "kind", "for_ever"),
    [("/assets/index-DiwrgT4a.js", "text/javascript; charset=utf-8", True),
     ("/assets/main.3f2a1b9c.css", "text/css; charset=utf-8", True),
     ("/logo.svg", "image/svg+xml", False),
     ("/my-component.js", "text/javascript; charset=utf-8", False),
     ("/.well-known/x.txt", "text/plain; charset=utf-8", False)],
)  # fmt: skip
def test_what_is_named_by_its_content_is_kept_for_ever(
    built: httpx.Client, path: str, kind: str, for_ever: bool
) -> None:
    answer = built.get(path)
    assert (answer.status_code, answer.text) == (200, FILES[path[1:]])
    assert answer.headers["content-type"] == kind
    assert ("immutable" in answer.headers["cache-control"]) is for_ever
    head = built.head(path)
    assert (head.status_code, head.headers["etag"]) == (200, answer.headers["etag"])


def test_what_is_long_goes_out_compressed(built: httpx.Client) -> None:
    path = "/assets/index-DiwrgT4a.js"
    with built.stream("GET", path, headers={"accept-encoding": "gzip"}) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        assert gzip.decompress(b"".join(answer.iter_raw())).decode() == SCRIPT
    plain = built.get(path, headers={"accept-encoding": "identity"})
    assert ("content-encoding" in plain.headers, plain.text) == (False, SCRIPT)
    assert "Accept-Encoding" in plain.headers["vary"]


@pytest.mark.parametrize(
    "path",
    ["/.env", "/.git/config", "/link.txt", "/up/secret.txt", "/up", "/../secret.txt",
     "/%2e%2e/secret.txt", "/assets/..%2f..%2fsecret.txt", "/..%5csecret.txt", "//secret.txt",
     "/%00", "/index.html%00.js", "/etc/passwd", "/./../secret.txt"],
)  # fmt: skip
def test_nothing_outside_is_served(built: httpx.Client, path: str) -> None:
    """As it stands: a client would tidy the path up."""
    url = httpx.URL(f"{str(built.base_url).rstrip('/')}/").copy_with(raw_path=path.encode())
    answer = built.request("GET", url)
    assert answer.status_code in {200, 404}
    assert SECRET not in answer.text
    assert answer.status_code == 404 or answer.text == INDEX


@pytest.mark.parametrize(
    "path",
    ["/api/cameras", "/api/nothing", "/api", "/health", "/docs", "/socket.io", "/socket.io/"],
)
def test_the_services_own_paths_stay_its_own(built: httpx.Client, path: str) -> None:
    answer = built.get(path, headers=PAGE)
    assert SECRET not in answer.text
    assert INDEX not in answer.text
    assert built.post("/shows").status_code == 404
    assert built.delete("/api/productions").status_code == 405


def test_a_folder_without_an_index_stops_the_start(tmp_path: Path) -> None:
    async def otherwise(*_: object) -> None:
        raise AssertionError

    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(BadSettings, match=r"FRONTEND_DIR=.* holds no index.html"):
            Frontend(folder, otherwise)

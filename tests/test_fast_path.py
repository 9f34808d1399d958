"""The fast path changes no answer: without it the application says the same, byte for byte.

In this module ``client`` asks an application whose fast path was taken out. Part of the contract's
tests run against it, and odd requests are compared with the answers of the application as it is.
"""

import re
from collections.abc import Iterator
from typing import Any, Final, cast
from uuid import uuid4

import httpx
import pytest

from app.api.fast_path import FastPath
from app.database.url import DatabaseUrl
from app.main import create_app
from app.model.entity import Row
from tests.support.bodies import ALL, SCOPED, SOME_UUID, minimal, named
from tests.support.service import ServiceClient, running, service, settings
from tests.test_create import (  # noqa: F401  # run here once more
    test_every_member_comes_back_as_it_was_sent,
    test_the_client_may_bring_the_uuid_once,
    test_unknown_members_are_ignored_and_named,
)
from tests.test_etags import (  # noqa: F401  # run again here
    test_one_row_is_confirmed_until_it_changes,
)
from tests.test_hostile_input import test_missing_members_are_named  # noqa: F401  # run again here
from tests.test_preconditions import (  # noqa: F401  # run again here
    test_a_write_to_another_state_is_refused_and_changes_nothing,
)
from tests.test_read import *  # noqa: F403  # run again here
from tests.test_show_endpoint import (  # noqa: F401  # run again here
    test_an_unchanged_show_is_confirmed_and_a_changed_one_is_sent,
    test_its_bytes_are_those_of_the_lists,
)

every = pytest.mark.parametrize("entity", ALL, ids=named)
JSON: Final = {"content-type": "application/json"}
KEYS: Final = [
    "NO SUCH ROW", SOME_UUID, "%00", "%F0%9F%8E%A5", "a%2Fb", "a%3Fb", "%0A", "x%0A", "show",
    "production", "x" * 3_000,
]  # fmt: skip
BODIES: Final = [
    b"", b"{", b"null", b"[]", b"{}", b'"text"', b'{"name": NaN}', b'{"id": "\\ud800"}', b"\xff",
    b'{"version": "x", "id": 1, "uuid": []}', b"[" * 100_000, b'{"id": "' + b"x" * 5_000_000,
]  # fmt: skip
TYPES: Final = ["", "text/plain", "text/json", "application/x+json", "APPLICATION/JSON;a=b", "json"]
_DIFFERS: Final = {"date", "x-request-id"}
_OWN: Final = re.compile(rb"\d{4}-\d\d-\d\dT[\d:.]+Z|LABEL +\d")


@pytest.fixture(scope="module")
def fast(shared_database: str) -> Iterator[ServiceClient]:
    with service(shared_database) as client:
        yield client


@pytest.fixture(scope="module")
def client(shared_database: str) -> Iterator[ServiceClient]:
    app = create_app(settings(), DatabaseUrl.parse(shared_database))
    layers = app.user_middleware
    app.user_middleware = [layer for layer in layers if cast("object", layer.cls) is not FastPath]
    assert len(app.user_middleware) == len(layers) - 1
    with running(app) as root, ServiceClient(base_url=root, timeout=30) as made:
        made.service_app = app
        yield made


def same(
    fast: httpx.Client, client: httpx.Client, method: str, path: str, **sent: Any
) -> httpx.Response:
    """Send a request to both. Assert that the answers are the same, and return one."""
    answers = [one.request(method, path, **sent) for one in (fast, client)]
    statuses = [answer.status_code for answer in answers]
    headers = [[h for h in answer.headers.raw if h[0].decode().lower() not in _DIFFERS]
               for answer in answers]  # fmt: skip
    assert statuses[0] == statuses[1], (method, path)
    assert headers[0] == headers[1], (method, path)
    assert answers[0].content == answers[1].content, (method, path)
    return answers[0]


@every
def test_every_read_is_answered_the_same(
    fast: httpx.Client, client: httpx.Client, make: Any, production: Any, entity: type[Row]
) -> None:
    # Other shows may have rows of the label that the service would give.
    own = {**minimal(entity), "id": f"READ {uuid4()}"}
    row = make(entity.collection, **own) if entity in SCOPED else production
    root = f"/api/{entity.collection}"
    listed = f"{root}/production/{production['uuid']}" if entity in SCOPED else root
    for path in (listed, f"{root}/{row['uuid']}", f"{root}/{row['id']}", f"{listed}%0A"):
        answer = same(fast, client, "GET", path)
        for tag in (answer.headers.get("etag", ""), '"other"', "*", 'W/"x", "y"'):
            same(fast, client, "GET", path, headers={"if-none-match": tag})
        same(fast, client, "GET", path, headers={"accept-encoding": "identity"})
        same(fast, client, "GET", path, headers=JSON, content=b"{")
        same(fast, client, "GET", f"{path}?collections=x&key=y")
        for method in ("HEAD", "OPTIONS", "POST", "TRACE"):
            same(fast, client, method, f"{path}/")
        same(fast, client, "HEAD", path)
    assert same(fast, client, "GET", f"{root}/{row['uuid']}").json()["uuid"] == row["uuid"]
    for key in KEYS:
        for path in (f"{root}/{key}", f"{root}/production/{key}", f"{root}/{key}/show"):
            same(fast, client, "GET", path)


@every
def test_every_refused_write_is_answered_the_same(
    fast: httpx.Client, client: httpx.Client, make: Any, production: Any, entity: type[Row]
) -> None:
    row = make(entity.collection, **minimal(entity)) if entity in SCOPED else production
    root = f"/api/{entity.collection}"
    for method, path in (("POST", root), ("PATCH", f"{root}/x"), ("PUT", f"{root}/x%0A")):
        for content in BODIES:
            answer = same(fast, client, method, path, content=content, headers=JSON)
            assert answer.status_code in {400, 404, 413, 422}
        for declared in TYPES:
            headers = {"content-type": declared} if declared else {}
            same(fast, client, method, path, content=b'{"version": "x"}', headers=headers)
            same(fast, client, method, path, headers=headers)
    for key in KEYS:
        same(fast, client, "PATCH", f"{root}/{key}", json={})
        same(fast, client, "DELETE", f"{root}/{key}", json={})
    stale = {"if-match": '"another"'}
    answer = same(fast, client, "PUT", f"{root}/{row['uuid']}", json={"version": 1}, headers=stale)
    assert answer.status_code == 412
    answer = same(fast, client, "POST", root, json={}, headers={"idempotency-key": "a b"})
    assert answer.status_code == 422
    same(fast, client, "POST", "/api/no-such-things", json={})


@pytest.mark.parametrize("entity", [e for e in ALL if not e.unique], ids=named)
def test_every_accepted_write_is_answered_the_same(
    fast: httpx.Client, client: httpx.Client, production: Any, entity: type[Row]
) -> None:
    root, answers = f"/api/{entity.collection}", []
    scope = {"productionId": production["id"]} if entity in SCOPED else {}
    for number, one in enumerate((fast, client)):
        body = {**scope, **minimal(entity), "id": f"LABEL {number}", "unknown": 1}
        made = one.post(root, json=body)
        path = f"{root}/{made.json()['uuid']}"
        version = {"version": 1} if entity.version_required else {}
        changed = one.patch(path, json={**version, "id": f"LABEL {number} B", "other": {}})
        match = {"if-match": changed.headers["etag"]}
        again = one.put(path, json={"version": 2}, headers={**match, "content-type": "text/json"})
        answers.append([normalised(answer, made.json()["uuid"])
                        for answer in (made, changed, again)])  # fmt: skip
    assert answers[0] == answers[1]
    assert [status for status, _, _ in answers[0]] == [201, 200, 200]


def normalised(answer: httpx.Response, uuid: str) -> tuple[int, Any, bytes]:
    """Return an answer without what two rows cannot have in common."""
    differing = {*_DIFFERS, "etag"}
    headers = [(k, v) for k, v in answer.headers.multi_items() if k not in differing]
    content = _OWN.sub(b"", answer.content.replace(uuid.encode(), b""))
    return answer.status_code, (headers, "etag" in answer.headers), content


def test_shows_are_answered_the_same(
    fast: httpx.Client, client: httpx.Client, production: dict[str, Any]
) -> None:
    root = f"/api/productions/{production['uuid']}/show"
    tag = same(fast, client, "GET", root).headers["etag"]
    assert same(fast, client, "GET", root, headers={"if-none-match": tag}).status_code == 304
    for path in (f"{root}%0A", f"{root}/", f"{root}?collections=cameras,ccus",
                 f"{root}?collections=no,such", f"/api/productions/{production['id']}/show",
                 "/api/productions/show/show", "/api/productions/show", "/api/productions//show",
                 "/api/productions%2Fx/show", "/api/cameras/x/show"):  # fmt: skip
        for method in ("GET", "HEAD", "PATCH", "POST"):
            same(fast, client, method, path)
    for key in KEYS:
        same(fast, client, "GET", f"/api/productions/{key}/show")

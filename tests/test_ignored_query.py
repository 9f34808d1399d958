"""A parameter of the query that a route does not know is named in ``X-Ignored-Fields``."""

import re
from typing import Any, Final

import httpx
import pytest

from app.model.entity import Row
from tests.support.bodies import ALL, SCOPED, SOME_UUID, minimal, named
from tests.support.service import ServiceClient

every = pytest.mark.parametrize("entity", ALL, ids=named)
IGNORED: Final = "x-ignored-fields"


@every
def test_reads_and_writes_name_it_and_answer_as_without(
    client: httpx.Client, make: Any, production: Any, entity: type[Row]
) -> None:
    row = make(entity.collection, **minimal(entity)) if entity in SCOPED else production
    root = f"/api/{entity.collection}"
    listed = f"{root}/production/{production['uuid']}" if entity in SCOPED else root
    for path in (listed, f"{root}/{row['uuid']}", f"{root}/{SOME_UUID}"):
        plain, named_too = (
            client.get(path),
            client.get(f"{path}?page=2&sort=&%F0%9F%8E%A5=1&page=3"),
        )
        assert (named_too.status_code, named_too.headers.get("etag")) == (
            plain.status_code, plain.headers.get("etag"),
        )  # fmt: skip
        assert named_too.headers[IGNORED] == "page, sort, %F0%9F%8E%A5"
        assert IGNORED not in plain.headers
        if tag := plain.headers.get("etag"):
            kept = client.get(f"{path}?page=2", headers={"if-none-match": tag})
            assert (kept.status_code, kept.headers[IGNORED]) == (304, "page")
        assert client.head(f"{path}?page=2").headers[IGNORED] == "page"
    version = {"version": row["version"]}
    both = client.patch(f"{root}/{row['uuid']}?a=1&mine=2", json={**version, "mine": 1, "b": 2})
    assert (both.status_code, both.headers[IGNORED]) == (200, "mine, b, a")
    gone = client.delete(f"{root}/{row['uuid']}?userId=anna&userName=Anna&userid=x&force=1")
    assert (gone.status_code, gone.headers[IGNORED]) == (200, "userid, force")


def test_every_documented_parameter_is_known_and_no_other(client: ServiceClient) -> None:
    """Ask each operation with all that its document has, and one more."""
    document = client.service_app.openapi()
    some = {"run": "1", "milliseconds": "0", "digest": "f" * 64}
    for path, operations in document["paths"].items():
        address = re.sub(r"\{(\w+)\}", lambda found: some.get(found[1], SOME_UUID), path)
        for method, operation in operations.items():
            known = [each["name"] for each in operation.get("parameters", ())
                     if each["in"] == "query"]  # fmt: skip
            query = "&".join([*known, "Limit=1", "limit%20=2"])
            answer = client.request(method, f"{address}?{query}")
            assert answer.headers[IGNORED] == "Limit, limit%20", (method, path)


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/", "x"), ("/health", "x"), ("/livez", "x"), ("/api/health", "x"), ("/docs", "x"),
        ("/openapi.json", "x"), ("/api/server/info", "x"),
        ("/api/productions", "x"), (f"/api/productions/{SOME_UUID}/show", "x"),
        (f"/api/productions/{SOME_UUID}/changes/stream", "x"), ("/api/nothing", None),
        ("/static-offline-docs/swagger-ui.css", "x"),
    ],
)  # fmt: skip
def test_pages_and_health_name_it_too(client: httpx.Client, path: str, names: str | None) -> None:
    answer = client.get(f"{path}?x", follow_redirects=False)
    assert answer.headers.get(IGNORED) == names


def test_odd_queries_are_named_as_far_as_they_have_names(client: httpx.Client) -> None:
    for query, names in (
        ("", None), ("&&", None), ("=1", None), ("a", "a"), ("a=b=c", "a"), ("%00", "%00"),
        ("a%2Cb=1", "a%2Cb"), ("%FF", "%EF%BF%BD"), ("a;b=1", "a%3Bb"), ("+=1", "%20"),
        ("&".join(f"n{number}" for number in range(200)), ", ".join(f"n{n}" for n in range(50))),
    ):  # fmt: skip
        answer = client.get(f"/api/productions?{query}")
        assert (answer.status_code, answer.headers.get(IGNORED)) == (200, names), query
    long = client.get("/api/productions?" + "&".join(f"{n}" * 99 for n in range(40)))
    assert len(long.headers[IGNORED]) <= 2_003


def test_a_replayed_post_names_its_own_query(
    client: httpx.Client, production: dict[str, Any]
) -> None:
    body = {"productionId": production["id"], "name": "x", "mine": 1}
    sent: Any = {"headers": {"idempotency-key": f"query-{production['uuid']}"}, "json": body}
    first, again = (client.post("/api/cameras?dry=1", **sent) for _ in range(2))
    assert first.headers[IGNORED] == again.headers[IGNORED] == "mine, dry"
    assert again.headers["idempotency-replayed"] == "true"

"""Idempotency-Key: a POST is done once, whatever dies, and its first answer is given again."""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import uuid4

import asyncpg
import httpx
import pytest

from app.api import idempotent as once_route
from app.api.routes import entities
from app.database.database import Database
from app.database.pool import WriteRace
from app.errors import Busy, DatabaseAway, Invalid
from app.model.entity import Row
from app.retention import Retention
from app.store import idempotency
from app.store.idempotency import KeptAnswer, key_of, once
from app.store.write_context import WriteContext
from app.store.writer import Writer
from tests.legacy import connected
from tests.support import databases
from tests.support.bodies import REPRESENTATIVES, SCOPED_REPRESENTATIVES, minimal, named
from tests.support.documents import DOCUMENT
from tests.support.ledgers import opened as ledger_opened
from tests.support.ledgers import plan, proposed
from tests.support.posts import OF_EACH_KIND, POSTS, Post
from tests.support.service import created, service
from tests.test_writer import opened

Made = dict[str, Any]
every = pytest.mark.parametrize("post", POSTS, ids=str)
representative = pytest.mark.parametrize(
    "post", [post for post in POSTS if post.entity in REPRESENTATIVES], ids=str
)
each_kind = pytest.mark.parametrize("post", OF_EACH_KIND, ids=str)
scoped = pytest.mark.parametrize("entity", SCOPED_REPRESENTATIVES, ids=named)
STORED: Final = "SELECT count(*) FROM idempotency_keys"
LOGGED: Final = "SELECT count(*) FROM changes"
# Of the statements that wait for a lock: who runs them, for whom they wait, and what they are.
WAITING: Final = (
    "SELECT json_build_array(pid, pg_blocking_pids(pid), query)::text FROM pg_stat_activity "
    "WHERE datname = current_database() AND wait_event_type = 'Lock' ORDER BY query_start"
)
AGE: Final = "UPDATE idempotency_keys SET at = at - interval '1 hour' * $2 WHERE key = $1"


@pytest.fixture(scope="module")
def other(shared_database: str) -> Iterator[httpx.Client]:
    """Another process's service of the same database."""
    with service(shared_database) as made:
        yield made


@pytest.fixture
def key() -> str:
    return f"key-{uuid4()}"


def send(client: httpx.Client, path: str, body: Any, key: str) -> httpx.Response:
    return client.post(path, json=body, headers={"idempotency-key": key})


def is_replayed(answer: httpx.Response) -> bool:
    return "idempotency-replayed" in answer.headers


def same(one: httpx.Response, two: httpx.Response) -> bool:
    """Return whether two answers are the same, byte for byte, save for what makes each its own."""
    own = {"date", "x-request-id", "idempotency-replayed"}
    headers = [{k: v for k, v in a.headers.items() if k not in own} for a in (one, two)]
    return (one.status_code, one.content, headers[0]) == (two.status_code, two.content, headers[1])


async def number(url: str, sql: str, *args: object) -> int:
    [found] = await databases.column(url, sql, *args)
    return int(str(found))


async def stored(url: str, key: str) -> int:
    return await number(url, f"{STORED} WHERE key = $1 AND status IS NOT NULL", key)


# What is given again


@every
async def test_a_post_that_comes_again_gets_its_first_answer_and_does_nothing(
    client: httpx.Client, other: httpx.Client, production: Made, shared_database: str, key: str,
    post: Post,
) -> None:  # fmt: skip
    path, body = post.ready(client, production)
    before = await number(shared_database, LOGGED)
    first = send(client, path, body, key)
    assert first.status_code in {200, 201}, first.text
    done = await number(shared_database, LOGGED)
    assert done - before == post.writes
    for again in (client, other, client):
        answer = send(again, path, body, key)
        assert same(answer, first)
        assert answer.headers["idempotency-replayed"] == "true"
    assert not is_replayed(first)
    assert await number(shared_database, LOGGED) == done
    assert first.headers["x-ignored-fields"] == "hint"
    assert ("etag" in first.headers) == (post.kind == "create")


@pytest.mark.parametrize(
    "post",
    [post for post in POSTS if post.entity in REPRESENTATIVES and not post.entity.unique],
    ids=str,
)
async def test_without_a_key_nothing_is_noted_and_each_post_counts(
    client: httpx.Client, production: Made, shared_database: str, post: Post
) -> None:
    path, body = post.ready(client, production)
    before = await number(shared_database, STORED)
    answers = [client.post(path, json=body).raise_for_status() for _ in range(2)]
    assert not any(map(is_replayed, answers))
    assert await number(shared_database, STORED) == before
    if post.kind == "create":
        assert answers[0].json()["uuid"] != answers[1].json()["uuid"]


@each_kind
def test_with_a_key_the_answer_is_the_one_without(
    client: httpx.Client, production: Made, key: str, post: Post
) -> None:
    """Save for what differs from row to row."""
    shown = []
    for headers in ({}, {"idempotency-key": key}):
        path, body = post.ready(client, production)
        answer = client.post(path, json=body, headers=headers)
        shown.append((answer.status_code, sorted(answer.json()), sorted(answer.headers)))
    assert shown[0] == shown[1]


def test_a_long_answer_is_given_again(client: httpx.Client, production: Made, key: str) -> None:
    create = {"op": "create", "data": {"name": "x" * 200}}
    path = f"/api/productions/{production['uuid']}/cameras/bulk"
    first = send(client, path, {"operations": [create] * 300}, key)
    assert len(first.json()["results"]) == 300
    again = send(client, path, {"operations": [create] * 300}, key)
    assert same(again, first)
    assert is_replayed(again)


@pytest.mark.parametrize("change", ["body", "spelling", "path", "query"])
def test_the_same_key_with_another_request_is_refused(
    client: httpx.Client, production: Made, key: str, change: str
) -> None:
    path, body = "/api/sources", {"name": "x", "type": "y", "productionId": production["id"]}
    first = send(client, path, body, key).raise_for_status()
    sent = json.dumps(body)
    content = {"body": sent.replace("x", "z"), "spelling": sent + " "}.get(change, sent)
    where = {"path": "/api/computers", "query": f"{path}?a=1"}.get(change, path)
    headers = {"idempotency-key": key, "content-type": "application/json"}
    answer = client.post(where, content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert "make a new one" in answer.json()["message"]
    assert not is_replayed(answer)
    listed = client.get(f"/api/sources/production/{production['uuid']}").json()
    assert listed == [first.json()]
    assert is_replayed(send(client, path, body, key))


@scoped
async def test_a_refusal_is_given_again_although_its_cause_is_gone(
    client: httpx.Client, production: Made, make: Any, shared_database: str, key: str,
    entity: type[Row],
) -> None:  # fmt: skip
    path, show = f"/api/{entity.collection}", {"productionId": "NOT YET"}
    body = minimal(entity) | show
    first = send(client, path, body, key)
    assert (first.status_code, first.json()["code"]) == (400, "PRODUCTION_NOT_FOUND")
    made = created(client, "productions", name="Late", id="NOT YET")
    logged = await number(shared_database, LOGGED)
    again = send(client, path, body, key)
    assert same(again, first)
    assert is_replayed(again)
    assert await number(shared_database, LOGGED) == logged
    assert client.post(path, json=body).status_code == 201
    client.delete(f"/api/productions/{made['uuid']}").raise_for_status()


def _taken(client: httpx.Client, make: Any, show: Made) -> tuple[str, Any, Callable[[], Any]]:
    row = make("cameras", name="x", id="TAKEN")
    body = {"name": "x", "id": "TAKEN", "productionId": show["uuid"]}
    return "/api/cameras", body, lambda: client.delete(f"/api/cameras/{row['uuid']}")


def _no_row(client: httpx.Client, make: Any, _: Made) -> tuple[str, Any, Callable[[], Any]]:
    uuid = str(uuid4())
    path = f"/api/cameras/{uuid}/restore"
    return path, {"version": 1}, lambda: make("cameras", name="x", uuid=uuid)


def _bulk(client: httpx.Client, make: Any, show: Made) -> tuple[str, Any, Callable[[], Any]]:
    make("cameras", name="x", id="A")
    good = {"op": "update", "key": "A", "data": {"note": "Never"}}
    late = {"op": "update", "key": "LATE", "data": {"note": "Never"}}
    path = f"/api/productions/{show['uuid']}/cameras/bulk"
    return path, {"operations": [good, late]}, lambda: make("cameras", name="x", id="LATE")


def _reference(client: httpx.Client, make: Any, show: Made) -> tuple[str, Any, Callable[[], Any]]:
    body = {"name": "x", "ccuId": "CCU LATE", "productionId": show["uuid"]}
    return "/api/cameras", body, lambda: make("ccus", name="x", id="CCU LATE")


def _renumber(client: httpx.Client, make: Any, show: Made) -> tuple[str, Any, Callable[[], Any]]:
    path = f"/api/productions/{show['uuid']}/cameras/renumber"
    return path, {"order": ["LATE"]}, lambda: make("cameras", name="x", id="LATE")


@pytest.mark.parametrize(
    ("prepare", "status", "code"),
    [(_taken, 409, "DUPLICATE_ID"), (_no_row, 404, "NOT_FOUND"), (_bulk, 409, "BULK_FAILED"),
     (_reference, 422, "INVALID"), (_renumber, 422, "INVALID")],
)  # fmt: skip
def test_each_kind_of_refusal_is_given_again(
    client: httpx.Client, production: Made, make: Any, key: str, prepare: Any, status: int,
    code: str,
) -> None:  # fmt: skip
    path, body, remove_the_cause = prepare(client, make, production)
    first = send(client, path, body, key)
    assert (first.status_code, first.json()["code"]) == (status, code)
    assert first.headers["content-type"] == "application/problem+json"
    remove_the_cause()
    again = send(client, path, body, key)
    assert same(again, first)
    assert is_replayed(again)
    assert send(client, path, body, f"{key}-new").status_code < 300
    rows = client.get(f"/api/cameras/production/{production['uuid']}").json()
    assert not [row for row in rows if row["note"] == "Never" and path.endswith("cameras")]


@scoped
async def test_what_the_database_itself_refuses_is_given_again(
    client: httpx.Client, make: Any, production: Made, shared_database: str, key: str,
    entity: type[Row],
) -> None:  # fmt: skip
    """A statement that failed must spoil no more than the savepoint."""
    uuid = make(entity.collection, **minimal(entity))["uuid"]
    body = minimal(entity, productionId=production["id"], uuid=uuid)
    first = send(client, f"/api/{entity.collection}", body, key)
    assert (first.status_code, first.json()["code"]) == (409, "DUPLICATE_UUID")
    assert await stored(shared_database, key)
    again = send(client, f"/api/{entity.collection}", body, key)
    assert same(again, first)
    assert is_replayed(again)


async def test_a_refused_write_uses_no_number_and_leaves_no_row(
    client: httpx.Client, production: Made, make: Any, shared_database: str, key: str
) -> None:
    """Operations before the one that is refused were done in the transaction that is committed."""
    path, body, _ = _bulk(client, make, production)
    counted = "SELECT change_seq FROM productions WHERE uuid = $1"
    before = await number(shared_database, counted, production["uuid"])
    assert send(client, path, body, key).status_code == 409
    assert await number(shared_database, counted, production["uuid"]) == before
    [row] = client.get(f"/api/cameras/production/{production['uuid']}").json()
    assert (row["note"], row["version"]) == (None, 1)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"name": 1}'])
async def test_what_is_not_valid_is_not_noted(
    client: httpx.Client, shared_database: str, key: str, content: bytes
) -> None:
    headers = {"idempotency-key": key, "content-type": "application/json"}
    answers = [client.post("/api/cameras", content=content, headers=headers) for _ in range(2)]
    assert same(*answers)
    assert answers[0].status_code in {400, 422}
    assert not await stored(shared_database, key)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_other_methods_ignore_it(
    client: httpx.Client, make: Any, shared_database: str, method: str
) -> None:
    path = f"/api/cameras/{make('cameras', name='x')['uuid']}"
    before = await number(shared_database, STORED)
    for note in ("a", "b") if method != "DELETE" else ("a",):
        body = {"note": note} if method != "DELETE" else None
        answer = client.request(method, path, json=body, headers={"idempotency-key": "not a key"})
        assert answer.status_code == 200
        assert not is_replayed(answer)
    assert await number(shared_database, STORED) == before


async def test_a_decision_is_made_once(own_database: str, key: str) -> None:
    path = f"/api/admin/releases/plans/{plan().digest}/decisions"
    body = {"decision": "approve", "who": "anna", "why": "rehearsed and read"}
    with service(own_database) as client:
        async with ledger_opened(own_database) as ledger:
            await proposed(ledger, plan())
            first = send(client, path, body, key)
            assert first.status_code == 201, first.text
            await ledger.plan_is(plan().digest, "applied")
            again = send(client, path, body, key)
            assert same(again, first)
            assert is_replayed(again)
            assert first.headers["cache-control"] == "no-store"
            refused = send(client, path, body, f"{key}-new")
            assert refused.json()["code"] == "PLAN_CLOSED"
            assert len(await ledger.fetch_rows("SELECT * FROM release_decisions")) == 1


def test_every_post_documents_it_and_takes_it() -> None:
    found = {
        path: {p["name"]: p for p in methods["post"].get("parameters", [])}
        for path, methods in DOCUMENT["paths"].items()
        # A ticket that is lost is asked for again, and none is stored.
        if "post" in methods and path != "/api/access/tickets"
    }
    assert len(found) > len(POSTS) // 2
    for path, parameters in found.items():
        assert parameters["Idempotency-Key"] == once_route.IDEMPOTENCY_KEY, path


def test_a_page_of_another_origin_may_read_whether_it_is_replayed(client: httpx.Client) -> None:
    answer = client.get("/api/productions", headers={"origin": "https://a.example"})
    assert "idempotency-replayed" in answer.headers["access-control-expose-headers"]


# Keys

BAD: Final = [
    [b""], [b" "], [b"a b"], [b"x" * 256], ["é".encode()], ["é".encode("latin-1")], [b"a\tb"],
    [b"\x7f"], [b"a\x00b"], [b'"'], [b'""'], [b'"a'], [b'"a"b'], [b'"a b"'], [b'"a\\x"'],
    [b'"\\"'], [b'"' + b"x" * 256 + b'"'], [b'"a";p=1'], [b"a", b"b"], [b"a", b"a"],
    ["🎥".encode()],
]  # fmt: skip


@pytest.mark.parametrize("values", BAD, ids=str)
def test_what_is_no_key_is_refused(values: list[bytes]) -> None:
    with pytest.raises(Invalid) as refused:
        key_of(values)
    assert refused.value.members["errors"][0]["path"] == "Idempotency-Key"


@pytest.mark.parametrize("values", [v for v in BAD if v[0] not in {b" ", b"a\x00b"}], ids=str)
async def test_a_request_with_such_a_key_does_nothing(
    client: httpx.Client, shared_database: str, production: Made, values: list[bytes]
) -> None:
    before = await number(shared_database, LOGGED)
    body = {"name": "x", "productionId": production["id"]}
    headers = [(b"idempotency-key", value) for value in values]
    answer = client.post("/api/cameras", json=body, headers=headers)
    # The HTTP library takes what is no text at all for a broken request.
    assert answer.status_code in {400, 422}
    if answer.status_code == 422:
        assert answer.json()["errors"][0]["path"] == "Idempotency-Key"
    assert await number(shared_database, LOGGED) == before


@pytest.mark.parametrize(
    ("said", "meant"),
    [(b"a", "a"), (b'"a"', "a"), (b"x" * 255, "x" * 255), (b'"a\\"b\\\\c"', 'a"b\\c'),
     (b'a"b', 'a"b'), (b"a,b", "a,b"), (b"';DROP(x)--", None), (b"%s%n{0}$1\\", None),
     (b'"' + b"x" * 255 + b'"', "x" * 255)],
)  # fmt: skip
def test_quotes_are_no_part_of_a_key(said: bytes, meant: str | None) -> None:
    assert key_of([said]) == (meant or said.decode())


def test_a_key_in_quotes_is_the_key_without(
    client: httpx.Client, production: Made, key: str
) -> None:
    body = {"name": "x", "productionId": production["id"]}
    first = send(client, "/api/cameras", body, key)
    assert is_replayed(send(client, "/api/cameras", body, f'"{key}"'))
    assert not is_replayed(first)


# Crashes, and those who wait


@asynccontextmanager
async def halted(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Let every write of this database wait before it is logged, until the block ends."""
    async with connected(url) as connection, connection.transaction():
        await connection.execute("LOCK TABLE changes IN EXCLUSIVE MODE")
        yield connection


async def waiting(connection: asyncpg.Connection, *, claims: bool = False) -> tuple[int, list[int]]:
    """Wait until a statement waits for a lock; return who runs it, and for whom it waits.

    It is one that ``claims`` a key, or another one. Raises TimeoutError.
    """
    async with asyncio.timeout(60):
        while True:
            # A transaction sees what it saw at its first look, unless it is told to look again.
            await connection.execute("SELECT pg_stat_clear_snapshot()")
            for row in await connection.fetch(WAITING):
                pid, blockers, query = json.loads(row[0])
                if claims == (query == idempotency.CLAIM):
                    return pid, blockers


def posted(client: httpx.Client, path: str, body: Any, key: str) -> asyncio.Task[httpx.Response]:
    return asyncio.create_task(asyncio.to_thread(send, client, path, body, key))


@pytest.mark.parametrize("fate", ["commits", "rolls back"])
@representative
async def test_a_second_of_another_process_waits_for_what_becomes_of_the_first(
    client: httpx.Client, other: httpx.Client, production: Made, shared_database: str, key: str,
    post: Post, fate: str,
) -> None:  # fmt: skip
    path, body = post.ready(client, production)
    before = await number(shared_database, LOGGED)
    async with halted(shared_database) as held:
        first = posted(client, path, body, key)
        writing, blockers = await waiting(held)
        assert blockers == [held.get_server_pid()]
        second = posted(other, path, body, key)
        claiming, blockers = await waiting(held, claims=True)
        assert blockers == [writing]
        if fate == "rolls back":
            await held.execute("SELECT pg_terminate_backend($1)", writing)
            assert (await first).json()["code"] == "DATABASE_AWAY"
            assert await waiting(held) == (claiming, [held.get_server_pid()])
        assert not second.done()
    answers = [await first, await second]
    done = await number(shared_database, LOGGED) - before
    assert done == post.writes
    assert answers[1].status_code in {200, 201}
    assert is_replayed(answers[1]) == (fate == "commits")
    if fate == "commits":
        assert same(*answers)
    assert same(send(client, path, body, key), answers[1])


@representative
async def test_killed_before_the_commit_nothing_happened(
    client: httpx.Client, production: Made, shared_database: str, key: str, post: Post
) -> None:
    path, body = post.ready(client, production)
    before = await number(shared_database, LOGGED)
    async with halted(shared_database) as held:
        first = posted(client, path, body, key)
        writing, _ = await waiting(held)
        await held.execute("SELECT pg_terminate_backend($1)", writing)
        answer = await first
    assert (answer.status_code, answer.json()["code"]) == (503, "DATABASE_AWAY")
    assert int(answer.headers["retry-after"]) > 0
    assert await number(shared_database, LOGGED) == before
    assert await number(shared_database, f"{STORED} WHERE key = $1", key) == 0
    again = send(client, path, body, key)
    assert again.status_code in {200, 201}
    assert not is_replayed(again)
    assert same(send(client, path, body, key), again)


async def test_killed_in_the_commit_nothing_happened(own_database: str, key: str) -> None:
    """The last moment that is before it: when what was deferred is checked."""
    await databases.execute(
        own_database,
        "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$; "
        "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON changes DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION die()",
    )
    with service(own_database) as client:
        answer = send(client, "/api/productions", {"name": "x"}, key)
        assert (answer.status_code, answer.json()["code"]) == (503, "DATABASE_AWAY")
        await databases.execute(own_database, "DROP TRIGGER late ON changes")
        again = send(client, "/api/productions", {"name": "x"}, key)
        assert again.status_code == 201
        assert client.get("/api/productions").json() == [again.json()]


@each_kind
async def test_a_client_that_is_gone_before_the_answer_finds_it_later(
    client: httpx.Client, production: Made, shared_database: str, key: str, post: Post
) -> None:
    path, body = post.ready(client, production)
    before = await number(shared_database, LOGGED)
    content = client.build_request("POST", path, json=body).read()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Idempotency-Key: {key}\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    async with halted(shared_database) as held:
        with socket.create_connection(("127.0.0.1", client.base_url.port or 0)) as line:
            line.sendall(head.encode() + content)
            await waiting(held)
    async with asyncio.timeout(60):
        while not await stored(shared_database, key):  # noqa: ASYNC110  # nobody is told
            await asyncio.sleep(0.01)
    done = await number(shared_database, LOGGED)
    answer = send(client, path, body, key)
    assert answer.status_code in {200, 201}
    assert is_replayed(answer)
    assert await number(shared_database, LOGGED) == done > before


@each_kind
async def test_a_commit_whose_answer_is_lost_is_found_later(
    client: httpx.Client, production: Made, shared_database: str, key: str, post: Post,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    path, body = post.ready(client, production)
    whole = Database.transaction

    @asynccontextmanager
    async def torn(it: Database) -> AsyncIterator[Any]:
        async with whole(it) as connection:
            yield connection
        raise DatabaseAway("The line went dead after the COMMIT.")

    with monkeypatch.context() as patch:
        patch.setattr(Database, "transaction", torn)
        assert send(client, path, body, key).status_code == 503
    done = await number(shared_database, LOGGED)
    answer = send(client, path, body, key)
    assert answer.status_code in {200, 201}
    assert is_replayed(answer)
    assert await number(shared_database, LOGGED) == done


def test_a_service_that_fails_after_the_commit_has_done_it(
    client: httpx.Client, production: Made, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"name": "x", "productionId": production["id"]}
    with monkeypatch.context() as patch:
        patch.setattr(once_route, "Response", None)
        assert send(client, "/api/cameras", body, key).status_code == 500
    answer = send(client, "/api/cameras", body, key)
    assert is_replayed(answer)
    listed = client.get(f"/api/cameras/production/{production['uuid']}").json()
    assert listed == [answer.json()]


@pytest.mark.parametrize("expired", [False, True], ids=["new key", "expired key"])
@scoped
async def test_of_ten_at_once_one_is_done_and_all_get_its_answer(
    client: httpx.Client, other: httpx.Client, production: Made, shared_database: str, key: str,
    entity: type[Row], expired: bool,
) -> None:  # fmt: skip
    path, body = f"/api/{entity.collection}", minimal(entity, productionId=production["id"])
    if expired:
        older = minimal(entity, productionId=production["id"], note="Yesterday's")
        send(client, path, older, key).raise_for_status()
        await databases.execute(shared_database, AGE, key, 25)
    before = await number(shared_database, LOGGED)
    together = threading.Barrier(10)

    def at_once(n: int) -> httpx.Response:
        together.wait(10)
        return send((client, other)[n % 2], path, body, key)

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(at_once, range(10)))
    assert sum(map(is_replayed, answers)) == 9
    assert all(same(answer, answers[0]) for answer in answers)
    assert answers[0].status_code == 201
    assert await number(shared_database, LOGGED) == before + 1
    rows = client.get(f"{path}/production/{production['uuid']}").json()
    assert [row["uuid"] for row in rows][int(expired) :] == [answers[0].json()["uuid"]]


async def test_who_waits_too_long_is_told_to_come_again(own_database: str, key: str) -> None:
    claim = "INSERT INTO idempotency_keys (key, fingerprint) VALUES ($1, 'x')"
    with service(own_database, statement_timeout=0.3) as client:
        show = created(client, "productions", name="A show")
        body = {"name": "x", "productionId": show["id"]}
        async with connected(own_database) as elsewhere:
            undecided = elsewhere.transaction()
            await undecided.start()
            await elsewhere.execute(claim, key)
            answer = send(client, "/api/cameras", body, key)
            assert (answer.status_code, answer.json()["code"]) == (503, "BUSY")
            assert int(answer.headers["retry-after"]) > 0
            assert client.get(f"/api/cameras/production/{show['uuid']}").json() == []
            await undecided.rollback()
        again = send(client, "/api/cameras", body, key)
        assert (again.status_code, is_replayed(again)) == (201, False)


def test_a_fault_of_ours_is_no_outcome(
    client: httpx.Client, production: Made, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"name": "x", "productionId": production["id"]}
    for failing, status in ((RuntimeError, 500), (Busy, 503), (TimeoutError, 503)):

        async def fails(*_: Any, failing: type[Exception] = failing, **__: Any) -> bytes:
            raise failing("x")

        with monkeypatch.context() as patch:
            patch.setattr(entities, "create", fails)
            assert send(client, "/api/cameras", body, key).status_code == status
    answer = send(client, "/api/cameras", body, key)
    assert (answer.status_code, is_replayed(answer)) == (201, False)


# Beneath HTTP


def done(connection: Any, work: Callable[[], Awaitable[Any]], key: str) -> Awaitable[KeptAnswer]:
    async def first() -> KeptAnswer:
        await work()
        return KeptAnswer(200, {"etag": '"a"'}, b"{}")

    return once(connection, key, "f", first)


async def test_a_try_that_was_overtaken_leaves_no_claim(own_database: str, key: str) -> None:
    async with opened(own_database) as database:
        writer, tries = Writer(database, 5), iter([WriteRace, WriteRace, None])

        async def work() -> None:
            if failing := next(tries, WriteRace):
                raise failing

        def keyed(context: WriteContext) -> Awaitable[KeptAnswer]:
            assert context.locked
            return done(context.connection, work, key)

        made = await writer.in_transaction("x", keyed)
        assert (made.replayed, made.headers, made.body) == (False, {"etag": '"a"'}, b"{}")
        assert (await writer.in_transaction("x", keyed)).replayed
        key += "-hopeless"
        with pytest.raises(Busy, match="Another service"):
            await writer.in_transaction("x", keyed)
    assert await number(own_database, STORED) == 1


async def test_a_write_that_is_cancelled_leaves_no_claim(own_database: str, key: str) -> None:
    begun = asyncio.Event()

    async def work() -> None:
        begun.set()
        await asyncio.Event().wait()

    async with opened(own_database) as database:
        writer = Writer(database, 5)
        task = asyncio.create_task(
            writer.in_transaction("x", lambda context: done(context.connection, work, key))
        )
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        made = await writer.in_transaction(
            "x", lambda context: done(context.connection, lambda: asyncio.sleep(0), key)
        )
    assert not made.replayed


async def test_a_key_that_is_removed_while_it_is_looked_up_is_tried_again(
    own_database: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(own_database) as database:
        writer, tries = Writer(database, 5), 0

        async def keyed(context: WriteContext) -> KeptAnswer:
            nonlocal tries
            tries += 1
            if tries == 3:
                patch.undo()
            return await done(context.connection, lambda: asyncio.sleep(0), key)

        await writer.in_transaction("x", keyed)
        with monkeypatch.context() as patch:
            patch.setattr(idempotency, "STORED", f"{idempotency.STORED} AND at IS NULL")
            assert (await writer.in_transaction("x", keyed)).replayed
    assert tries == 3


async def test_who_stands_in_line_too_long_is_told_so(own_database: str, key: str) -> None:
    async with opened(own_database) as database:
        writer, slow, begun = Writer(database, 0.05), asyncio.Event(), asyncio.Event()

        async def work() -> None:
            begun.set()
            await slow.wait()

        def keyed(context: WriteContext) -> Awaitable[KeptAnswer]:
            return done(context.connection, work, key)

        held = asyncio.create_task(writer.in_transaction("x", keyed))
        await begun.wait()
        with pytest.raises(Busy, match="Too many"):
            await writer.in_transaction("x", keyed)
        slow.set()
        assert not (await held).replayed


# Their end


@pytest.mark.parametrize("hours", [23, 25])
async def test_a_key_lasts_for_a_day(
    client: httpx.Client, production: Made, shared_database: str, key: str, hours: int
) -> None:
    body = {"name": "x", "productionId": production["id"]}
    first = send(client, "/api/cameras", body, key)
    await databases.execute(shared_database, AGE, key, hours)
    other = {**body, "name": "y"}
    if hours < 24:
        assert send(client, "/api/cameras", other, key).status_code == 422
        assert same(send(client, "/api/cameras", body, key), first)
        return
    again = send(client, "/api/cameras", other, key)
    assert (again.status_code, is_replayed(again)) == (201, False)
    assert is_replayed(send(client, "/api/cameras", other, key))
    assert send(client, "/api/cameras", body, key).status_code == 422
    assert await stored(shared_database, key) == 1


async def _keys(url: str, count: int, hours: int, prefix: str) -> None:
    made = (
        "INSERT INTO idempotency_keys (key, fingerprint, status, at) SELECT $1 || n, 'f', 200, "
        "now() - interval '1 hour' * $2 FROM generate_series(1, $3::int) AS n"
    )
    await databases.execute(url, made, prefix, hours, count)


def removing(database: Database, days: int = 0) -> Retention:
    return Retention(database, days, first=0, every=0.01, pause=0)


async def test_old_keys_are_removed_in_batches_and_others_stay(own_database: str) -> None:
    await _keys(own_database, 1_200, 25, "old ")
    await _keys(own_database, 3, 23, "new ")
    async with opened(own_database) as database:
        assert await removing(database).prune("idempotency keys") == 1_200
        assert await removing(database).prune("idempotency keys") == 0
    left = await databases.column(own_database, "SELECT key FROM idempotency_keys ORDER BY key")
    assert left == ["new 1", "new 2", "new 3"]


async def test_a_key_that_is_being_claimed_anew_is_passed_by(own_database: str) -> None:
    await _keys(own_database, 3, 25, "old ")
    async with connected(own_database) as elsewhere, opened(own_database) as database:
        async with elsewhere.transaction():
            assert await elsewhere.fetchval(idempotency.CLAIM, "old 2", "f")
            async with asyncio.timeout(60):
                assert await removing(database).prune("idempotency keys") == 2
        assert await removing(database).prune("idempotency keys") == 0
    assert await databases.column(own_database, "SELECT key FROM idempotency_keys") == ["old 2"]


async def test_several_processes_may_remove_at_once(own_database: str) -> None:
    await _keys(own_database, 3_000, 25, "old ")
    async with opened(own_database) as database, opened(own_database) as another:
        both = (removing(each).prune("idempotency keys") for each in (database, another))
        assert sum(await asyncio.gather(*both)) == 3_000


async def test_they_are_removed_in_the_background_whatever_the_log_keeps(
    own_database: str,
) -> None:
    await _keys(own_database, 3, 25, "old ")
    async with opened(own_database) as database, removing(database).running():
        async with asyncio.timeout(60):
            while await number(own_database, STORED):  # noqa: ASYNC110  # nobody is told
                await asyncio.sleep(0.01)

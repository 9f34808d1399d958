"""The operators' routes: who may ask, what they see while a migration hangs, what they decide."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
import pytest
from pydantic import SecretStr

from app.api.access import is_loopback
from app.cli.commands.look import run as looked
from app.database.url import DatabaseUrl
from app.releases.apply import backends
from app.releases.connection.open_connection import open_connection
from app.releases.ledger.ledger import Ledger
from app.releases.migrations import revisions
from app.releases.migrations.alembic_runner import upgrade
from app.releases.migrations.migration_session import GATE_LOCK
from app.releases.status import running as status_running
from app.releases.status.status import status
from app.settings import BadSettings, Settings, load_settings
from tests.support import databases
from tests.support.documents import DOCUMENT
from tests.support.ledgers import BEFORE, NOON, destroying, opened, plan, proposed
from tests.support.pace import at_most
from tests.support.service import service

CREW = "a-token-for-the-crew"
OPERATOR = "a-token-for-operators"
STATUS = "/api/admin/migration-status"
PLAN = f"/api/admin/releases/plans/{plan().digest}"
DECISIONS = f"{PLAN}/decisions"
PATHS = (STATUS, "/api/admin/releases", "/api/admin/releases/1", PLAN)
DECISION = {"decision": "approve", "who": "anna", "why": "rehearsed and read"}
# What follows from the others, and what only a database has that cannot be placed.
TOLD = {"content", "unclear", "nextCommand"}
PARTS = {"revision", "head", "needed", "state", "pending", "next", "drift", "driftCheckedAt",
         "driftCheckedBy", "soak", "running", "overrides", "runs", "unread", *TOLD}  # fmt: skip


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


# Who may ask


@pytest.fixture(scope="module")
def guarded(shared_database: str) -> Iterator[httpx.Client]:
    tokens = {"access_token": SecretStr(CREW), "operator_token": SecretStr(OPERATOR)}
    with service(shared_database, host="0.0.0.0", **tokens) as client:
        yield client


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "offered",
    [None, "", "Bearer", "Bearer wrong", f"Bearer {OPERATOR}x", f"Bearer {OPERATOR[:-1]}",
     f"Basic {OPERATOR}", OPERATOR, f"Bearer {OPERATOR.upper()}", "Bearer é"],
)  # fmt: skip
def test_only_the_operator_token_opens(
    guarded: httpx.Client, path: str, offered: str | None
) -> None:
    headers = {} if offered is None else {b"authorization": offered.encode()}
    for answer in (guarded.get(path, headers=headers),
                   guarded.post(DECISIONS, headers=headers, json=DECISION)):  # fmt: skip
        assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")
        assert answer.headers["content-type"] == "application/problem+json"
        assert OPERATOR not in answer.text


@pytest.mark.parametrize("path", PATHS)
def test_who_may_only_edit_is_refused(guarded: httpx.Client, path: str) -> None:
    for answer in (guarded.get(path, headers=bearer(CREW)),
                   guarded.post(DECISIONS, headers=bearer(CREW), json=DECISION)):  # fmt: skip
        assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")
        assert "operator" in answer.json()["message"]


def test_an_operator_may_all(guarded: httpx.Client) -> None:
    headers = bearer(OPERATOR)
    assert guarded.get(STATUS, headers=headers).status_code == 200
    assert guarded.get("/api/admin/releases", headers=headers).status_code == 200
    assert guarded.get(PLAN, headers=headers).status_code == 404
    assert guarded.get("/api/productions", headers=headers).status_code == 200
    for path in ("/api/adminx", "/api/admin"):
        assert guarded.get(path, headers=headers).status_code == 404, path


def test_what_does_not_exist_tells_nobody(guarded: httpx.Client) -> None:
    assert guarded.get("/api/admin/nothing").status_code == 401
    assert guarded.get("/api/admin/nothing", headers=bearer(OPERATOR)).status_code == 404


def test_an_open_service_still_guards_its_operators(shared_database: str) -> None:
    token = SecretStr(OPERATOR)
    with service(shared_database, operator_token=token, anonymous="editor") as client:
        assert client.get(STATUS).status_code == 401
        assert client.get(STATUS, headers=bearer(OPERATOR)).status_code == 200
        assert client.get("/api/productions").status_code == 200


@pytest.mark.parametrize("changes", [{"host": "0.0.0.0"}, {"environment": "production"}])
def test_beyond_this_machine_nobody_is_an_operator_without_a_token(
    shared_database: str, changes: dict[str, Any]
) -> None:
    """A proxy on the same machine may say nothing of itself."""
    with service(shared_database, **changes) as client:
        for path in PATHS:
            assert client.get(path).status_code == 401
        assert client.post(DECISIONS, json=DECISION).status_code == 401


def test_who_speaks_the_http_of_proxies_is_refused(client: httpx.Client) -> None:
    """What nginx sends unless it is told otherwise."""
    port = client.base_url.port
    asked = f"GET {STATUS} HTTP/{{}}\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
    answers = []
    for version in ("1.0", "1.1"):
        with socket.create_connection(("127.0.0.1", port or 0), timeout=5) as line:
            line.sendall(asked.format(version).encode())
            answers.append(line.makefile("rb").readline())
    assert b" 403 " in answers[0]
    assert b" 200 " in answers[1]


@pytest.mark.parametrize(
    ("headers", "status_code"),
    [
        ({}, 200),
        ({"host": "localhost:3010"}, 200),
        ({"host": "[::1]:3010"}, 200),
        ({"host": "LOCALHOST", "origin": "http://LOCALHOST"}, 200),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"host": "evil.example"}, 403),
        ({"host": "127.0.0.1.evil.example"}, 403),
        ({"host": "localhost.evil.example:3010"}, 403),
        ({"host": "192.168.1.5:3010"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost:5173"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"x-forwarded-for": "10.0.0.1"}, 403),
        ({"forwarded": "for=10.0.0.1"}, 403),
        ({"x-forwarded-proto": "https"}, 403),
        ({"X-Forwarded-Server": "edge"}, 403),
        ({"via": "1.1 edge"}, 403),
        ({"cf-connecting-ip": "10.0.0.1"}, 403),
        ({"true-client-ip": "10.0.0.1"}, 403),
        ({"x-client-ip": "10.0.0.1"}, 403),
        ({"x-real-ip": "10.0.0.1"}, 403),
    ],
)
def test_on_loopback_no_web_page_may_ask(
    client: httpx.Client, headers: dict[str, str], status_code: int
) -> None:
    assert client.get(STATUS, headers=headers).status_code == status_code
    decided = client.post(DECISIONS, headers=headers, json=DECISION)
    assert decided.status_code == (404 if status_code == 200 else 403)
    if status_code == 403:
        assert decided.json()["code"] == "FORBIDDEN"


@pytest.mark.parametrize(
    ("host", "local"),
    [("localhost", True), ("localhost:80", True), ("127.0.0.1", True), ("127.9.9.9:1", True),
     ("[::1]", True), ("[::1]:80", True), ("", False), (":80", False), ("localhost:x", False),
     ("::1", False), ("[127.0.0.1]", False), ("[::1", False), ("0.0.0.0", False),
     ("localhost.", False), ("localhost@evil", False), ("[::2]:80", False), ("127.1", False)],
)  # fmt: skip
def test_which_hosts_are_this_machine(host: str, local: bool) -> None:
    assert is_loopback(host) is local


def test_once_a_token_is_set_this_machine_needs_it_too(shared_database: str) -> None:
    with service(shared_database, access_token=SecretStr(CREW)) as client:
        assert client.get(STATUS).status_code == 401
        assert client.get("/api/productions", headers=bearer(CREW)).status_code == 200


def test_the_two_tokens_must_differ() -> None:
    same = SecretStr(OPERATOR)
    with pytest.raises(BadSettings, match="OPERATOR_TOKEN"):
        Settings(access_token=same, operator_token=same).refuse_exposed()


@pytest.mark.parametrize("name", ["access_token", "operator_token"])
def test_what_was_pasted_around_a_token_is_taken_away(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name.upper(), f"\t {OPERATOR}\n")
    assert getattr(Settings(), name).get_secret_value() == OPERATOR
    monkeypatch.setenv(name.upper(), f"short{' ' * 30}")
    with pytest.raises(BadSettings, match=f"{name.upper()} .*at least 16 characters"):
        load_settings()


def test_the_status_is_documented() -> None:
    assert set(DOCUMENT["components"]["schemas"]["Status"]["properties"]) == PARTS


# What they see


async def test_the_status_of_an_empty_database(empty_database: str) -> None:
    found = await status(empty_database)
    assert found.keys() == PARTS
    names = [revision.name for revision in revisions.history()]
    assert (found["revision"], found["state"]) == (None, "unmigrated")
    assert [pending["revision"] for pending in found["pending"]] == names
    assert (found["next"]["revisions"], found["next"]["digest"]) == (names, None)
    assert (found["drift"], found["soak"], found["running"]) == (None, None, None)
    assert (found["overrides"], found["runs"]) == ([], [])


async def test_the_status_of_a_database_on_its_way(empty_database: str) -> None:
    names = [revision.name for revision in revisions.history()]
    await upgrade(empty_database, names[2], say=lambda _: None)
    found = await status(empty_database)
    assert found["state"] == "behind"
    assert found["next"]["revisions"][0] == names[3]
    assert found["next"]["table"] == revisions.history()[3].table


async def test_the_status_where_the_gate_never_ran(own_database: str) -> None:
    with service(own_database) as client:
        found = client.get(STATUS).json()
        assert found.keys() == PARTS
        assert (found["revision"], found["state"]) == (revisions.head(), "head")
        assert (found["pending"], found["next"], found["runs"]) == ([], None, [])
        assert client.get("/api/admin/releases").json() == []
        for path in ("/api/admin/releases/1", PLAN):
            assert client.get(path).status_code == 404
        assert client.post(DECISIONS, json=DECISION).status_code == 404


async def test_the_status_of_a_database_that_is_ahead(own_database: str) -> None:
    await databases.execute(own_database, "UPDATE alembic_version SET version_num = 'tomorrow'")
    found = await status(own_database)
    assert (found["state"], found["pending"], found["next"]) == ("ahead", [], None)


def test_a_database_that_is_away_is_a_503() -> None:
    with service("postgresql://someone:s3cret@127.0.0.1:1/none") as client:
        for answer in (*map(client.get, PATHS), client.post(DECISIONS, json=DECISION)):
            assert (answer.status_code, answer.json()["code"]) == (503, "DATABASE_AWAY")
            assert int(answer.headers["retry-after"]) > 0
            assert "s3cret" not in answer.text


async def test_drift_counts_only_where_it_was_looked_for(own_database: str) -> None:
    async with opened(own_database) as ledger:
        await ledger.keep_look(revisions.head(), [], NOON)
        found = await status(own_database)
        assert (found["drift"], found["driftCheckedAt"]) == ([], "2027-03-01T12:00:00.000Z")
        await ledger.keep_look("0001_older_schema", [], NOON)
        found = await status(own_database)
        assert (found["drift"], found["driftCheckedAt"]) == (None, None)


async def test_the_terminal_looks_for_drift_where_nobody_had(own_database: str) -> None:
    found = await status(own_database)
    assert (found["drift"], found["driftCheckedAt"]) == (None, None)
    clean = await looked(own_database, found)
    assert clean["drift"] == []
    assert clean["driftCheckedAt"].endswith("Z")
    assert clean["driftCheckedBy"] == "question"
    assert clean | {"drift": None, "driftCheckedAt": None, "driftCheckedBy": None} == found
    sql = "ALTER TABLE cameras ALTER name DROP NOT NULL; CREATE TABLE lanterns (id int)"
    await databases.execute(own_database, sql)
    async with opened(own_database) as ledger:
        await ledger.set_fact("acquainted", [])
        told = await looked(own_database, await status(own_database))
        assert {drift["table"] for drift in told["drift"]} == {"cameras", "lanterns"}
        await ledger.set_fact("acquainted", ["lanterns"])
        told = await looked(own_database, await status(own_database))
    assert [drift["table"] for drift in told["drift"]] == ["cameras"]
    assert told["drift"][0]["mend"]


@pytest.mark.parametrize("when", ["looked", "ahead", "running", "unmigrated", "away"])
async def test_the_terminal_does_not_look_where_it_cannot(own_database: str, when: str) -> None:
    url = own_database
    async with opened(own_database) as ledger:
        if when == "looked":
            await ledger.keep_look(revisions.head(), [], NOON)
        if when == "ahead":
            await databases.execute(own_database, "UPDATE alembic_version SET version_num = 'x'")
        if when == "running":
            assert await ledger.try_lock()
        if when == "unmigrated":
            await databases.execute(own_database, "DROP TABLE alembic_version")
        if when == "away":
            url = "postgresql://someone@127.0.0.1:1/none"
        found = await status(own_database)
        assert await looked(url, found) == found
        assert found["drift"] == ([] if when == "looked" else None)


AT = "UPDATE alembic_version SET version_num = $1"
HANGING = "ALTER TABLE cameras ADD COLUMN x1 int"


@asynccontextmanager
async def hanging(url: str, role: str | None = None) -> AsyncIterator[dict[str, Any]]:
    """Run a gate that hangs: it waits for a transaction, and the service's readers for it."""
    async with (
        opened(url) as ledger,
        open_connection(url) as ours,
        open_connection(url) as theirs,
        open_connection(url) as behind,
    ):
        await ledger.prepare(role)
        assert await ledger.try_lock()
        await proposed(ledger, plan())
        await ledger.stage_ends(await ledger.stage_begins("connect"), "done", "there", {})
        await ledger.stage_begins("apply")
        await ledger.plan_is(plan().digest, "applying")
        await ledger.execute(
            "INSERT INTO release_statements (run, position, stage, kind, sql, lock, started_at,"
            " predicted, tries) VALUES ($1, 1, 'apply', 'brief', $2, 'ACCESS EXCLUSIVE',"
            " clock_timestamp() - interval '3 seconds', 0.25, 4)",
            ledger.run, HANGING,
        )  # fmt: skip
        await ledger.execute(
            "INSERT INTO release_backfill (name, done, total, started_at, updated_at) VALUES"
            " ('cameras: uuid', 300, 900, clock_timestamp() + interval '1 s',"
            " clock_timestamp() + interval '4 s')"
        )
        await ours.execute("SET application_name = 'signalbook-release'")
        await theirs.execute("SET application_name = 'older service'")
        pids = {
            name: await each.fetchval("SELECT pg_backend_pid()")
            for name, each in {"theirs": theirs, "behind": behind}.items()
        }
        await theirs.execute("BEGIN; LOCK TABLE cameras IN ACCESS EXCLUSIVE MODE")
        tasks = []
        for connection, sql in ((ours, HANGING), (behind, "SELECT count(*) FROM cameras")):
            tasks.append(asyncio.create_task(connection.execute(sql)))
            await waiting(url, len(tasks))
        yield {"run": ledger.run, **pids}
        await theirs.execute("ROLLBACK")
        await asyncio.gather(*tasks)


# Other tests may wait in other databases.
WAITING = """SELECT pid FROM pg_locks JOIN pg_stat_activity USING (pid)
  WHERE NOT granted AND datname = current_database()"""


async def waiting(url: str, count: int) -> None:
    async with asyncio.timeout(60):
        while len(await databases.column(url, WAITING)) < count:  # noqa: ASYNC110  # no event
            await asyncio.sleep(0.01)


def soonest(client: httpx.Client) -> tuple[httpx.Response, float]:
    """Ask three times; return an answer and the seconds of the quickest.

    A busy machine is slow now and then. A status that waits for what hangs is slow each time.
    """
    seconds = []
    for _ in range(3):
        began = time.monotonic()
        answer = client.get(STATUS)
        seconds.append(time.monotonic() - began)
    return answer, min(seconds)


async def test_the_status_answers_while_a_migration_hangs(own_database: str) -> None:
    with service(own_database) as client:
        async with hanging(own_database) as made:
            answer, seconds = await asyncio.to_thread(soonest, client)
    found = answer.raise_for_status().json()
    assert seconds < 1
    running = found["running"]
    assert (running["run"], running["who"], running["stage"]) == (made["run"], "anna", "apply")
    statement = running["statement"]
    assert (statement["sql"], statement["lock"]) == (HANGING, "ACCESS EXCLUSIVE")
    assert 3 <= statement["seconds"] < 60
    assert (statement["predictedSeconds"], statement["tries"]) == (0.25, 4)
    (waits,) = running["waitsFor"]
    assert (waits["pid"], waits["application"]) == (made["theirs"], "older service")
    assert waits["state"] == "idle in transaction"
    assert waits["transactionSeconds"] > 0
    assert "LOCK TABLE cameras" in waits["query"]
    (blocks,) = running["blocks"]
    assert (blocks["pid"], blocks["query"]) == (made["behind"], "SELECT count(*) FROM cameras")
    assert blocks["seconds"] > 0
    (walk,) = running["progress"]
    assert (walk["what"], walk["done"], walk["total"]) == ("backfill of cameras: uuid", 300, 900)
    assert walk["rate"] == pytest.approx(100)
    assert walk["remainingSeconds"] == pytest.approx(6)
    assert running["safeToCancel"] is True
    assert "rolled back" in running["safeWords"]
    assert (found["next"]["state"], found["next"]["digest"]) == ("applying", plan().digest)
    (run,) = found["runs"]
    assert (run["verdict"], run["finishedAt"]) == (None, None)
    assert [(s["stage"], s["outcome"]) for s in run["stages"]] == [
        ("connect", "done"), ("apply", None),
    ]  # fmt: skip


@pytest.fixture
def lesser(postgres_server: databases.Server, own_database: str) -> Iterator[str]:
    """Return the URL as a role that may use the rows and owns nothing, as a service's may be."""
    role = f"signalbook_lesser_{os.getpid()}"
    postgres_server.run(f"CREATE ROLE {role} LOGIN")
    rows = f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}"
    asyncio.run(databases.execute(own_database, rows))
    yield own_database.replace("postgres@", f"{role}@")
    postgres_server.drop(own_database)
    postgres_server.run(f"DROP ROLE {role}")


async def test_a_role_that_owns_nothing_notes_sees_and_decides(
    own_database: str, lesser: str
) -> None:
    role = DatabaseUrl.parse(lesser).user
    with service(lesser) as client:
        async with hanging(own_database, role) as made:
            running = (await asyncio.to_thread(client.get, STATUS)).json()["running"]
        async with opened(own_database) as ledger:
            await proposed(ledger, plan(2))
            path = f"/api/admin/releases/plans/{plan(2).digest}/decisions"
            assert client.post(path, json=DECISION).status_code == 201
            await databases.execute(own_database, f"REVOKE SELECT ON cameras FROM {role}")
            assert client.get("/api/cameras/production/x").status_code == 503
    (signal,) = await databases.column(own_database, "SELECT words FROM release_signals")
    assert signal == "permission denied for table cameras"
    assert [waits["pid"] for waits in running["waitsFor"]] == [made["theirs"]]
    assert [blocks["pid"] for blocks in running["blocks"]] == [made["behind"]]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE release_facts SET value = '[]'",
        "INSERT INTO release_facts (name, value) VALUES ('acquainted', '[]')",
        "UPDATE release_decisions SET who = 'x'",
        "UPDATE release_soaks SET seconds = 0",
        "DELETE FROM release_looks",
        "DELETE FROM release_signals",
    ],
)
async def test_a_role_that_owns_nothing_cannot_change_what_the_gate_goes_by(
    own_database: str, lesser: str, sql: str
) -> None:
    async with opened(own_database) as ledger, open_connection(lesser) as service:
        await ledger.prepare(DatabaseUrl.parse(lesser).user)
        await Ledger(service).keep_look(revisions.head(), [], NOON)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await service.execute(sql)


async def test_a_killed_run_does_not_live_on_in_the_next_gate(own_database: str) -> None:
    """The next one holds the lock, and has not opened its page."""
    async with opened(own_database) as killed:
        await killed.stage_begins("apply")
    async with open_connection(own_database) as gate:
        await gate.execute(f"SELECT pg_advisory_lock({GATE_LOCK})")
        found = await status(own_database)
        assert (found["running"]["run"], found["running"]["stage"]) == (None, None)
        assert [run["verdict"] for run in found["runs"]] == ["KILLED"]
        number = await Ledger(gate).begin("release", "ben", None, None)
        found = await status(own_database)
        assert (found["running"]["run"], found["running"]["who"]) == (number, "ben")
        assert [run["verdict"] for run in found["runs"]] == [None, "KILLED"]


async def test_a_gate_whose_process_is_gone_was_killed(own_database: str) -> None:
    async with opened(own_database):
        pass
    found = await status(own_database)
    assert found["running"] is None
    (run,) = found["runs"]
    assert (run["verdict"], run["finishedAt"]) == ("KILLED", None)


@pytest.mark.parametrize(
    ("kind", "sql", "safe", "words"),
    [
        ("batch", "UPDATE cameras SET uuid = x", True, "batch"),
        ("direct", "DROP TABLE x", True, "rolled back"),
        ("patient", "CREATE UNIQUE INDEX CONCURRENTLY i ON cameras (uuid)", True, "INVALID"),
        ("patient", "DROP INDEX CONCURRENTLY i", True, "dropped again"),
        ("patient", 'ALTER TABLE "cameras" VALIDATE CONSTRAINT x', True, "stays NOT VALID"),
        ("patient", "ANALYZE cameras", True, "statistics"),
        ("patient", "SELECT setval('x', 1)", True, "as if it had never begun"),
        ("patient", "SET statement_timeout = 0", True, "session"),
        ("patient", "VACUUM FULL cameras", False, "by hand"),
    ],
)
async def test_whether_it_is_safe_to_cancel(
    own_database: str, kind: str, sql: str, safe: bool, words: str
) -> None:
    async with opened(own_database) as ledger:
        assert await ledger.try_lock()
        await ledger.stage_begins("apply")
        before = await status(own_database)
        assert before["running"]["safeToCancel"] is True
        assert before["running"]["statement"] is None
        await ledger.execute(
            "INSERT INTO release_statements (run, position, stage, kind, sql, started_at)"
            " VALUES ($1, 1, 'apply', $2, $3, now())", ledger.run, kind, sql,
        )  # fmt: skip
        running = (await status(own_database))["running"]
    assert running["safeToCancel"] is safe
    assert words in running["safeWords"]
    assert ("INVALID" in running["safeWords"]) is ("INDEX" in sql)


async def test_an_index_that_is_built_is_shown(own_database: str) -> None:
    """The build waits for an older transaction, and so can be looked at."""
    async with (
        open_connection(own_database) as ours,
        open_connection(own_database) as theirs,
        open_connection(own_database) as gate,
    ):
        await gate.execute(f"SELECT pg_advisory_lock({GATE_LOCK})")
        await ours.execute("SET application_name = 'signalbook-migrate'")
        await theirs.execute("BEGIN; UPDATE cameras SET note = 'x' WHERE false")
        sql = "CREATE INDEX CONCURRENTLY on_note ON cameras (note)"
        build = asyncio.create_task(ours.execute(sql))
        await waiting(own_database, 1)
        running = (await status(own_database))["running"]
        await theirs.execute("ROLLBACK")
        await build
    assert running["run"] is None
    assert len(running["waitsFor"]) == 1
    (progress,) = running["progress"]
    assert progress["what"].startswith("on_note: waiting for writers")


# What is lost of the status when a table is locked. The linters' words of a plan are in the runs.
LOST = {
    "alembic_version": {"revision", "state", "pending", "next", "drift"},
    "release_runs": {"running.run", "runs", "next"},
    "release_stages": {"running.run", "runs", "next"},
    "release_statements": {"running.statement"},
    "release_backfill": {"running.progress"},
    "release_plans": {"next"},
    "release_decisions": {"next"},
    "release_looks": {"drift"},
    "release_soaks": {"soak"},
    "release_overrides": {"overrides"},
    "cameras": set[str](),
}


@pytest.mark.parametrize(
    "tables",
    [*((table,) for table in LOST), tuple(LOST)],
    ids=lambda tables: tables[0] if len(tables) == 1 else "everything",
)
async def test_what_is_locked_takes_only_its_own_part_of_the_status(
    own_database: str, tables: tuple[str, ...]
) -> None:
    with service(own_database) as client:
        async with hanging(own_database) as made, open_connection(own_database) as other:
            await databases.execute(own_database, AT, BEFORE)
            # Others are queued at the cameras already.
            locks = [f"LOCK TABLE {table}" for table in tables if table != "cameras"]
            await other.execute("; ".join(["SET lock_timeout = '60s'", "BEGIN", *locks]))
            began = time.monotonic()
            answer = await asyncio.to_thread(client.get, STATUS)
            assert time.monotonic() - began < at_most(2)
            await other.execute("ROLLBACK")
            whole = (await asyncio.to_thread(client.get, STATUS)).json()
    found = answer.raise_for_status().json()
    unread = set().union(*(LOST[table] for table in tables))
    if "running.run" in unread:
        unread -= {"running.statement", "running.progress"}  # of no run, nothing is asked
    assert set(found["unread"]) == unread
    assert (found["head"], found["needed"]) == (revisions.head(), revisions.needed())
    assert [waits["pid"] for waits in found["running"]["waitsFor"]] == [made["theirs"]]
    assert [blocks["pid"] for blocks in found["running"]["blocks"]] == [made["behind"]]
    apart = {"unread", "running", "driftCheckedAt", "driftCheckedBy", "soak", *TOLD}
    for name in PARTS - apart:
        assert found[name] == (None if name in unread else whole[name]), name
    assert found["running"]["safeToCancel"] is not bool(
        unread & {"running.run", "running.statement"}
    )
    assert whole["unread"] == []


async def test_the_status_comes_in_time_with_what_was_read_until_then(
    own_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that becomes slow in the middle."""
    monkeypatch.setattr(status_running, "_BLOCKS", "SELECT pg_sleep(30)")
    async with hanging(own_database) as made:
        began = time.monotonic()
        found = await status(own_database, within=0.5)
        assert time.monotonic() - began < at_most(3)
    assert [waits["pid"] for waits in found["running"]["waitsFor"]] == [made["theirs"]]
    assert {"running.blocks", "running.run", "revision", "drift", "soak", "overrides", "runs"} <= {
        *found["unread"]
    }
    assert (found["head"], found["revision"], found["runs"]) == (revisions.head(), None, None)
    assert found["running"]["safeToCancel"] is False


async def test_a_database_that_lets_nobody_in_is_told_within_a_second() -> None:
    """It takes the connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://someone@127.0.0.1:{silent.getsockname()[1]}/none"
        with service(url) as client:
            answer, seconds = soonest(client)
    assert seconds < 1
    assert answer.status_code == 503


SECRETS = [
    "ALTER ROLE sb_x PASSWORD 's3cret''s'",
    "ALTER ROLE sb_x PASSWORD E's3cret\\'s3cret'",
    "ALTER ROLE sb_x PASSWORD $$s3cret$$",
    "ALTER ROLE sb_x PASSWORD $x$s3cret",
    "SELECT * FROM dblink('host=x password=s3cret', 'SELECT 1')",
    "SELECT * FROM dblink('postgresql://me:s3cret@x/y', 'SELECT 1')",
    "CREATE SUBSCRIPTION s CONNECTION 'host=x pass=s3cret'",
    "ALTER ROLE sb_x PASSWORD\n  's3cret",
]


@pytest.mark.parametrize("query", SECRETS)
def test_no_secret_of_a_query_is_shown(query: str) -> None:
    for length in (20, 60, 500):
        told = backends.masked_query(query, length)
        assert "s3cret" not in told
        assert told.startswith(query[:12])
        assert len(told) <= length


def test_a_query_without_a_secret_is_shown_whole() -> None:
    assert backends.masked_query("SELECT 'x'\n  FROM cameras") == "SELECT 'x' FROM cameras"


async def test_a_password_in_somebodys_query_is_not_shown(own_database: str) -> None:
    async with (
        opened(own_database) as ledger,
        open_connection(own_database) as ours,
        open_connection(own_database) as theirs,
    ):
        assert await ledger.try_lock()
        await ours.execute("SET application_name = 'signalbook-release'")
        await theirs.execute("BEGIN; LOCK TABLE cameras; CREATE ROLE sb_x PASSWORD E's3cret'")
        build = asyncio.create_task(ours.execute("SELECT count(*) FROM cameras"))
        await waiting(own_database, 1)
        (waits,) = (await status(own_database))["running"]["waitsFor"]
        async with open_connection(own_database) as watching:
            waiter = await watching.fetchval(WAITING)
            (told,) = await backends.blockers(watching, waiter)
        await theirs.execute("ROLLBACK")
        await build
    assert "PASSWORD ''" in waits["query"]
    assert "PASSWORD ''" in str(told)
    assert "s3cret" not in waits["query"] + str(told)


@pytest.mark.parametrize(
    "name", ["gate", "migrate", "release", "copy", "rehearsal", "recorder", "status"]
)
async def test_which_sessions_are_the_gates(own_database: str, name: str) -> None:
    async with (
        opened(own_database) as ledger,
        open_connection(own_database) as session,
        open_connection(own_database) as theirs,
    ):
        assert await ledger.try_lock()
        await session.execute(f"SET application_name = 'signalbook-{name}'")
        await theirs.execute("BEGIN; LOCK TABLE cameras")
        reads = asyncio.create_task(session.execute("SELECT count(*) FROM cameras"))
        await waiting(own_database, 1)
        running = (await status(own_database))["running"]
        await theirs.execute("ROLLBACK")
        await reads
    assert bool(running["waitsFor"]) is (name not in {"recorder", "status"})


async def test_a_run_is_shown_with_all_its_evidence(own_database: str) -> None:
    with service(own_database) as client:
        async with opened(own_database) as ledger:
            position = await ledger.stage_begins("drift")
            await ledger.stage_ends(position, "stopped", "drifted", {"findings": ["é"]})
            await ledger.execute(
                "INSERT INTO release_statements (run, position, stage, kind, sql, started_at,"
                " seconds, predicted, stall, error) VALUES ($1, 1, 'apply', 'brief', 'SELECT 1',"
                " now(), 0.5, 0.25, 0.1, 'canceled')", ledger.run,
            )  # fmt: skip
            await ledger.end("DRIFTED", 12, "the schema drifted", revisions.head())
            number = ledger.run
            await ledger.begin("status", "ben", "why not", None)
        shown = client.get(f"/api/admin/releases/{number}").json()
        listed = client.get("/api/admin/releases?limit=1").json()
        assert client.get("/api/admin/releases/999").status_code == 404
        assert client.get("/api/admin/releases/x").status_code == 422
        assert client.get(f"/api/admin/releases/{2**63}").status_code == 422
    assert (shown["verdict"], shown["exitCode"], shown["head"]) == (
        "DRIFTED", 12, revisions.head(),
    )  # fmt: skip
    (stage,) = shown["stages"]
    assert (stage["outcome"], stage["evidence"]) == ("stopped", {"findings": ["é"]})
    assert stage["seconds"] >= 0
    (statement,) = shown["statements"]
    assert (statement["seconds"], statement["predictedSeconds"]) == (0.5, 0.25)
    assert [(run["who"], run["why"]) for run in listed] == [("ben", "why not")]


# What they decide


async def test_an_approval_is_of_the_last_rehearsal(own_database: str) -> None:
    with service(own_database) as client:
        async with opened(own_database) as ledger:
            first = await proposed(ledger, plan())
            shown = client.get(PLAN).json()
            assert (shown["state"], shown["rehearsal"]["id"]) == ("proposed", first)
            assert shown["decision"] is None
            short = f"/api/admin/releases/plans/{plan().digest[:8]}/decisions"
            answer = client.post(short, json={**DECISION, "who": "  anna "})
            stored = answer.json()
            assert (answer.status_code, stored["rehearsal"]) == (201, first)
            assert (stored["decision"], stored["who"], stored["valid"]) == (
                "approved",
                "anna",
                True,
            )
            assert client.get(PLAN).json()["decision"]["valid"] is True
            await databases.execute(own_database, AT, BEFORE)
            after = (await status(own_database))["next"]
            assert after["decision"]["why"] == DECISION["why"]
            assert after["sql"] == plan().sql
            assert after["statements"][0]["lock"] == "ACCESS EXCLUSIVE"
            await proposed(ledger, plan())
            assert client.get(PLAN).json()["decision"]["valid"] is False


async def test_what_was_withheld_is_not_approved(own_database: str) -> None:
    with service(own_database) as client:
        async with opened(own_database) as ledger:
            await proposed(ledger, plan())
            client.post(DECISIONS, json=DECISION).raise_for_status()
            answer = client.post(DECISIONS, json={**DECISION, "decision": "withhold"})
            assert (answer.status_code, answer.json()["decision"]) == (201, "withheld")
            assert client.get(PLAN).json()["decision"]["valid"] is False
    audit = "SELECT event FROM access_audit ORDER BY at"
    assert await databases.column(own_database, audit) == ["release.approved", "release.withheld"]


@pytest.mark.parametrize("passed", [None, False])
async def test_what_was_not_rehearsed_well_may_only_be_withheld(
    own_database: str, passed: bool | None
) -> None:
    with service(own_database) as client:
        async with opened(own_database) as ledger:
            await proposed(ledger, plan(), passed=passed)
            answer = client.post(DECISIONS, json=DECISION)
            assert (answer.status_code, answer.json()["code"]) == (409, "NOT_REHEARSED")
            assert ("3 rows" in answer.json()["message"]) is (passed is False)
            withheld = client.post(DECISIONS, json={**DECISION, "decision": "withhold"})
            assert withheld.status_code == 201


@pytest.mark.parametrize("state", ["applying", "applied", "verified", "rolled back"])
async def test_what_was_begun_is_decided(own_database: str, state: str) -> None:
    with service(own_database) as client:
        async with opened(own_database) as ledger:
            await proposed(ledger, plan())
            await ledger.plan_is(plan().digest, state)
            answer = client.post(DECISIONS, json=DECISION)
            assert (answer.status_code, answer.json()["code"]) == (409, "PLAN_CLOSED")
            assert await ledger.fetch_rows("SELECT * FROM release_decisions") == []


async def test_destruction_needs_the_word(own_database: str) -> None:
    path = f"/api/admin/releases/plans/{destroying().digest}/decisions"
    with service(own_database) as client:
        async with opened(own_database) as ledger:
            await proposed(ledger, destroying())
            for word in ({}, {"destroys": None}, {"destroys": "ccus"}, {"destroys": "CAMERAS"}):
                answer = client.post(path, json={**DECISION, **word})
                assert (answer.status_code, answer.json()["code"]) == (409, "DESTROYS")
                assert answer.json()["destroys"] == "cameras"
                assert "DROP COLUMN note" in answer.json()["message"]
            stored = client.post(path, json={**DECISION, "destroys": "cameras"})
            assert (stored.status_code, stored.json()["destroys"]) == (201, "cameras")


async def test_a_digest_must_mean_one_plan(own_database: str) -> None:
    with service(own_database) as client:
        async with opened(own_database) as ledger:
            await proposed(ledger, plan())
            twin = plan().digest[:10] + "0" * 54
            await ledger.execute("INSERT INTO release_plans (digest, plan, offline_hash)"
                            " SELECT $1, plan, '' FROM release_plans", twin)  # fmt: skip
            for digest, code, status_code in (
                (plan().digest[:10], "AMBIGUOUS_ID", 409), ("f" * 64, "NOT_FOUND", 404),
                (plan().digest[:7], "INVALID", 422), (plan().digest + "0", "INVALID", 422),
                (plan().digest.upper(), "INVALID", 422), ("x" * 64, "INVALID", 422),
                ("%25%25%25%25%25%25%25%25", "INVALID", 422),
            ):  # fmt: skip
                path = f"/api/admin/releases/plans/{digest}"
                for answer in (client.get(path), client.post(f"{path}/decisions", json=DECISION)):
                    assert (answer.status_code, answer.json()["code"]) == (status_code, code)
            assert client.get(PLAN).json()["digest"] == plan().digest


@pytest.mark.parametrize(
    "wrong",
    [{"decision": "yes"}, {"who": ""}, {"who": "  "}, {"why": ""}, {"who": "x" * 201},
     {"why": "x" * 2_001}, {"who": "a\x00"}, {"why": 1}, {"destroys": "a\x00"}, {"role": "admin"}],
)  # fmt: skip
async def test_a_decision_says_who_and_why(
    client: httpx.Client, shared_database: str, wrong: dict[str, Any]
) -> None:
    answer = client.post(DECISIONS, json={**DECISION, **wrong})
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID")
    assert answer.json()["errors"][0]["path"] == next(iter(wrong))

"""A database that is away, busy or restarted: 503 with Retry-After, and then all is well."""

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import asyncpg
import pytest

from app.database import embedded
from app.database.url import DatabaseUrl
from app.model.entity import Row
from app.releases.migrations.alembic_runner import upgrade
from tests.support import databases
from tests.support.bodies import REPRESENTATIVES, minimal, named
from tests.support.chaos import Chaos, Size
from tests.support.checker import verdicts
from tests.support.processes import processes
from tests.support.service import PlainClient, service

every = pytest.mark.parametrize("entity", REPRESENTATIVES, ids=named)


@every
def test_without_a_database_every_call_is_a_503(entity: type[Row]) -> None:
    with service("postgresql://someone:s3cret@127.0.0.1:1/none") as client:
        path = f"/api/{entity.collection}"
        listed = path if entity.collection == "productions" else f"{path}/production/x"
        body = {"productionId": "x", **minimal(entity)}
        for answer in (
            client.get(listed), client.get(f"{path}/x"), client.post(path, json=body),
            client.put(f"{path}/x", json={"version": 1}), client.delete(f"{path}/x"),
        ):  # fmt: skip
            assert (answer.status_code, answer.json()["code"]) == (503, "DATABASE_AWAY")
            assert int(answer.headers["retry-after"]) > 0
            assert "s3cret" not in answer.text
        assert client.get("/livez").status_code == 200


async def test_connections_that_break_are_replaced(own_database: str) -> None:
    kill = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid()"
    )
    with service(own_database) as client:
        made = client.post("/api/productions", json={"name": "x"}).json()
        for _ in range(3):
            await databases.execute(own_database, kill)
            statuses = [client.get("/api/productions").status_code for _ in range(12)]
            assert set(statuses) <= {200, 503}
            assert statuses[-1] == 200
        assert client.get("/api/productions").json() == [made]


async def test_a_full_pool_is_a_503_and_soon_over(own_database: str) -> None:
    with (
        service(own_database, pool_size=1, pool_wait=0.3) as client,
        ThreadPoolExecutor(1) as other,
    ):
        made = client.post("/api/productions", json={"name": "x"}).json()
        path = f"/api/productions/{made['uuid']}"
        connection = await asyncpg.connect(**DatabaseUrl.parse(own_database).connect_args())
        async with connection.transaction():
            await connection.execute("SELECT FROM productions FOR UPDATE")
            waiting = other.submit(client.put, path, json={"name": "late", "version": 1})
            await databases.until_blocked(own_database)
            with PlainClient(base_url=client.base_url) as second:
                answer = second.get("/api/productions")
        await connection.close()
        assert (answer.status_code, answer.json()["code"]) == (503, "BUSY")
        assert waiting.result(10).json()["name"] == "late"
        assert client.get(path).status_code == 200


async def test_a_lock_that_is_never_granted_is_a_503(own_database: str) -> None:
    with service(own_database, statement_timeout=0.3) as client:
        made = client.post("/api/productions", json={"name": "x"}).json()
        connection = await asyncpg.connect(**DatabaseUrl.parse(own_database).connect_args())
        async with connection.transaction():
            await connection.execute("SELECT FROM productions FOR UPDATE")
            answer = client.put(
                f"/api/productions/{made['uuid']}", json={"name": "y", "version": 1}
            )
        await connection.close()
        assert (answer.status_code, answer.json()["code"]) == (503, "BUSY")
        assert client.get(f"/api/productions/{made['uuid']}").json() == made


async def test_a_commit_that_fails_is_no_success(own_database: str) -> None:
    """The commit happens before the response leaves: a deferred refusal is not a 201."""
    await databases.execute(
        own_database,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$; "
        "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON changes DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION refuse()",
    )
    with service(own_database) as client:
        answer = client.post("/api/productions", json={"name": "x"})
        assert (answer.status_code, answer.json()["code"]) == (503, "BUSY")
        assert client.get("/api/productions").json() == []


def test_the_schema_may_change_under_a_running_service(own_database: str) -> None:
    """Statements name their columns, so that another release's DDL does not break a connection."""
    with service(own_database, pool_size=2) as client:
        made = client.post("/api/productions", json={"name": "x"}).json()
        for _ in range(6):
            client.get("/api/productions")
        for sql in ("ALTER TABLE productions ADD COLUMN tomorrow text",
                    "ALTER TABLE productions ALTER COLUMN load_in TYPE timestamptz",
                    "ALTER TABLE productions DROP COLUMN tomorrow"):  # fmt: skip
            asyncio.run(databases.execute(own_database, sql))
            assert [client.get("/api/productions").status_code for _ in range(6)] == [200] * 6
            path = f"/api/productions/{made['uuid']}"
            made = (
                client.put(path, json={"name": sql, "version": made["version"]})
                .raise_for_status()
                .json()
            )


@pytest.fixture
def durable() -> Iterator[Path]:
    """Return a folder that PostgreSQL's account may enter, unlike tmp_path, for another server."""
    top = Path(tempfile.mkdtemp(prefix="sb-")).resolve()
    top.chmod(0o755)
    yield top / "pg"
    embedded.stop(top / "pg")
    shutil.rmtree(top)


async def test_five_seconds_without_a_database_under_load(durable: Path, tmp_path: Path) -> None:
    """It is killed, not stopped, and recovers from its log: nothing acknowledged may be lost."""
    with ExitStack() as running:
        server = running.enter_context(embedded.start(durable))
        await upgrade(server.url, say=lambda _: None)

        async def away() -> None:
            assert server.pid, "0 would mean ourselves"
            os.kill(server.pid, signal.SIGKILL)
            await asyncio.sleep(5)
            running.enter_context(await asyncio.to_thread(embedded.start, durable))

        servers = running.enter_context(processes(2, server.url, tmp_path))
        size = Size(writers=4, operations=200, kills=0, cuts=0)
        chaos = Chaos(server.url, servers, size, away, ahead=80)
        await chaos.run()
    found = verdicts(chaos.history)
    assert not found, "\n".join([*found[:20], f"CHAOS_SEED={size.seed}, logs in {tmp_path}"])
    assert chaos.counts["503"] > 20, chaos.counts
    # A request waits for a connection for five seconds at most, and for one to be opened.
    assert chaos.slowest < 10
    # Who watches stays where he is: what was written afterwards came by itself.
    assert chaos.counts["returns"] == 0

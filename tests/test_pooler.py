"""A pooler before the database: told apart by what it does, refused or served."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import asyncpg
import httpx
import pytest

from app.database.dial import Dialer, dial, has_own_session, meet_in_one_session
from app.database.url import DatabaseUrl
from app.errors import PoolerInTheWay
from app.releases.migrations.migration_session import GATE_LOCK
from app.releases.verdict import Verdict
from app.settings import PROJECT
from tests.support.databases import column, execute
from tests.support.gates import ran
from tests.support.pgbouncer import needed, pgbouncer
from tests.support.processes import plain
from tests.support.service import created, examined, service

pytestmark = needed
ANNOUNCED = "?pgbouncer=true"
HELD = f"""SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database
  WHERE locktype = 'advisory' AND objid = {GATE_LOCK % 2**32} AND datname = current_database()"""
NOTHING = "extra_float_digits"


async def mode(url: str) -> str:
    """Return what stands before the database."""
    arguments = DatabaseUrl.parse(url).connect_args()
    connection = await asyncpg.connect(**arguments)
    try:
        if await has_own_session(connection):
            return "none"
        return "shared" if await meet_in_one_session(arguments) else "session"
    finally:
        connection.terminate()


async def test_a_server_itself_is_no_pooler(own_database: str) -> None:
    assert await mode(own_database) == "none"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"mode": "transaction"}, "shared"),
        ({"mode": "transaction", "server_round_robin": "1", "min_pool_size": "5"}, "shared"),
        ({"mode": "statement"}, "shared"),
        ({"mode": "session"}, "session"),
        ({"mode": "session", "default_pool_size": "1"}, "session"),
    ],
    ids=str,
)
async def test_a_pooler_is_told_by_what_it_does(
    own_database: str, options: dict[str, str], expected: str
) -> None:
    with pgbouncer(own_database, **options) as url:
        assert await mode(url) == expected


async def test_a_busy_pooler_is_told_as_well(own_database: str) -> None:
    """Others who come and go keep their sessions from staying with the same client."""
    with pgbouncer(own_database) as url:
        arguments = DatabaseUrl.parse(url).connect_args() | {"statement_cache_size": 0}
        others = [await asyncpg.connect(**arguments) for _ in range(5)]

        async def ask(connection: asyncpg.Connection) -> None:
            while True:
                await connection.fetchval("SELECT 1")

        tasks = [asyncio.create_task(ask(other)) for other in others]
        try:
            for _ in range(5):
                assert await mode(url) == "shared"
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for other in others:
                other.terminate()


@pytest.mark.parametrize("pool_mode", ["transaction", "statement"])
def test_the_service_does_not_start_behind_one_that_is_not_announced(
    own_database: str, pool_mode: str
) -> None:
    with pgbouncer(own_database, mode=pool_mode) as url:
        done = start(url)
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("signalbook: ") == 1
    assert "DATABASE_UNPOOLED_URL" in done.stderr
    assert "?pgbouncer=true" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_service_does_not_start_behind_statement_mode_announced(own_database: str) -> None:
    with pgbouncer(own_database, mode="statement") as url:
        done = start(url + ANNOUNCED)
    assert done.returncode == 1, done.stderr
    assert "pool_mode" in done.stderr


def start(url: str) -> "subprocess.CompletedProcess[str]":
    """Start the service's process, and wait until it has given up."""
    return subprocess.run(
        [sys.executable, "-m", "app", "serve"], cwd=PROJECT, capture_output=True, text=True,
        env={"DATABASE_URL": url, "PORT": "0", "PATH": ""}, timeout=60, check=False,
    )  # fmt: skip


def test_one_that_comes_after_the_start_is_said(own_database: str) -> None:
    """Requests are refused as well: one session's statements would be another's."""
    with pgbouncer(own_database) as url, service(url) as client:
        answer = client.get("/health")
        assert answer.status_code == 503
        assert "DATABASE_UNPOOLED_URL" in answer.json()["cause"]
        assert "?pgbouncer=true" in answer.json()["cause"]
        refused = client.get("/api/productions")
        assert (refused.status_code, refused.json()["code"]) == (503, "POOLER")
        assert client.get("/api/health").status_code == 503
        assert client.get("/livez").status_code == 200


async def test_the_gate_refuses_one_before_it_locks_anything(own_database: str) -> None:
    with pgbouncer(own_database) as url:
        ended = await ran(url)
        assert ended.verdict is Verdict.REFUSED, ended
        assert "DATABASE_UNPOOLED_URL" in ended.words
        assert await column(own_database, HELD) == [0]
        assert (await ran(own_database)).verdict is Verdict.DONE


async def test_the_gate_refuses_one_before_the_service(own_database: str) -> None:
    with pgbouncer(own_database) as url:
        ended = await ran(own_database, service_url=url)
        assert ended.verdict is Verdict.REFUSED, ended
        assert "DATABASE_UNPOOLED_URL" in ended.words
        announced = await ran(own_database, service_url=url + ANNOUNCED)
        assert announced.verdict is Verdict.DONE, announced


@pytest.mark.parametrize("pool_mode", ["session", "transaction"])
async def test_one_that_refuses_our_settings_is_served_and_named(
    own_database: str, pool_mode: str
) -> None:
    suffix = ANNOUNCED if pool_mode == "transaction" else ""
    with pgbouncer(own_database, mode=pool_mode, ignore_startup_parameters=NOTHING) as url:
        found = await examined(url + suffix)
        assert found.healthy, found
        for name in ("statement_timeout", "lock_timeout", "plan_cache_mode",
                     "idle_in_transaction_session_timeout"):  # fmt: skip
            assert name in "".join(found.notes)
        with service(url + suffix) as client:
            made = created(client, "productions", name="x")
            assert client.get("/api/productions").json() == [made]
            assert "statement_timeout" in client.get("/health").json()["notes"][0]


async def test_one_that_drops_our_settings_is_named(own_database: str) -> None:
    with pgbouncer(own_database, mode="session") as url:
        found = await examined(url)
    assert found.healthy, found
    assert "The pooler does not pass on" in found.notes[0]
    assert "statement_timeout" in found.notes[0]


async def test_settings_of_the_role_are_as_good(own_database: str) -> None:
    database = DatabaseUrl.parse(own_database).database
    for setting in ("statement_timeout = 15000", "lock_timeout = 15000",
                    "idle_in_transaction_session_timeout = 15000",
                    "plan_cache_mode = force_generic_plan"):  # fmt: skip
        await execute(own_database, f"ALTER DATABASE {database} SET {setting}")
    with pgbouncer(own_database, mode="session") as url:
        assert (await examined(url)).notes == ()


async def test_a_setting_that_the_url_asks_for_is_not_left_out(own_database: str) -> None:
    with pgbouncer(own_database, ignore_startup_parameters=NOTHING) as url:
        arguments = DatabaseUrl.parse(f"{url}{ANNOUNCED}&options=-cwork_mem=8MB").connect_args()
        with pytest.raises(asyncpg.ProtocolViolationError, match="options"):
            await dial(arguments)
        cause = str((await examined(f"{url}{ANNOUNCED}&options=-cwork_mem=8MB")).cause)
        assert "unsupported startup parameter: options" in cause


async def test_a_dialer_asks_once_in_a_while(own_database: str) -> None:
    with pgbouncer(own_database) as url:
        arguments = DatabaseUrl.parse(url).connect_args()
        dialer = Dialer(announced=False)
        refusals = await asyncio.gather(
            *(dialer(arguments) for _ in range(5)), return_exceptions=True
        )
        assert {type(refusal) for refusal in refusals} == {PoolerInTheWay}


@pytest.fixture
def through(own_database: str) -> Iterator[httpx.Client]:
    with (
        pgbouncer(own_database, default_pool_size="3") as url,
        service(url + ANNOUNCED, pool_size=10) as client,
    ):
        yield client


async def test_many_through_few_sessions(through: httpx.Client) -> None:
    """More clients than sessions, each with reads, writes and looks: nothing is mixed up."""
    production = created(through, "productions", name="x")

    async def work(number: int, client: httpx.AsyncClient) -> None:
        body: dict[str, Any] = {
            "productionId": production["id"],
            "id": f"CAM {number}",
            "name": "x",
        }
        made = (await client.post("/api/cameras", json=body)).raise_for_status().json()
        edit = {"note": "n", "version": 1}
        (await client.put(f"/api/cameras/{made['uuid']}", json=edit)).raise_for_status()
        (await client.get("/health")).raise_for_status()
        assert (await client.get(f"/api/cameras/{made['uuid']}")).json()["note"] == "n"

    async with plain(base_url=through.base_url, timeout=30) as client:
        await asyncio.gather(*(work(number, client) for number in range(12)))
    assert len(through.get(f"/api/cameras/production/{production['id']}").json()) == 12

"""A disk that is full has its own code and words, at the service and at the gate."""

import asyncio
from collections.abc import Iterator

import asyncpg
import httpx
import pytest

from app.database.driver_errors import translate
from app.errors import DiskFull, OutOfMemory, TooManyConnections
from app.releases.apply.error_verdicts import failed
from app.releases.migrations.alembic_runner import upgrade
from app.releases.verdict import Verdict
from tests.support.databases import execute
from tests.support.gates import ran
from tests.support.service import service
from tests.support.small_disk import SmallDisk, small_disk


@pytest.fixture(scope="module")
def disk() -> Iterator[SmallDisk]:
    with small_disk() as lent:
        asyncio.run(upgrade(lent.url, say=lambda _: None))
        yield lent
        lent.clear()


def written(client: httpx.Client) -> httpx.Response:
    """Write until something is refused; give that answer."""
    for _ in range(2_000):
        answer = client.post("/api/productions", json={"name": "x"})
        if answer.status_code != 201:
            return answer
    raise AssertionError("the disk was never full")


async def test_a_full_disk_is_said_and_got_over(disk: SmallDisk) -> None:
    with service(disk.url) as client:
        assert client.get("/health").status_code == 200
        disk.fill()
        answer = written(client)
        assert (answer.status_code, answer.json()["code"]) == (503, "DISK_FULL"), answer.text
        assert "disk is full" in answer.json()["message"]
        assert int(answer.headers["retry-after"]) == 60
        sick = client.get("/health")
        assert sick.status_code == 503
        assert "DISK_FULL" in sick.text or "disk is full" in sick.text
        assert client.get("/api/productions").status_code == 200, "reading goes on"
    disk.clear()
    with service(disk.url) as client:
        assert client.get("/health").status_code == 200
        assert client.post("/api/productions", json={"name": "x"}).status_code == 201


async def test_the_gate_on_a_full_disk(disk: SmallDisk) -> None:
    await execute(disk.url, "CREATE DATABASE gated TEMPLATE template0")
    url = disk.url.replace("/postgres?", "/gated?")
    disk.fill()
    try:
        ended = await ran(url)
    finally:
        disk.clear()
    assert ended.verdict is Verdict.FAILED, ended
    assert "The disk of the database server is full" in ended.words
    assert "Make room" in ended.words


def test_words_of_the_gate() -> None:
    stopped = failed(asyncpg.DiskFullError("could not extend file"), "ALTER TABLE cameras")
    assert stopped.verdict is Verdict.FAILED
    assert "disk of the database server is full" in stopped.words
    assert "at: ALTER TABLE cameras" in stopped.words


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (asyncpg.DiskFullError, DiskFull),
        (asyncpg.OutOfMemoryError, OutOfMemory),
        (asyncpg.TooManyConnectionsError, TooManyConnections),
    ],
)
def test_what_the_server_has_run_out_of_is_no_busy_moment(
    theirs: type[Exception], ours: type[DiskFull]
) -> None:
    found = translate(theirs("x"))
    assert type(found) is ours
    assert int(found.headers["retry-after"]) > 2


@pytest.mark.parametrize("whose", ["ROLE {role}", "DATABASE {database}"])
def test_a_limit_of_connections_is_named(own_database: str, whose: str) -> None:
    name, database = "limited", own_database.partition("?")[0].rpartition("/")[2]
    role = f"{name}_{database}"
    asyncio.run(execute(own_database, f"CREATE ROLE {role} LOGIN"))
    try:
        sql = f"ALTER {whose.format(role=role, database=database)} CONNECTION LIMIT 0"
        asyncio.run(execute(own_database, sql))
        with service(own_database.replace("//postgres@", f"//{role}@")) as client:
            answer = client.get("/api/productions")
            assert (answer.status_code, answer.json()["code"]) == (503, "TOO_MANY_CONNECTIONS")
            assert answer.headers["retry-after"] == "5"
            assert "no further connection" in client.get("/health").json()["cause"]
    finally:
        asyncio.run(execute(own_database, f"DROP ROLE {role}"))

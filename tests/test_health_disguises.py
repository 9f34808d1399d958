"""A database that looks right and is not: /health names the cause, and so does the gate."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import asyncpg
import httpx
import pytest

from app.database.database import Database
from app.database.url import DatabaseUrl
from app.releases.migrations.alembic_runner import upgrade
from app.releases.verdict import Verdict
from tests.support import databases
from tests.support.databases import Server, execute
from tests.support.gates import ran
from tests.support.service import PlainClient, examined, service

SHADOW = "CREATE SCHEMA evil; CREATE TABLE evil.cameras (LIKE public.cameras INCLUDING ALL)"


def unhealthy(client: httpx.Client) -> str:
    """Return the cause for which the service is unhealthy."""
    answer = client.get("/health")
    waiting = client.get("/api/health")
    assert (answer.status_code, waiting.status_code) == (503, 503), answer.text
    assert answer.json()["status"] == "unhealthy"
    assert waiting.json()["message"] == answer.json()["cause"]
    assert client.get("/livez").status_code == 200
    return str(answer.json()["cause"])


@contextmanager
def role(server: Server, url: str, *, grants: bool = True) -> Iterator[str]:
    """Lend a role that may do what the service needs, by its URL."""
    name = f"role_of_{DatabaseUrl.parse(url).database}"
    server.run(f"CREATE ROLE {name} LOGIN")
    try:
        if grants:
            rights = "GRANT USAGE ON SCHEMA public TO {0}; GRANT SELECT, INSERT, UPDATE, DELETE ON "
            asyncio.run(execute(url, f"{rights}ALL TABLES IN SCHEMA public TO {{0}}".format(name)))
        yield url.replace("//postgres@", f"//{name}@")
    finally:
        asyncio.run(execute(url, f"DROP OWNED BY {name} CASCADE"))
        server.run(f"DROP ROLE {name}")


PATHS = {
    "database": "ALTER DATABASE {database} SET search_path = evil, public",
    "role": "ALTER ROLE {role} SET search_path = evil, public",
    "role in database": "ALTER ROLE {role} IN DATABASE {database} SET search_path = evil, public",
    "user": "ALTER SCHEMA evil RENAME TO {role}",
}
MENDED = {
    "database": "ALTER DATABASE {database} RESET search_path",
    "role": "ALTER ROLE {role} RESET search_path",
    "role in database": "ALTER ROLE {role} IN DATABASE {database} RESET search_path",
    "user": "ALTER ROLE {role} IN DATABASE {database} SET search_path = public",
}


@pytest.mark.parametrize("where", PATHS)
def test_another_table_of_that_name_stands_before_ours(
    postgres_server: Server, own_database: str, where: str
) -> None:
    """It is seen although every statement can be planned, and while old connections live on."""
    with role(postgres_server, own_database) as url, service(url) as client:
        made = client.post("/api/productions", json={"name": "x"}).raise_for_status().json()
        assert client.get("/health").status_code == 200
        address = DatabaseUrl.parse(url)
        names = {"role": address.user, "database": address.database}
        grant = f"{SHADOW}; GRANT USAGE ON SCHEMA evil TO {address.user}"
        asyncio.run(execute(own_database, grant))
        asyncio.run(execute(own_database, PATHS[where].format(**names)))
        cause = unhealthy(client)
        schema = address.user if where == "user" else "evil"
        assert f"cameras means {schema}.cameras instead of public.cameras" in cause
        assert MENDED[where].format(**names) in cause
        asyncio.run(execute(own_database, MENDED[where].format(**names)))
        # The sessions of before are ended when a look meets them.
        answers = [client.get("/health").status_code for _ in range(2)]
        assert answers[-1] == 200
        assert client.get(f"/api/cameras/production/{made['id']}").json() == []


async def test_the_url_itself_names_another_schema(own_database: str) -> None:
    await execute(own_database, SHADOW)
    url = f"{own_database}&options={quote('-c search_path=evil,public')}"
    found = await examined(url)
    assert not found.healthy
    assert "take search_path out of the options in the URL" in str(found.cause)
    ended = await ran(own_database, service_url=url)
    assert ended.verdict is Verdict.REFUSED, ended
    assert "The service's connection is unfit: The name cameras means evil.cameras" in ended.words


async def test_a_schema_that_is_not_searched_is_named(own_database: str) -> None:
    url = f"{own_database}&options={quote('-c search_path=nowhere')}"
    cause = str((await examined(url)).cause)
    assert "The schema public is not in the search_path (nowhere)" in cause


def test_a_temporary_table_in_a_session_of_the_pool(own_database: str) -> None:
    """It hides ours from whoever is lent that session; the look takes an idle one along."""
    with service(own_database, pool_size=1) as client:
        database: Database = client.service_app.state.database
        client.get("/api/productions").raise_for_status()
        connection = database.pool.take_idle()
        assert connection is not None
        loop = database.pool._loop  # noqa: SLF001  # a session that went astray
        sql = "CREATE TEMP TABLE cameras (LIKE public.cameras)"
        asyncio.run_coroutine_threadsafe(connection.execute(sql), loop).result(10)
        loop.call_soon_threadsafe(database.pool.release, connection)
        answer = client.get("/health")
        assert answer.status_code == 503
        assert "DROP TABLE pg_temp.cameras" in answer.json()["cause"]
        assert client.get("/health").status_code == 200, "that session has been ended"


async def test_the_gate_refuses_a_search_path_that_leads_elsewhere(own_database: str) -> None:
    database = DatabaseUrl.parse(own_database).database
    await execute(own_database, SHADOW)
    await execute(own_database, f"ALTER DATABASE {database} SET search_path = evil, public")
    ended = await ran(own_database)
    assert ended.verdict is Verdict.REFUSED, ended
    assert f"ALTER DATABASE {database} RESET search_path" in ended.words
    assert [stage["stage"] for stage in ended.stages] == ["connect"]


async def test_the_gate_makes_no_tables_in_another_schema(empty_database: str) -> None:
    database = DatabaseUrl.parse(empty_database).database
    await execute(empty_database, "CREATE SCHEMA evil")
    await execute(empty_database, f"ALTER DATABASE {database} SET search_path = evil, public")
    ended = await ran(empty_database)
    assert ended.verdict is Verdict.REFUSED, ended
    assert "New tables would go to the schema evil instead of public" in ended.words


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
async def test_a_database_of_another_encoding(postgres_server: Server, encoding: str) -> None:
    name = f"signalbook_test_{encoding.lower()}_{id(encoding)}"
    options = (
        f"ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' LOCALE_PROVIDER libc TEMPLATE template0"
    )
    await execute(postgres_server.url, f"CREATE DATABASE {name} {options}")
    url = postgres_server.within(name)
    try:
        await upgrade(url, say=lambda _: None)
        found = await examined(url)
        assert not found.healthy
        assert f"The database's encoding is {encoding}" in str(found.cause)
        ended = await ran(url)
        assert ended.verdict is Verdict.REFUSED, ended
        assert f"The database's encoding is {encoding}" in ended.words
    finally:
        await execute(postgres_server.url, f"DROP DATABASE {name} WITH (FORCE)")


def test_a_role_that_only_reads_by_default(postgres_server: Server, own_database: str) -> None:
    with role(postgres_server, own_database) as url, service(url) as client:
        assert client.get("/health").status_code == 200
        name = DatabaseUrl.parse(url).user
        sql = f"ALTER ROLE {name} SET default_transaction_read_only = on"
        asyncio.run(execute(own_database, sql))
        assert "takes no writes" in unhealthy(client)
        ended = asyncio.run(ran(own_database, service_url=url))
        assert ended.verdict is Verdict.REFUSED, ended
        assert "The service's connection is unfit" in ended.words


RIGHTS = {
    "REVOKE INSERT ON cameras FROM {}": ("lacks INSERT on cameras", "GRANT INSERT ON public.cam"),
    "REVOKE UPDATE ON sends FROM {}": ("lacks UPDATE on sends", "GRANT UPDATE ON public.sends"),
    "REVOKE DELETE ON presence FROM {}": ("lacks DELETE on presence", "GRANT DELETE"),
    "REVOKE SELECT ON productions FROM {}": ("lacks SELECT on productions", "GRANT SELECT"),
    "REVOKE ALL ON changes FROM {}": ("on changes", "GRANT"),
    "ALTER TABLE cameras ENABLE ROW LEVEL SECURITY": ("Row security", "BYPASSRLS"),
    "REVOKE EXECUTE ON FUNCTION pg_notify FROM PUBLIC": ("EXECUTE on pg_notify", "GRANT EXECUTE"),
    "CREATE SEQUENCE numbers OWNED BY cameras.version": ("USAGE of its sequence", "GRANT USAGE ON"),
}


@pytest.mark.parametrize("sql", RIGHTS)
def test_a_role_that_lacks_a_right(postgres_server: Server, own_database: str, sql: str) -> None:
    with role(postgres_server, own_database) as url, service(url) as client:
        assert client.get("/health").status_code == 200, client.get("/health").text
        asyncio.run(execute(own_database, sql.format(DatabaseUrl.parse(url).user)))
        cause = unhealthy(client)
        for words in RIGHTS[sql]:
            assert words in cause


def test_the_gate_names_the_right_that_the_service_lacks(
    postgres_server: Server, own_database: str
) -> None:
    with role(postgres_server, own_database) as url:
        asyncio.run(ran(own_database, service_url=url))
        name = DatabaseUrl.parse(url).user
        asyncio.run(execute(own_database, f"REVOKE DELETE ON presence FROM {name}"))
        ended = asyncio.run(ran(own_database, service_url=url))
        assert ended.verdict in {Verdict.UNVERIFIED, Verdict.DRIFTED}, ended
        assert "DELETE" in ended.words
        assert "presence" in ended.words


REFUSALS = (
    "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'not today'; END $$; CREATE TRIGGER no BEFORE {} FOR EACH ROW "
    "EXECUTE FUNCTION no()"
)


@pytest.mark.parametrize(
    "event", ["INSERT ON productions", "UPDATE ON productions", "INSERT ON cameras",
              "INSERT ON changes", "INSERT ON sources"],
)  # fmt: skip
def test_a_trigger_that_refuses_writes(own_database: str, event: str) -> None:
    asyncio.run(execute(own_database, REFUSALS.format(event)))
    with service(own_database) as client:
        assert "A write was tried and refused: not today" in unhealthy(client)


async def test_the_tried_write_leaves_nothing(own_database: str) -> None:
    """No row, no number, no announcement."""
    connection = await asyncpg.connect(**DatabaseUrl.parse(own_database).connect_args())
    heard: list[Any] = []
    await connection.add_listener("signalbook_changes", lambda *announced: heard.append(announced))
    try:
        for _ in range(3):
            assert (await examined(own_database)).healthy
        # Announcements come in the order of commits: after ours, none of an earlier one can follow.
        await connection.execute("NOTIFY signalbook_changes, 'ours'")
        for table in ("productions", "cameras", "changes", "sources", "presence"):
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0
        assert [announced[-1] for announced in heard] == ["ours"]
    finally:
        await connection.close()


@pytest.mark.parametrize("lock", [
    "SELECT FROM productions FOR UPDATE", "LOCK TABLE cameras IN SHARE MODE",
    "LOCK TABLE changes IN SHARE ROW EXCLUSIVE MODE",
])  # fmt: skip
async def test_a_lock_that_somebody_holds_is_no_illness(own_database: str, lock: str) -> None:
    with service(own_database) as client:
        client.post("/api/productions", json={"name": "x"}).raise_for_status()
        connection = await asyncpg.connect(**DatabaseUrl.parse(own_database).connect_args())
        async with connection.transaction():
            await connection.execute(lock)
            answer = client.get("/health")
            assert answer.status_code == 200, answer.text
        await connection.close()


async def test_a_pool_that_is_merely_busy_is_healthy(own_database: str) -> None:
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
                for _ in range(4):
                    assert second.get("/api/productions").json()["code"] == "BUSY"
                assert second.get("/health").status_code == 200
        await connection.close()
        assert waiting.result(10).status_code == 200

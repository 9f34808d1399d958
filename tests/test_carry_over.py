"""The older service's database carried over: nothing lost, and both services writing meanwhile."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Iterator
from typing import Final

import asyncpg
import pytest

from app.releases.migrations import revisions
from app.releases.migrations.alembic_runner import downgrade, upgrade
from tests import legacy, older_rows
from tests.legacy import connected, quiet
from tests.older_service import (
    OlderService,
    new_service_works,
    older_service_works,
    raise_unless_in_step,
)
from tests.support import databases

OLDER: Final = revisions.history()[0].name
BOTH_SERVE: Final = [
    revision.name
    for revision in itertools.takewhile(lambda r: r.phase != "contract", revisions.history())
]


@pytest.fixture(scope="session")
def older_template(postgres_server: databases.Server) -> str:
    """Return a database as the older service left it, with some 10,000 rows."""

    async def fill(url: str) -> None:
        await upgrade(url, OLDER, say=quiet)
        async with connected(url) as connection:
            await legacy.populate(connection)

    return postgres_server.template("older", lambda url: asyncio.run(fill(url)))


@pytest.fixture
def older_url(postgres_server: databases.Server, older_template: str) -> Iterator[str]:
    url = postgres_server.make(older_template)
    yield url
    postgres_server.drop(url)


@pytest.fixture
async def connection(older_url: str) -> AsyncIterator[asyncpg.Connection]:
    async with connected(older_url) as opened:
        yield opened


async def test_both_services_work_at_every_revision_until_the_contracts(
    empty_database: str,
) -> None:
    await upgrade(empty_database, OLDER, say=quiet)
    async with connected(empty_database) as connection:
        await legacy.populate(connection, 0.05)
        for number, revision in enumerate(BOTH_SERVE):
            await upgrade(empty_database, revision, say=quiet)
            await older_service_works(OlderService(connection, f"old {number}"))
            await new_service_works(connection, OlderService(connection, f"new {number}"))


async def test_everything_survives_to_the_head(
    older_url: str, connection: asyncpg.Connection
) -> None:
    columns = await legacy.columns(connection)
    before, files = await legacy.contents(connection, columns), await legacy.files(connection)
    notes = await connection.fetch("SELECT id, more_info, completion_note FROM checklist_items")
    assert sum(count for count, _ in before.values()) >= 10_000

    await upgrade(older_url, BOTH_SERVE[-1], say=quiet)
    assert await legacy.contents(connection, columns) == before
    await upgrade(older_url, say=quiet)

    after = await legacy.contents(connection, columns)
    changed = {table for table in before if after[table] != before[table]}
    # Its note texts are lists by now, and compared as such.
    assert changed == {"checklist_items"}
    assert after["checklist_items"][0] == before["checklist_items"][0]
    lists = {
        row["id"]: (row["more_info_list"], row["completion_note_list"])
        for row in await connection.fetch("SELECT * FROM checklist_items")
    }
    expected = dict(older_rows.NOTES)
    for item, *texts in notes:
        found = [None if text is None else json.loads(text) for text in lists[item]]
        assert found == [expected[text] for text in texts]
    assert await legacy.files(connection) == files, "a table was rewritten"


async def test_at_the_head_a_label_is_not_a_key(
    older_url: str, connection: asyncpg.Connection
) -> None:
    await upgrade(older_url, say=quiet)
    shows = await connection.fetch("SELECT uuid FROM productions LIMIT 2")
    for show in shows:
        await connection.execute(
            "INSERT INTO cameras (id, name, production_uuid) VALUES ('TWICE', 'n', $1)", show[0]
        )
    found = await connection.fetchval("SELECT count(*) FROM cameras WHERE id = 'TWICE'")
    assert found == len(shows)


async def test_every_downgrade_restores_what_was_before(empty_database: str) -> None:
    await upgrade(empty_database, OLDER, say=quiet)
    async with connected(empty_database) as connection:
        await legacy.populate(connection, 0.05)
        columns = await legacy.columns(connection)
        contents = await legacy.contents(connection, columns)
        for before, revision in itertools.pairwise(BOTH_SERVE):
            catalogue = await legacy.catalogue(connection)
            await upgrade(empty_database, revision, say=quiet)
            await downgrade(empty_database, before, say=quiet)
            assert await legacy.catalogue(connection) == catalogue, revision
            assert await legacy.contents(connection, columns) == contents, revision
            await upgrade(empty_database, revision, say=quiet)
        await downgrade(empty_database, OLDER, say=quiet)
        assert await legacy.contents(connection, columns) == contents


async def test_the_older_service_writes_throughout(
    older_url: str, connection: asyncpg.Connection
) -> None:
    rounds = 0

    async def write() -> None:
        nonlocal rounds
        while True:
            older = OlderService(connection, f"round {rounds}")
            await older.a_show()
            await older.update("cameras", "cam", ccu_id=older.id("ccu b"))
            await older.update("ccus", "ccu b", id=older.id("ccu z"))
            for table, name in (("sends", "send"), ("sources", "source"), ("events", "event")):
                await older.delete(table, name)
            rounds += 1

    writing = asyncio.create_task(write())
    await upgrade(older_url, BOTH_SERVE[-1], say=quiet)
    assert not writing.done(), writing.exception()
    writing.cancel()
    await asyncio.wait([writing])
    assert rounds > 3
    async with connected(older_url) as other:
        await raise_unless_in_step(other)


async def test_tables_that_are_not_ours_stay(
    older_url: str, connection: asyncpg.Connection
) -> None:
    await connection.execute(
        "CREATE TABLE crew_calls (id text PRIMARY KEY, production_id text NOT NULL"
        " REFERENCES productions (id) ON UPDATE CASCADE ON DELETE CASCADE);"
        "CREATE TABLE _prisma_migrations (id text PRIMARY KEY);"
        "INSERT INTO _prisma_migrations VALUES ('1');"
        "INSERT INTO crew_calls SELECT id, id FROM productions"
    )
    await upgrade(older_url, BOTH_SERVE[-1], say=quiet)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await connection.execute("INSERT INTO crew_calls VALUES ('m', 'no such show')")
    await connection.execute("UPDATE productions SET id = 'renamed' WHERE id = 'NULL'")
    found = await connection.fetchval("SELECT production_id FROM crew_calls WHERE id = 'NULL'")
    assert found == "renamed"

    said: list[str] = []
    await upgrade(older_url, say=said.append)
    assert any("crew_calls_production_id_fkey" in line for line in said)
    assert await connection.fetchval("SELECT count(*) FROM crew_calls") > 0
    assert await connection.fetchval("SELECT count(*) FROM _prisma_migrations") == 1

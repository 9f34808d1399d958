"""The older service's database carried over: nothing lost, and both services writing meanwhile."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import asyncpg
import pytest

from app.database_url import DatabaseUrl
from app.releases import revisions
from app.releases.migrate import downgrade, upgrade
from tests import legacy
from tests.legacy import connected, quiet
from tests.support import databases

OLDER: Final = revisions.history()[0].name
BOTH_SERVE: Final = [r.name for r in revisions.history() if r.phase != "contract"]

LINKS: Final = (
    *((table, "production", "productions") for table in legacy.TABLES
      if table not in {"productions", "source_outputs"}),
    ("cameras", "ccu", "ccus"),
    ("source_outputs", "source", "sources"),
    ("connections", "source", "sources"),
)  # fmt: skip


@pytest.fixture(scope="session")
def older_template(postgres_server: databases.Server) -> str:
    """A database as the older service left it, with some 10,000 rows."""
    url = postgres_server.make()

    async def fill() -> None:
        await upgrade(url, OLDER, say=quiet)
        async with connected(url) as connection:
            await legacy.populate(connection)

    asyncio.run(fill())
    return DatabaseUrl.parse(url).database


@pytest.fixture
def older_url(postgres_server: databases.Server, older_template: str) -> Iterator[str]:
    url = postgres_server.make(older_template)
    yield url
    postgres_server.drop(url)


@pytest.fixture
async def connection(older_url: str) -> AsyncIterator[asyncpg.Connection]:
    async with connected(older_url) as opened:
        yield opened


async def raise_unless_in_step(connection: asyncpg.Connection) -> None:
    """Compare every text key with the uuid beside it, and every note with its list."""
    now = await legacy.columns(connection)
    for table, stem, parent in LINKS:
        if {f"{stem}_id", f"{stem}_uuid"} <= now[table].keys():
            apart = await connection.fetch(
                f"SELECT t.id, t.{stem}_id, t.{stem}_uuid FROM {table} t LEFT JOIN {parent} p"
                f" ON p.id = t.{stem}_id WHERE t.{stem}_uuid IS DISTINCT FROM p.uuid"
            )
            assert apart == [], f"{table}.{stem}"
    if {"more_info", "more_info_list"} <= now["checklist_items"].keys():
        query = "SELECT id FROM checklist_items WHERE more_info_list IS DISTINCT FROM text_to_list"
        assert await connection.fetch(f"{query}(more_info)") == []


class OlderService:
    """Writes as the older service does: by ``id`` and text keys, times in UTC without a zone."""

    def __init__(self, connection: asyncpg.Connection, tag: str) -> None:
        self.connection, self.tag = connection, tag

    def row(self, table: str, name: str) -> dict[str, Any]:
        own: dict[str, dict[str, Any]] = {
            "productions": {"client": "c", "show_name": name},
            "cable_snakes": {"name": name},
            "ccus": {"name": name},
            "cameras": {"name": name, "ccu_id": self.id("ccu a")},
            "sources": {"name": name, "type": "LAPTOP"},
            "source_outputs": {"source_id": self.id("source"), "connector": "HDMI"},
            "sends": {"name": name, "type": "LED"},
            "connections": {"destination_type": "SEND", "source_id": self.id("source")},
            "checklist_items": {"title": name, "more_info": '["a"]', "completion_note": "b"},
            "events": {
                "event_type": "CAMERA", "operation": "CREATE", "entity_id": "1", "user_id": "u",
            },
        }  # fmt: skip
        shared: dict[str, Any] = {"id": self.id(name)}
        if table not in {"productions", "source_outputs"}:
            shared["production_id"] = self.id("show")
        if table not in {"source_outputs", "events"}:
            shared["updated_at"] = "2026-01-01 10:00:00.123"
        return shared | own[table]

    def id(self, name: str) -> str:
        return f"{self.tag} {name}"

    async def insert(self, table: str, name: str, **changes: Any) -> None:
        row = self.row(table, name) | changes
        await self._write(table, row, f"INSERT INTO {table} ({', '.join(row)}) SELECT")

    async def upsert(self, table: str, name: str) -> None:
        row = self.row(table, name)
        taken = ", ".join(f"{column} = excluded.{column}" for column in row)
        conflict = f" ON CONFLICT (id) DO UPDATE SET {taken}"
        await self._write(table, row, f"INSERT INTO {table} ({', '.join(row)}) SELECT", conflict)

    async def update(self, table: str, name: str, **changes: Any) -> None:
        values = ", ".join(f"{column} = ${place}" for place, column in enumerate(changes, 2))
        await self.connection.execute(
            f"UPDATE {table} SET {values} WHERE id = $1", self.id(name), *changes.values()
        )

    async def read(self, table: str, name: str, column: str) -> Any:
        return await self.connection.fetchval(
            f"SELECT {column} FROM {table} WHERE id = $1", self.id(name)
        )

    async def delete(self, table: str, name: str) -> None:
        done = await self.connection.execute(f"DELETE FROM {table} WHERE id = $1", self.id(name))
        assert done == "DELETE 1"

    async def _write(self, table: str, row: dict[str, Any], head: str, tail: str = "") -> None:
        columns = ", ".join(row)
        await self.connection.execute(
            f"{head} {columns} FROM jsonb_populate_record(NULL::{table}, $1){tail}", json.dumps(row)
        )

    async def a_show(self) -> None:
        """Write one row of everything."""
        for table, name in (
            ("productions", "show"), ("ccus", "ccu a"), ("ccus", "ccu b"), ("cameras", "cam"),
            ("cable_snakes", "snake"), ("sources", "source"), ("source_outputs", "out"),
            ("sends", "send"), ("connections", "con"), ("checklist_items", "chk"),
            ("events", "event"),
        ):  # fmt: skip
            await self.insert(table, name)
            await self.upsert(table, name)


async def older_service_works(older: OlderService) -> None:
    """Do everything the older service does, as it did it before."""
    await older.a_show()
    await raise_unless_in_step(older.connection)
    for ccu in ("ccu b", None, "ccu a"):
        await older.update("cameras", "cam", ccu_id=ccu and older.id(ccu))
        await raise_unless_in_step(older.connection)
    await older.update("checklist_items", "chk", more_info="by hand", completion_note=None)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await older.insert("cameras", "cam 2", ccu_id="no such ccu")
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await older.update("sends", "send", production_id="no such show")
    with pytest.raises(asyncpg.UniqueViolationError):
        await older.insert("cameras", "cam")
    await older_service_renames(older)
    await older_service_deletes(older)


async def older_service_renames(older: OlderService) -> None:
    """Change keys: the text keys of the children follow, as ON UPDATE CASCADE made them."""
    await older.update("ccus", "ccu a", id=older.id("ccu z"))
    assert await older.read("cameras", "cam", "ccu_id") == older.id("ccu z")
    await older.update("sources", "source", id=older.id("source z"))
    assert await older.read("source_outputs", "out", "source_id") == older.id("source z")
    assert await older.read("connections", "con", "source_id") == older.id("source z")
    await older.update("productions", "show", id=older.id("show z"))
    assert await older.read("events", "event", "production_id") == older.id("show z")
    await raise_unless_in_step(older.connection)


async def older_service_deletes(older: OlderService) -> None:
    """Delete parents: children go with them or lose their link, as before."""
    await older.delete("ccus", "ccu z")
    assert await older.read("cameras", "cam", "ccu_id") is None
    await older.delete("sources", "source z")
    assert await older.read("source_outputs", "out", "id") is None
    assert await older.read("connections", "con", "source_id") is None
    await raise_unless_in_step(older.connection)
    await older.delete("sends", "send")
    await older.delete("productions", "show z")
    for table, name in (("cameras", "cam"), ("checklist_items", "chk"), ("events", "event")):
        assert await older.read(table, name, "id") is None


async def new_service_works(connection: asyncpg.Connection, older: OlderService) -> None:
    """Write by uuid alone, on every table that has it: the older service reads its text keys."""
    now = await legacy.columns(connection)
    await older.a_show()
    uuids = {}
    for table, name in (("productions", "show"), ("ccus", "ccu a"), ("ccus", "ccu b")):
        if "uuid" in now[table]:
            uuids[name] = await older.read(table, name, "uuid")
    for table in ("cable_snakes", "ccus", "cameras", "sources", "sends"):
        if "production_uuid" in now[table]:
            kind = ", type" if "type" in now[table] else ""
            await connection.execute(
                f"INSERT INTO {table} (id, name, production_uuid{kind})"
                f" VALUES ('by uuid', 'n', $1{', $$t$$' if kind else ''})",
                uuids["show"],
            )
            found = await connection.fetchval(
                f"SELECT production_id FROM {table} WHERE id = 'by uuid'"
            )
            assert found == older.id("show")
    if "ccu_uuid" in now["cameras"]:
        for ccu in ("ccu b", None, "ccu a"):
            uuid, label = (uuids[ccu], older.id(ccu)) if ccu else (None, None)
            await older.update("cameras", "cam", ccu_uuid=uuid)
            assert await older.read("cameras", "cam", "ccu_id") == label
    if "more_info_list" in now["checklist_items"]:
        await older.update("checklist_items", "chk", more_info_list='["x", {"y": 1}]')
        assert await older.read("checklist_items", "chk", "more_info") == '["x", {"y": 1}]'
        await older.update("checklist_items", "chk", more_info_list=None)
        assert await older.read("checklist_items", "chk", "more_info") is None
    await raise_unless_in_step(connection)
    await older.delete("productions", "show")


async def test_both_services_work_at_every_revision_until_the_contracts(
    older_url: str, connection: asyncpg.Connection
) -> None:
    for number, revision in enumerate(BOTH_SERVE):
        await upgrade(older_url, revision, say=quiet)
        await older_service_works(OlderService(connection, f"old {number}"))
        await new_service_works(connection, OlderService(connection, f"new {number}"))


async def test_everything_survives_to_the_head(
    older_url: str, connection: asyncpg.Connection
) -> None:
    columns = await legacy.columns(connection)
    before, files = await legacy.contents(connection, columns), await legacy.files(connection)
    notes = await connection.fetch("SELECT id, more_info, completion_note FROM checklist_items")
    assert sum(count for count, _ in before.values()) >= 10_000

    await upgrade(older_url, revisions.needed(), say=quiet)
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
    expected = dict(legacy.NOTES)
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
            await older_service_deletes_all_but_camera(older)
            rounds += 1

    writing = asyncio.create_task(write())
    await upgrade(older_url, revisions.needed(), say=quiet)
    assert not writing.done(), writing.exception()
    writing.cancel()
    await asyncio.wait([writing])
    assert rounds > 3
    async with connected(older_url) as other:
        await raise_unless_in_step(other)


async def older_service_deletes_all_but_camera(older: OlderService) -> None:
    """Leave a linked camera behind each round, so that there is something to compare."""
    for table, name in (("sends", "send"), ("sources", "source"), ("events", "event")):
        await older.delete(table, name)


async def test_tables_that_are_not_ours_stay(
    older_url: str, connection: asyncpg.Connection
) -> None:
    await connection.execute(
        "CREATE TABLE media_servers (id text PRIMARY KEY, production_id text NOT NULL"
        " REFERENCES productions (id) ON UPDATE CASCADE ON DELETE CASCADE);"
        "CREATE TABLE _prisma_migrations (id text PRIMARY KEY);"
        "INSERT INTO _prisma_migrations VALUES ('1');"
        "INSERT INTO media_servers SELECT id, id FROM productions"
    )
    await upgrade(older_url, revisions.needed(), say=quiet)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await connection.execute("INSERT INTO media_servers VALUES ('m', 'no such show')")
    await connection.execute("UPDATE productions SET id = 'renamed' WHERE id = 'NULL'")
    found = await connection.fetchval("SELECT production_id FROM media_servers WHERE id = 'NULL'")
    assert found == "renamed"

    said: list[str] = []
    await upgrade(older_url, say=said.append)
    assert any("media_servers_production_id_fkey" in line for line in said)
    assert await connection.fetchval("SELECT count(*) FROM media_servers") > 0
    assert await connection.fetchval("SELECT count(*) FROM _prisma_migrations") == 1

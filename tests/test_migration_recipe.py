"""A migration that is stopped, blocked or met by leftovers ends as if nothing had happened."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from typing import Any, Final

import asyncpg
import pytest

from app.releases.migrations import (
    backfill,
    migration_session,
    observer,
    phased_change,
    revisions,
    steps,
)
from app.releases.migrations.alembic_runner import current, upgrade
from app.releases.migrations.migration_session import MIGRATION_LOCK
from app.releases.migrations.observer import StepBlocked
from app.releases.migrations.steps import LiveSteps
from app.releases.verdict import MigrationContended
from tests import legacy, older_rows
from tests.legacy import connected, quiet

OLDER: Final = revisions.history()[0].name
BEFORE: Final = "0004_cable_snakes_switch"
CCUS: Final = "0005_ccus_expand"
LISTS: Final = "0015_checklist_items_expand"


@pytest.fixture
async def older(empty_database: str) -> AsyncIterator[asyncpg.Connection]:
    """Return a populated older database."""
    await upgrade(empty_database, OLDER, say=quiet)
    async with connected(empty_database) as connection:
        await legacy.populate(connection, 0.2)
        yield connection


class Killed(Exception):
    """Stands for the process that ends in the middle of a backfill."""


async def test_a_killed_backfill_goes_on_where_it_was(
    empty_database: str, older: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await upgrade(empty_database, BEFORE, say=quiet)
    columns = await legacy.columns(older)
    before = await legacy.contents(older, columns)
    small_batches(monkeypatch)
    with monkeypatch.context() as killing:
        pauses = iter(range(2))
        killing.setattr(LiveSteps, "pause", lambda *_: kill(pauses))
        with pytest.raises(Killed):
            await upgrade(empty_database, CCUS, say=quiet)

    assert await current(empty_database) == BEFORE
    cursor = await older.fetchrow(
        "SELECT cursor, done FROM release_backfill WHERE name LIKE 'ccus%' AND finished_at IS NULL"
    )
    assert cursor is not None
    assert cursor["done"] == 30
    filled = "SELECT id, uuid FROM ccus WHERE uuid IS NOT NULL ORDER BY id"
    first = await older.fetch(filled)
    assert len(first) == 30

    await upgrade(empty_database, CCUS, say=quiet)
    assert first == [row for row in await older.fetch(filled) if row in first], "filled twice"
    assert await older.fetchval("SELECT count(*) FROM ccus WHERE uuid IS NULL") == 0
    assert await legacy.contents(older, columns) == before


def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRST_BATCH", "SMALLEST_BATCH", "LARGEST_BATCH"):
        monkeypatch.setattr(backfill, name, 10)


def kill(pauses: Any) -> None:
    if next(pauses, None) is None:
        raise Killed


async def test_every_revision_may_be_run_again(
    empty_database: str, older: asyncpg.Connection
) -> None:
    names = [revision.name for revision in revisions.history()]
    for before, revision in itertools.pairwise(names):
        await upgrade(empty_database, revision, say=quiet)
        catalogue = await legacy.catalogue(older)
        # Killed after its last step, before Alembic noted it.
        await older.execute("UPDATE alembic_version SET version_num = $1", before)
        await upgrade(empty_database, revision, say=quiet)
        assert await legacy.catalogue(older) == catalogue, revision


async def test_a_row_that_slips_behind_the_cursor_is_filled(
    empty_database: str, older: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await upgrade(empty_database, BEFORE, say=quiet)
    small_batches(monkeypatch)
    # The trigger stands for a writer: when the walk reaches CCU 50, CCU 99 moves to its start.
    await older.execute("""
        CREATE FUNCTION slip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
          UPDATE ccus SET id = '!' WHERE id = 'CCU 99'; RETURN NULL; END $$;
        CREATE TRIGGER slip AFTER UPDATE ON ccus FOR EACH ROW WHEN (OLD.id = 'CCU 50')
          EXECUTE FUNCTION slip()""")
    await upgrade(empty_database, CCUS, say=quiet)
    assert await older.fetchval("SELECT uuid FROM ccus WHERE id = '!'") is not None


async def test_progress_is_told_for_a_large_table(
    empty_database: str, older: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_batches(monkeypatch)
    monkeypatch.setattr(backfill, "TELL_FROM", 50)
    monkeypatch.setattr(backfill, "TELL_EVERY", 0)
    said: list[str] = []
    await upgrade(empty_database, CCUS, say=said.append)
    count = await older.fetchval("SELECT count(*) FROM ccus")
    assert f"Filling ccus: uuid, production_uuid: 10 of {count} rows." in said


async def test_an_invalid_index_is_built_again(
    empty_database: str, older: asyncpg.Connection
) -> None:
    await upgrade(empty_database, BEFORE, say=quiet)
    await older.execute("ALTER TABLE ccus ADD COLUMN uuid uuid")
    await older.execute("UPDATE ccus SET uuid = gen_random_uuid()")
    await older.execute("UPDATE ccus SET uuid = (SELECT uuid FROM ccus LIMIT 1) WHERE id = 'NULL'")
    with pytest.raises(asyncpg.UniqueViolationError):
        await older.execute("CREATE UNIQUE INDEX CONCURRENTLY ccus_uuid_key ON ccus (uuid)")
    await older.execute("UPDATE ccus SET uuid = NULL WHERE id = 'NULL'")

    said: list[str] = []
    await upgrade(empty_database, CCUS, say=said.append)
    assert any("ccus_uuid_key was left invalid" in line for line in said)
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ccus_uuid_key'::regclass"
    assert await older.fetchval(valid) is True


async def test_a_step_waits_for_a_short_lock_and_gives_up_on_a_long_one(
    empty_database: str, older: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await upgrade(empty_database, BEFORE, say=quiet)
    monkeypatch.setattr(observer, "TRIES", 2)
    monkeypatch.setattr(steps, "_timeouts", lambda _: ("SET LOCAL lock_timeout = '100ms'",))
    async with older.transaction():
        await older.execute("UPDATE ccus SET name = 'busy' WHERE id = 'NULL'")
        with pytest.raises(StepBlocked, match="changed nothing"):
            await upgrade(empty_database, CCUS, say=quiet)
        assert await current(empty_database) == BEFORE
        monkeypatch.setattr(observer, "TRIES", 50)
        upgrading = asyncio.create_task(upgrade(empty_database, CCUS, say=quiet))
        await asyncio.sleep(0.5)
        assert not upgrading.done()
    await upgrading
    assert await current(empty_database) == CCUS


async def test_one_migration_at_a_time(
    empty_database: str, older: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    await older.execute(f"SELECT pg_advisory_lock({MIGRATION_LOCK})")
    with monkeypatch.context() as impatient:
        impatient.setattr(migration_session, "LOCK_PATIENCE", 0.0)
        with pytest.raises(MigrationContended, match="nothing was changed"):
            await upgrade(empty_database, BEFORE, say=quiet)
    upgrading = asyncio.create_task(upgrade(empty_database, BEFORE, say=said.append))
    async with asyncio.timeout(60):
        while not said:  # noqa: ASYNC110  # a line sets no event
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.5)  # time to say it again
    assert len(said) == 1, "it is told once"
    assert said[0].startswith("Another migration is running on this database; waiting for it")
    assert f"process {older.get_server_pid()} " in said[0], "and who holds the lock"
    await older.execute(f"SELECT pg_advisory_unlock({MIGRATION_LOCK})")
    await upgrading
    assert await current(empty_database) == BEFORE


async def test_a_link_that_names_nothing_stops_the_migration(
    empty_database: str, older: asyncpg.Connection
) -> None:
    await older.execute("ALTER TABLE cameras DROP CONSTRAINT cameras_ccu_id_fkey")
    await older.execute("UPDATE cameras SET ccu_id = 'gone' WHERE id = 'NULL'")
    with pytest.raises(backfill.BackfillStuck, match="1 rows of cameras") as stuck:
        await upgrade(empty_database, CCUS, say=quiet)
    _, _, query = str(stuck.value).partition(": ")
    assert len(await older.fetch(query)) == 1


async def test_a_foreign_key_that_is_not_ours_is_validated_though_the_switch_was_killed(
    empty_database: str, older: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await older.execute(
        "CREATE TABLE racks (id text PRIMARY KEY, snake_id text REFERENCES cable_snakes (id));"
        "CREATE TABLE shelves (snake_id text);"
        "INSERT INTO shelves VALUES ('names nothing');"
        "ALTER TABLE shelves ADD CONSTRAINT racks_snake_id_fkey FOREIGN KEY (snake_id)"
        " REFERENCES cable_snakes (id) NOT VALID"  # the same name, on another table
    )
    await upgrade(empty_database, "0003_cable_snakes_expand", say=quiet)
    with monkeypatch.context() as killing:
        killing.setattr(phased_change, "_validate_again", lambda *_: kill(iter(())))
        with pytest.raises(Killed):
            await upgrade(empty_database, BEFORE, say=quiet)
    valid = "SELECT convalidated FROM pg_constraint WHERE conrelid = $1::text::regclass"
    assert await older.fetchval(f"{valid} AND contype = 'f'", "racks") is False
    await upgrade(empty_database, BEFORE, say=quiet)
    assert await older.fetchval(f"{valid} AND contype = 'f'", "racks") is True
    assert await older.fetchval(f"{valid} AND contype = 'f'", "shelves") is False


@pytest.fixture
async def with_lists(empty_database: str) -> AsyncIterator[asyncpg.Connection]:
    await upgrade(empty_database, LISTS, say=quiet)
    async with connected(empty_database) as connection:
        yield connection


async def test_a_note_becomes_a_list(with_lists: asyncpg.Connection) -> None:
    for text, expected in older_rows.NOTES:
        found = await with_lists.fetchval("SELECT text_to_list($1)", text)
        assert (found if found is None else json.loads(found)) == expected, text
    deep = "[" * 100_000
    found = await with_lists.fetchval("SELECT text_to_list($1)", deep)
    assert json.loads(found) == [deep]

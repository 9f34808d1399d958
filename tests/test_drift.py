"""Drift: every seeded one is found and mended, and a clean database has none, at every revision."""

import asyncio
import json
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, Final

import asyncpg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlmodel import SQLModel

from app.cli.commands.drift import drift
from app.database.url import DatabaseUrl
from app.releases.migrations import revisions
from app.releases.migrations.alembic_runner import make_engine, upgrade
from app.releases.schema.comparison.compare_snapshots import compare
from app.releases.schema.comparison.finding import Finding
from app.releases.schema.drift import Unplaced, inspect
from app.releases.schema.introspection.introspect import read_snapshot
from app.releases.schema.scratch_database import (
    PREFIX,
    NoScratch,
    expected_snapshot,
    scratch_database,
)
from app.releases.schema.snapshot import Snapshot, fingerprint, from_json
from app.releases.verdict import MigrationContended, MigrationError
from app.settings import PROJECT
from tests import legacy
from tests.legacy import connected, quiet
from tests.support.databases import Server, column, execute
from tests.support.drifts import DRESS, DRIFTS, Drift, dressed

ROLE: Final = f"signalbook_drift_{os.getpid()}"
GRANTS: Final = (
    f"GRANT USAGE ON SCHEMA public TO {ROLE}",
    f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {ROLE}",
    f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {ROLE}",
)

# What SQLAlchemy asks of a catalogue is compiled once for all databases.
COMPILED: Final[dict[Any, Any]] = {}

# What lies on no table of ours shows on all of them alike, or on those that have an enum.
SOME: Final = frozenset({"productions", "cameras", "events", "equipment_specs"})
OLDER: Final = ("_prisma_migrations", "crew_calls")
DATABASES: Final = "SELECT datname FROM pg_database"


class Bases:
    """The databases that drifts are done to, with what each should be."""

    def __init__(self, server: Server, template: str) -> None:
        self._server = server
        needed = server.make()
        asyncio.run(upgrade(needed, revisions.needed(), say=quiet))
        self._urls = {"head": server.make(template), "dressed": server.make(template)}
        self._urls["needed"] = needed
        for statement in DRESS:
            asyncio.run(execute(self._urls["dressed"], statement))
        for url in self._urls.values():
            asyncio.run(_granted(url))
        self.expected = {name: asyncio.run(taken(url)) for name, url in self._urls.items()}
        self._said: dict[tuple[str, str | None], set[str]] = {}

    @contextmanager
    def copy(self, name: str) -> Iterator[str]:
        with self._server.lent(DatabaseUrl.parse(self._urls[name]).database) as url:
            yield url

    async def alembic(self, base: str, table: str | None, url: str) -> set[str]:
        """Return what ``alembic check`` says of a copy and not of its base, or the other way."""
        if (base, table) not in self._said:
            self._said[base, table] = await alembic(self._urls[base], base, table)
        return self._said[base, table] ^ await alembic(url, base, table)

    def drop(self) -> None:
        for url in self._urls.values():
            self._server.drop(url)


@pytest.fixture(scope="session")
def bases(postgres_server: Server, template: str) -> Iterator[Bases]:
    postgres_server.run(f"CREATE ROLE {ROLE} LOGIN")
    made = Bases(postgres_server, template)
    yield made
    made.drop()
    postgres_server.run(f"DROP ROLE {ROLE}")


@pytest.fixture
def copy_of_head(bases: Bases) -> Iterator[str]:
    with bases.copy("head") as url:
        yield url


@pytest.fixture
def copy(bases: Bases, case: Drift) -> Iterator[str]:
    with bases.copy(case.base) as url:
        yield url


async def taken(url: str, role: str | None = ROLE) -> Snapshot:
    async with connected(url) as connection:
        return await read_snapshot(connection, role)


async def alembic(url: str, base: str, table: str | None) -> set[str]:
    """Return what ``alembic check`` would say of a table, else of some, asked as we ask it."""
    models = dressed() if base == "dressed" else SQLModel.metadata
    wanted = {table} & models.tables.keys() or SOME
    options = {
        "include_name": lambda name, kind, _: kind != "table" or name in wanted,
        "include_object": lambda _, name, kind, *__: kind != "table" or name in wanted,
        "compare_type": True,
        "compare_server_default": True,
    }

    def asked(connection: sa.Connection) -> set[str]:
        context = MigrationContext.configure(connection, opts=options)
        # An object without a name of its own is shown with its address, another every time.
        with warnings.catch_warnings(action="ignore"):  # it warns of what it cannot compare
            found = compare_metadata(context, models)
        return {re.sub(r" at 0x\w+", "", repr(difference)) for difference in found}

    engine = make_engine(url).execution_options(compiled_cache=COMPILED)
    async with engine.connect() as connection:
        return await connection.run_sync(asked)


async def mended(connection: asyncpg.Connection, found: list[Finding]) -> None:
    """Run every mend; where it is all comments, its steps."""
    for finding in found:
        by_hand = all(line.startswith("--") for line in finding.mend)
        steps = [line[5:] for line in finding.mend if line.startswith("--   ")]
        live = [line for line in finding.mend if not line.startswith("--")]
        for statement in steps if by_hand else live:
            await connection.execute(statement)


async def _granted(url: str) -> None:
    async with connected(url) as connection:
        for statement in GRANTS:
            await connection.execute(statement)


def seeded(case: Drift, url: str) -> str:
    names = {"role": ROLE, "database": DatabaseUrl.parse(url).database}
    return case.sql.format(**names)


@pytest.mark.parametrize("case", DRIFTS, ids=lambda case: case.name)
async def test_a_seeded_drift_is_found_and_mended(case: Drift, copy: str, bases: Bases) -> None:
    should = bases.expected[case.base]
    async with connected(copy) as connection:
        await connection.execute(seeded(case, copy))
        live = await read_snapshot(connection, ROLE)
        found = compare(should, live)

        wanted = (case.kind, case.table, case.object.replace("{role}", ROLE))
        assert wanted in [(finding.kind, finding.table, finding.object) for finding in found]
        assert {finding.kind for finding in found} <= {case.kind, *case.also}
        for finding in found:
            assert finding.object.rpartition(".")[2] in finding.words
            assert finding.table is None or finding.table in finding.words
        assert fingerprint(live.beside(should)) != fingerprint(should)
        assert bool(await bases.alembic(case.base, case.table, copy)) == case.alembic

        for _ in range(3):  # a mend may uncover what the drift hid
            await mended(connection, found)
            if not (found := compare(should, await read_snapshot(connection, ROLE))):
                return
        pytest.fail(f"still there: {found}")


async def test_a_clean_database_has_no_drift_at_any_revision(
    empty_database: str, postgres_server: Server, bases: Bases
) -> None:
    """The live one holds rows and an older service's tables; what should be is built empty."""
    async with scratch_database(postgres_server.url) as built:
        for revision in revisions.history():
            await upgrade(empty_database, revision.name, say=quiet)
            await upgrade(built, revision.name, say=quiet)
            if revision == revisions.history()[0]:
                await older_service(empty_database)
            should, live = await taken(built, None), await taken(empty_database, None)
            assert compare(should, live) == [], revision.name
            assert live.beside(should).others == OLDER
            assert fingerprint(replace(live.beside(should), others=())) == fingerprint(should)
        built_at_once = bases.expected["head"]
        assert fingerprint(built_at_once) == fingerprint(should)


async def older_service(url: str) -> None:
    """Fill the database, and put tables that are not ours beside."""
    async with connected(url) as connection:
        await legacy.populate(connection, 0.01)
        for name in OLDER:
            await connection.execute(f"CREATE TABLE {name} (id text PRIMARY KEY)")


async def test_both_directions_are_looked_at(bases: Bases) -> None:
    bare, dressed_up = bases.expected["head"], bases.expected["dressed"]
    missing = {finding.object: finding.kind for finding in compare(dressed_up, bare)}
    extra = {finding.object: finding.kind for finding in compare(bare, dressed_up)}
    assert missing.keys() - extra.keys() == {"cable_snakes_counted_seq"}  # it goes with its column
    assert {kind.rpartition("_")[2] for kind in missing.values()} == {"missing"}
    assert {kind.rpartition("_")[2] for kind in extra.values()} == {"extra"}


async def test_other_tables_are_listed_and_only_a_stray_one_is_a_finding(bases: Bases) -> None:
    should = bases.expected["head"]
    theirs = replace(should, others=OLDER)
    assert compare(should, theirs) == []
    assert fingerprint(theirs) != fingerprint(should)
    assert [f.table for f in compare(should, theirs, acquainted=OLDER[:1])] == [OLDER[1]]
    ours_alone = replace(should, others=OLDER[1:])
    assert [f.kind for f in compare(should, ours_alone)] == ["table_extra"]
    assert compare(should, ours_alone, acquainted=OLDER) == []


async def test_what_a_failed_concurrent_build_left_is_found(
    copy_of_head: str, bases: Bases
) -> None:
    should = bases.expected["head"]
    async with connected(copy_of_head) as writer, connected(copy_of_head) as builder:
        await builder.execute("DROP INDEX cameras_id_idx")
        await builder.execute("SET lock_timeout = '100ms'")
        async with writer.transaction():
            await writer.execute("LOCK TABLE cameras IN ROW EXCLUSIVE MODE")
            for build in (
                "INDEX CONCURRENTLY cameras_id_idx ON cameras (id) WHERE NOT is_deleted",
                "INDEX CONCURRENTLY IF NOT EXISTS cameras_id_idx ON cameras (id)",
            ):
                with suppress(asyncpg.LockNotAvailableError):
                    await builder.execute(f"CREATE {build}")
    (found,) = compare(should, await taken(copy_of_head))
    assert (found.kind, found.object) == ("index_invalid", "cameras_id_idx")
    assert "INVALID" in found.words
    async with connected(copy_of_head) as connection:
        await mended(connection, [found])
        assert compare(should, await read_snapshot(connection, ROLE)) == []


async def test_an_invalid_leftover_of_another_name_stands_in_for_nothing(bases: Bases) -> None:
    should = bases.expected["head"]
    cameras = should.tables["cameras"]
    wanted = cameras.indexes["cameras_id_idx"]
    indexes = {**cameras.indexes, "cameras_id_idx_ccnew": replace(wanted, valid=False)}
    del indexes["cameras_id_idx"]
    tables = {**should.tables, "cameras": replace(cameras, indexes=indexes)}
    kinds = [finding.kind for finding in compare(should, replace(should, tables=tables))]
    assert kinds == ["index_missing", "index_invalid"]


async def test_the_whole_way_for_a_live_database(own_database: str) -> None:
    said: list[str] = []
    assert await drift(own_database, said.append) == []
    assert said == [f"No drift: the schema is what the revisions up to {revisions.head()} build."]

    await execute(own_database, "ALTER TABLE cameras ALTER COLUMN name DROP NOT NULL")
    await execute(own_database, "CREATE TABLE _prisma_migrations (id text)")
    (found,) = await drift(own_database, said.append)
    assert found.kind == "nullability"
    assert any("Column name of cameras should have nullability NOT NULL" in s for s in said)
    assert any("ALTER TABLE cameras ALTER COLUMN name SET NOT NULL;" in line for line in said)
    assert "Not ours, and not looked at: _prisma_migrations." in said


async def test_only_a_revision_that_is_known_says_what_should_be(own_database: str) -> None:
    await execute(own_database, "UPDATE alembic_version SET version_num = '9999_newer'")
    with pytest.raises(Unplaced, match="ahead: revision 9999_newer"):
        await drift(own_database, quiet)
    await execute(own_database, "DELETE FROM alembic_version")
    with pytest.raises(Unplaced, match="never migrated"):
        await drift(own_database, quiet)


async def test_an_unknown_role_is_named(empty_database: str) -> None:
    await upgrade(empty_database, revisions.history()[0].name, say=quiet)
    with pytest.raises(MigrationError, match='"nobody_here" does not exist'):
        await inspect(empty_database, role="nobody_here")


async def test_a_scratch_database_goes_whatever_happens(postgres_server: Server) -> None:
    url = postgres_server.url
    with pytest.raises(MigrationError):
        await expected_snapshot(url, "9999_newer")
    with pytest.raises(RuntimeError, match="on purpose"):
        async with scratch_database(url) as built:
            raise RuntimeError("on purpose")
    assert DatabaseUrl.parse(built).database not in await column(url, DATABASES)


async def test_leftovers_of_killed_runs_are_swept_and_busy_ones_are_not(
    postgres_server: Server,
) -> None:
    url, leftover = postgres_server.url, f"{PREFIX}{os.getpid()}"
    await execute(url, f"CREATE DATABASE {leftover}")
    async with scratch_database(url) as busy, scratch_database(url):
        there = await column(url, DATABASES)
    assert DatabaseUrl.parse(busy).database in there
    assert leftover not in there


async def test_a_role_that_may_not_create_databases_is_told_how(
    bases: Bases, postgres_server: Server
) -> None:
    async with connected(f"{postgres_server.url}&user={ROLE}") as keeper:
        assert await keeper.fetchval("SELECT current_user") == ROLE
    with pytest.raises(NoScratch, match=f"ALTER ROLE {ROLE} CREATEDB"):
        await expected_snapshot(f"{postgres_server.url}&user={ROLE}", revisions.head())


async def test_the_survey_does_not_wait_behind_a_migration(copy_of_head: str) -> None:
    async with connected(copy_of_head) as holder, holder.transaction():
        await holder.execute("LOCK TABLE cameras IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(MigrationContended, match="look again"):
            await taken(copy_of_head)


async def test_a_snapshot_survives_as_json(bases: Bases) -> None:
    for stored in bases.expected.values():
        again = from_json(json.loads(json.dumps(stored.as_json())))
        assert again == stored
        assert fingerprint(again) == fingerprint(stored)


def test_the_documentation_has_the_table_that_was_measured() -> None:
    rows = [f"| {c.name} | {'found' if c.alembic else '—'} | found |" for c in DRIFTS]
    table = "\n".join(rows)
    assert table in (PROJECT / "docs" / "migrations.md").read_text()

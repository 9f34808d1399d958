"""Two databases side by side: their histories, their schemas, and which of them fails."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final

import pytest

from app.database.url import DatabaseUrl
from app.releases.ledger.ledger import Ledger
from app.releases.migrations.alembic_runner import upgrade
from app.releases.migrations.revisions import head, history, needed
from app.releases.schema.compare_databases import (
    DatabaseComparison,
    RevisionHistory,
    compare_databases,
)
from app.releases.verdict import Stopped, Verdict
from tests.legacy import connected, quiet
from tests.support.databases import Server, execute

SECRET: Final = "correct-horse"


@pytest.fixture
def other_database(postgres_server: Server, template: str) -> Iterator[str]:
    with postgres_server.lent(template) as url:
        yield url


async def noted(url: str, **hashes: str) -> None:
    """Note revisions as the gate does when it applies them."""
    async with connected(url) as connection:
        await Ledger(connection).prepare()
        for revision, text in hashes.items():
            await connection.execute(
                "INSERT INTO release_revisions (revision, hash) VALUES ($1, $2)", revision, text
            )


def told(found: DatabaseComparison) -> str:
    return "\n".join(found.lines())


async def test_two_of_the_same_are_the_same(own_database: str, other_database: str) -> None:
    found = await compare_databases(own_database, other_database)
    assert found.same
    assert list(found.lines()) == [
        f"Both databases are at {head()}.",
        "Their schemas are the same.",
    ]


DIFFERENCES: Final = {
    "column": ("ALTER TABLE cameras DROP COLUMN max_zoom", ["cameras"],
               "Column max_zoom is only here: double precision."),
    "type": ("ALTER TABLE cameras ALTER COLUMN name TYPE varchar(50)", ["cameras"],
             "Type of column name: here text; there character varying(50)."),
    "nullability": ("ALTER TABLE sends ALTER COLUMN name DROP NOT NULL", ["sends"],
                    "Column name: here NOT NULL; there NULL."),
    "default": ("ALTER TABLE sends ALTER COLUMN version SET DEFAULT 0", ["sends"],
                "Default of column version: here 1; there 0."),
    "lost default": ("ALTER TABLE sends ALTER COLUMN version DROP DEFAULT", ["sends"],
                     "Default of column version is only here: 1."),
    "column there": ("ALTER TABLE sends ADD COLUMN zoom text", ["sends"],
                     "Column zoom is only there: text."),
    "primary key": ("ALTER TABLE cameras DROP CONSTRAINT cameras_pkey, ADD PRIMARY KEY (id)",
                    ["cameras"],
                    "Primary key cameras_pkey: here PRIMARY KEY (uuid); there PRIMARY KEY (id)."),
    "foreign key": ("ALTER TABLE cameras DROP CONSTRAINT cameras_ccu_uuid_fkey", ["cameras"],
                    "Foreign key cameras_ccu_uuid_fkey is only here: FOREIGN KEY (ccu_uuid)"),
    "index": ("DROP INDEX cameras_id_idx; CREATE INDEX cameras_id_idx ON cameras (id)",
              ["cameras"], "Index cameras_id_idx: here CREATE INDEX cameras_id_idx ON"),
    "index there": ("CREATE INDEX later ON cameras (name)", ["cameras"],
                    "Index later is only there: CREATE INDEX later ON public.cameras"),
    "table here": ("DROP TABLE source_outputs", ["source_outputs"],
                   "Table source_outputs is only here."),
    "table there": ("CREATE TABLE crew_calls (id text)", ["crew_calls"],
                    "Table crew_calls is only there."),
    "enum label": ("""ALTER TYPE "ProductionStatus" ADD VALUE 'LIVE'""", [None],
                   """Enum "ProductionStatus".LIVE: here PLANNING, READY, ACTIVE, COMPLETED"""),
    "enum there": ("CREATE TYPE colour AS ENUM ('red')", [None], "Enum colour is only there: red."),
    "function there": ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", [None],
                       "Function f() is only there."),
    "function": (("CREATE OR REPLACE FUNCTION text_to_list(text) RETURNS jsonb LANGUAGE sql AS"
                 " 'SELECT NULL::jsonb'"), [None], "Function text_to_list("),
    "UNLOGGED": ("ALTER TABLE changes SET UNLOGGED", ["changes"], "UNLOGGED: here off; there on."),
    "view there": ("CREATE VIEW names AS SELECT name FROM sends", ["sends"],
                   "View names is only there: sends."),
    "replication": ("ALTER DATABASE {database} SET session_replication_role = replica", [None],
                    "session_replication_role of the database is only there: replica."),
}  # fmt: skip


@pytest.mark.parametrize(("sql", "tables", "words"), DIFFERENCES.values(), ids=DIFFERENCES)
async def test_a_difference_is_told_from_both_sides(
    own_database: str, other_database: str, sql: str, tables: list[str | None], words: str
) -> None:
    changed = DatabaseUrl.parse(other_database).database
    await execute(other_database, sql.format(database=changed))
    found = await compare_databases(own_database, other_database)
    assert [difference.table for difference in found.differences] == tables
    assert words in told(found)
    assert not found.same

    seen_from_there = await compare_databases(other_database, own_database)
    ours, theirs = found.differences[0], seen_from_there.differences[0]
    assert len(seen_from_there.differences) == len(found.differences)
    assert (ours.object, ours.here, ours.there) == (theirs.object, theirs.there, theirs.here)


async def test_local_beside_production_at_another_revision(
    own_database: str, empty_database: str
) -> None:
    await upgrade(empty_database, needed(), say=quiet)
    found = await compare_databases(own_database, empty_database)
    lines = list(found.lines())
    contracts = [revision.name for revision in history() if revision.phase == "contract"]
    assert lines[0] == f"This database is at {head()}, the other at {needed()}."
    only = f"Applied only here ({len(contracts)} revisions): {contracts[0]} … {contracts[-1]}."
    assert lines[1] == only
    assert "so their schemas must differ" in lines[2]
    assert lines.count("cameras") == 1, "a table's differences stand together"
    assert "  Column ccu_id is only there: text." in lines
    assert not [line for line in lines if "only here" in line and "only there" in line]

    answer = json.loads(json.dumps(found.as_json()))
    assert answer["here"]["revision"] == head()
    assert (answer["here"]["only"], answer["there"]["only"]) == (contracts, [])
    assert answer["words"] == lines
    assert len(answer["differences"]) == len(found.differences)


async def test_beside_a_database_that_was_never_migrated(
    own_database: str, empty_database: str
) -> None:
    found = await compare_databases(own_database, empty_database)
    assert "the other at no revision (never migrated)." in told(found)
    assert {difference.kind for difference in found.differences} >= {"table", "enum"}
    assert (await compare_databases(empty_database, empty_database)).same


async def test_an_edited_revision_is_named(own_database: str, other_database: str) -> None:
    await noted(own_database, **{"0001_older_schema": "a", "0005_ccus_expand": "b"})
    await noted(other_database, **{"0001_older_schema": "a", "0005_ccus_expand": "c"})
    found = await compare_databases(own_database, other_database)
    assert found.unequal == ["0005_ccus_expand"]
    assert "Revision 0005_ccus_expand is not the same in both" in told(found)
    assert not found.same
    assert found.differences == ()


async def test_a_revision_that_this_version_does_not_know(
    own_database: str, other_database: str
) -> None:
    await execute(other_database, "UPDATE alembic_version SET version_num = '9999_later'")
    await noted(other_database, **{"9999_later": "x"})
    words = told(await compare_databases(own_database, other_database))
    assert "the other at 9999_later (not known to this version)." in words


def test_another_major_version_is_told() -> None:
    histories = [RevisionHistory(revision=head(), hashes={}, server=server) for server in (15, 18)]
    words = told(DatabaseComparison((histories[0], histories[1]), ()))
    assert "PostgreSQL is 15 here and 18 there" in words


@asynccontextmanager
async def refusing() -> AsyncIterator[str]:
    """Return a server that takes no password; its URL."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(int.from_bytes(await reader.readexactly(4)) - 4)
        body = b'SFATAL\0C28P01\0Mpassword authentication failed for user "anna"\0\0'
        writer.write(b"E" + (len(body) + 4).to_bytes(4) + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"postgresql://anna:{SECRET}@127.0.0.1:{port}/show?sslmode=disable"


@pytest.mark.parametrize("other", [
    f"postgresql://anna:{SECRET}@127.0.0.1:1/show?sslmode=disable",
    f"mysql://anna:{SECRET}@127.0.0.1/show",
    "refusing",
])  # fmt: skip
@pytest.mark.parametrize(("first", "which"), [(True, "his database"), (False, "he other database")])
async def test_the_one_that_fails_is_named_without_its_password(
    own_database: str, other: str, first: bool, which: str
) -> None:
    async with refusing() as refuses:
        urls = (refuses if other == "refusing" else other, own_database)
        with pytest.raises(Stopped) as stopped:
            await compare_databases(*(urls if first else reversed(urls)))
    assert stopped.value.verdict == Verdict.UNREACHABLE
    assert which in stopped.value.words
    assert SECRET not in stopped.value.words
    assert stopped.value.__cause__ is None


async def test_neither_is_written(own_database: str, other_database: str) -> None:
    number = "SELECT pg_current_xact_id_if_assigned(), sum(n_tup_ins) FROM pg_stat_all_tables"
    async with connected(other_database) as connection:
        before = await connection.fetch("SELECT oid, xmin::text FROM pg_class ORDER BY oid")
        await compare_databases(own_database, other_database)
        await compare_databases(other_database, own_database)
        assert await connection.fetch("SELECT oid, xmin::text FROM pg_class ORDER BY oid") == before
        assert await connection.fetchval(number) is None

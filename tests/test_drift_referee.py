"""Drift beside pg_dump: whatever that shows to differ, drift names, save for what is left out.

REFEREE_EXAMPLES and REFEREE_SEED enlarge the run, and have it take another way.
"""

import asyncio
import os
import re
from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple

import asyncpg
import pytest
from hypothesis import HealthCheck, given, note, seed, settings
from hypothesis import strategies as st

from app.database.url import DatabaseUrl
from app.releases.connection.open_connection import open_connection
from app.releases.migrations import revisions
from app.releases.migrations.alembic_runner import upgrade
from app.releases.schema.comparison.compare_snapshots import compare
from app.releases.schema.comparison.finding import Finding
from app.releases.schema.introspection.introspect import read_snapshot
from app.releases.schema.snapshot import Snapshot
from app.settings import PROJECT
from tests.legacy import quiet
from tests.support.databases import Server, execute
from tests.support.drifts import DRESS
from tests.support.dumps import counted, dumped
from tests.support.exclusions import EXCLUSIONS
from tests.support.random_ddl import Names, statements

EXAMPLES: Final = int(os.environ.get("REFEREE_EXAMPLES", "60"))
SEED: Final = os.environ.get("REFEREE_SEED")
ROLE: Final = f"signalbook_referee_{os.getpid()}"
OTHER: Final = f"{ROLE}_other"


class Base(NamedTuple):
    """A migrated database to be copied, what it is, and in pg_dump's words."""

    server: Server
    template: str
    expected: Snapshot
    lines: Counter[str]


@pytest.fixture(scope="module")
def base(postgres_server: Server) -> Iterator[Base]:
    for name in (ROLE, OTHER):
        postgres_server.run(f"CREATE ROLE {name} LOGIN")
    with postgres_server.lent() as url:
        asyncio.run(upgrade(url, revisions.needed(), say=quiet))
        grants = "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {0}; "
        grants += "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {0}"
        for statement in (*DRESS, grants.format(ROLE)):
            asyncio.run(execute(url, statement))
        expected = asyncio.run(taken(url))
        yield Base(postgres_server, DatabaseUrl.parse(url).database, expected, dumped(url))
    for name in (ROLE, OTHER):
        postgres_server.run(f"DROP ROLE {name}")


async def taken(url: str) -> Snapshot:
    async with open_connection(url) as connection:
        return await read_snapshot(connection, ROLE)


def test_drift_names_what_pg_dump_shows_to_differ(base: Base) -> None:
    names = Names(base.expected, role=ROLE, other=OTHER)

    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=SEED is None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.lists(statements(names), min_size=1, max_size=3))
    def laid_beside(changes: list[str]) -> None:
        with base.server.lent(base.template) as url:
            judge(base, url, changes)

    if SEED is not None:
        laid_beside = seed(int(SEED))(laid_beside)
    laid_beside()


def judge(base: Base, url: str, changes: list[str]) -> None:
    """Make the changes, and hold what drift finds against what pg_dump shows."""
    done = asyncio.run(changed(url, changes))
    try:
        live = asyncio.run(taken(url))
    finally:
        base.server.run(f"ALTER ROLE {ROLE} RESET ALL")
    found, lines = compare(base.expected, live), dumped(url)
    note("\n".join(done))
    note("\n".join(f"{each.kind} {each.table} {each.object}" for each in found))
    if lines == base.lines and not any(each.startswith("~") for each in done):
        assert found == []
    should, there = (counted(each, ROLE) for each in (base.lines, lines))
    differing = [*(should - there), *(there - should)]
    words = {word for each in found for word in words_of(each, base.expected, live)}
    assert [line for line in differing if not any(is_named(word, line) for word in words)] == []


async def changed(url: str, changes: list[str]) -> list[str]:
    """Run each statement that PostgreSQL lets run, and return those."""
    done = []
    async with open_connection(url) as connection:
        for change in changes:
            statement = change.replace("{database}", DatabaseUrl.parse(url).database)
            try:
                await connection.execute(statement.removeprefix("~"))
            except asyncpg.PostgresError as refused:
                note(f"refused: {statement}: {refused}")
            else:
                done.append(statement)
    return done


def words_of(finding: Finding, *sides: Snapshot) -> Iterator[str]:
    """Return the names that a finding is about, and of what goes with a table or column of it."""
    yield from re.split(r"\.| of | on |[() ]", finding.object)
    there = finding.there or ""
    yield from (finding.object, finding.table or "", finding.kind, there, there.rpartition(" ")[2])
    if finding.kind == "replication_role":
        yield "session_replication_role"
    for side in sides:
        yield from with_it(finding, side)


def with_it(finding: Finding, side: Snapshot) -> Iterator[str]:
    """Return the names of what comes and goes with a lost table, or with a column."""
    if finding.kind.startswith("table_") and (table := side.tables.get(finding.object)):
        yield from (*table.constraints, *table.indexes, *table.triggers)
    # A table under another name takes its sequences along; what is on it is compared afterwards.
    elsewhere = (finding.there or "").rpartition(" ")[2] if finding.table == finding.object else ""
    for name, sequence in side.sequences.items():
        if finding.kind in {"table_renamed", "table_moved"} and sequence.table == elsewhere:
            yield name
        if sequence.table == finding.table and finding.object in {sequence.column, finding.table}:
            yield name


def is_named(word: str, line: str) -> bool:
    """Return whether a line of pg_dump has a name in it."""
    bare, text = (each.replace('"', "").casefold() for each in (word, line))
    return (
        bool(bare.strip(" .,="))
        and bool(re.search(rf"(?<!\w){re.escape(bare)}(?!\w)", text))
        and bare not in {"public", "table", "function", "type", "view", "index", "schema"}
    )


def test_the_documentation_has_what_is_left_out() -> None:
    rows = "\n".join(f"| {each.what} | {each.why} |" for each in EXCLUSIONS)
    assert rows in (PROJECT / "docs" / "migrations.md").read_text()

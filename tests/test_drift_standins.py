"""A table of ours that something else stands for is not told as lost; and who may own ours."""

import os
from collections.abc import Iterator

import pytest

from app.releases.schema.comparison.compare_snapshots import compare
from app.releases.schema.introspection.introspect import read_snapshot
from app.releases.schema.snapshot import Snapshot
from tests.legacy import connected
from tests.support.databases import Server, execute

GONE = "ALTER TABLE source_outputs RENAME TO elsewhere"
MOVED = "CREATE SCHEMA attic; ALTER TABLE source_outputs SET SCHEMA attic"
FOREIGN = """DROP TABLE source_outputs; CREATE FOREIGN DATA WRAPPER away;
CREATE SERVER far FOREIGN DATA WRAPPER away;
CREATE FOREIGN TABLE source_outputs (id text) SERVER far"""
STANDINS = {
    "a view on the renamed table": (
        f"{GONE}; CREATE VIEW source_outputs AS SELECT * FROM elsewhere",
        "table_renamed", ("called elsewhere", "view source_outputs")),
    "another name": (GONE, "table_renamed", ("called elsewhere",)),
    "another schema": (
        MOVED,
        "table_moved", ("attic.source_outputs",)),
    "a view on another schema": (
        f"{MOVED}; CREATE VIEW source_outputs AS SELECT * FROM attic.source_outputs",
        "table_moved", ("attic.source_outputs", "view source_outputs")),
    "a view on nothing": (
        "DROP TABLE source_outputs; CREATE VIEW source_outputs AS SELECT 1 AS one",
        "table_replaced", ("view source_outputs",)),
    "a materialized view": (
        "DROP TABLE source_outputs; CREATE MATERIALIZED VIEW source_outputs AS SELECT 1 AS one",
        "table_replaced", ("materialized view source_outputs",)),
    "a foreign table": (
        FOREIGN,
        "table_replaced", ("foreign table source_outputs",)),
    "a partitioned table": (
        f"{GONE}; CREATE TABLE source_outputs (LIKE elsewhere) PARTITION BY LIST (uuid)",
        "relation", ("partitioned", "the table that it replaced")),
}  # fmt: skip


async def taken(url: str, role: str | None = None) -> Snapshot:
    async with connected(url) as connection:
        return await read_snapshot(connection, role)


@pytest.mark.parametrize(("sql", "kind", "words"), STANDINS.values(), ids=STANDINS)
async def test_what_stands_for_a_table_is_named(
    own_database: str, sql: str, kind: str, words: tuple[str, ...]
) -> None:
    should = await taken(own_database)
    await execute(own_database, sql)
    found = compare(should, await taken(own_database))
    (finding,) = [each for each in found if each.kind == kind]
    assert (finding.table, finding.object) == ("source_outputs", "source_outputs")
    assert all(word in finding.words for word in words), finding.words
    assert all("its rows with it" not in each.words for each in found)
    assert all(line.startswith("--") for line in finding.mend), "nothing is made in its place"


@pytest.fixture
def strangers(postgres_server: Server, template: str) -> Iterator[tuple[str, ...]]:
    """Lend a database and two roles: its URL, who is to own it, and the service's."""
    names = tuple(f"signalbook_standin_{os.getpid()}_{what}" for what in ("owner", "service"))
    for name in names:
        postgres_server.run(f"CREATE ROLE {name} LOGIN")
    with postgres_server.lent(template) as url:
        yield (url, *names)
    for name in names:
        postgres_server.run(f"DROP ROLE {name}")


OWNED = """DO $$ DECLARE each text; BEGIN
  FOR each IN SELECT 'TABLE ' || oid::regclass FROM pg_class
      WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
    UNION ALL SELECT 'FUNCTION ' || oid::regprocedure FROM pg_proc
      WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT 'TYPE ' || oid::regtype FROM pg_type
      WHERE typnamespace = 'public'::regnamespace AND typtype = 'e'
  LOOP EXECUTE format('ALTER %s OWNER TO {owner}', each); END LOOP;
  EXECUTE format('ALTER DATABASE %I OWNER TO {owner}', current_database());
END $$"""


async def test_a_database_of_another_owner_is_not_red_by_itself(
    strangers: tuple[str, ...],
) -> None:
    """The owner is neither the role that migrates nor the service's."""
    url, owner, role = strangers
    grant = "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {0}"
    should = await taken(url)
    await execute(url, grant.format(role))
    await execute(url, OWNED.format(owner=owner))
    assert compare(should, await taken(url, role)) == []
    await execute(url, "ALTER TABLE presence OWNER TO CURRENT_USER")
    assert compare(should, await taken(url, role)) == [], "what who migrates made is its own"
    await execute(url, f"ALTER TABLE presence OWNER TO {role}")
    (finding,) = compare(should, await taken(url, role))
    assert (finding.kind, finding.table, finding.expected) == ("owner", "presence", owner)

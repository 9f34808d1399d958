"""Adopting the older service's database: whole or not at all, and under its very feet."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
import pytest

from app.database.url import DatabaseUrl
from app.older_service import adoption
from app.older_service.adoption import ACQUAINTED, CREATED, Adopted, adopt
from app.older_service.missing_tables import add_foreign_keys
from app.releases.ledger.ledger import Ledger
from app.releases.migrations.alembic_runner import current, upgrade
from app.releases.migrations.further_tables import further_tables
from app.releases.migrations.revisions import history
from app.releases.plan.seals import hash_of
from app.releases.schema.drift import inspect
from app.releases.verdict import Stopped, Verdict
from tests import foreign_tables, legacy, older_rows
from tests.legacy import connected, quiet
from tests.older_service import OlderService
from tests.support.as_gate import upgrade_as_gate
from tests.support.databases import Server, execute

FIRST: Final = history()[0].name


@pytest.fixture(scope="session")
def live_older_template(postgres_server: Server) -> str:
    """Return a database as the older service has it: no history of ours, tables not ours."""

    async def fill(url: str) -> None:
        async with connected(url) as connection:
            await legacy.live(url, connection, 0.02)

    return postgres_server.template("live_older", lambda url: asyncio.run(fill(url)))


@pytest.fixture
def older_url(postgres_server: Server, live_older_template: str) -> Iterator[str]:
    with postgres_server.lent(live_older_template) as url:
        yield url


@asynccontextmanager
async def ledger_of(url: str, role: str | None = None) -> AsyncIterator[Ledger]:
    async with connected(url) as connection:
        ledger = Ledger(connection)
        await ledger.prepare(role)
        yield ledger


async def adopted(url: str, say: Callable[[str], None] = quiet, role: str | None = None) -> Adopted:
    async with ledger_of(url, role) as ledger:
        return await adopt(url, ledger, service_role=role, say=say)


async def refused(url: str) -> Stopped:
    with pytest.raises(Stopped) as stopped:
        await adopted(url)
    assert await current(url) is None
    async with ledger_of(url) as ledger:
        assert await ledger.get_fact(ACQUAINTED) is None
        assert await ledger.fetch_rows("SELECT * FROM release_revisions") == []
    return stopped.value


async def everything(url: str) -> object:
    """Return what the older service would see: rows and catalogue of all that is its own."""
    async with connected(url) as connection:
        ours = await legacy.contents(connection, await legacy.columns(connection))
        theirs = await foreign_tables.contents(connection)
        return ours, theirs, await foreign_tables.catalogue(connection), await files(connection)


async def files(connection: asyncpg.Connection) -> list[asyncpg.Record]:
    return await connection.fetch(
        "SELECT oid, xmin::text, relname, relfilenode, relacl::text FROM pg_class"
        " WHERE relname = ANY($1) ORDER BY relname",
        list(legacy.TABLES),
    )


async def test_a_live_older_database_is_adopted_and_nothing_of_it_is_touched(
    older_url: str,
) -> None:
    before = await everything(older_url)
    answer = await adopted(older_url)
    assert await everything(older_url) == before

    assert (answer.revision, answer.acquainted) == (FIRST, foreign_tables.NAMES)
    assert f"{len(foreign_tables.NAMES)} tables that are not ours stay as they are" in answer.words
    assert await current(older_url) == FIRST
    async with ledger_of(older_url) as ledger:
        assert await ledger.get_fact(ACQUAINTED) == list(foreign_tables.NAMES)
        rows = await ledger.fetch_rows("SELECT revision, hash, run FROM release_revisions")
        assert rows == [{"revision": FIRST, "hash": hash_of(FIRST), "run": None}]
    found = await inspect(older_url, acquainted=answer.acquainted)
    assert found.findings == []


async def test_the_stamp_is_as_alembic_sets_it(older_url: str, empty_database: str) -> None:
    await adopted(older_url)
    await upgrade(empty_database, FIRST, say=quiet)
    versions = (
        "SELECT attname, format_type(atttypid, atttypmod), attnotnull, conname,"
        " pg_get_constraintdef(k.oid), version_num FROM alembic_version, pg_attribute"
        " JOIN pg_constraint k ON conrelid = attrelid AND contype = 'p'"
        " WHERE attrelid = 'alembic_version'::regclass AND attnum > 0"
    )
    answers = []
    for url in (older_url, empty_database):
        async with connected(url) as connection:
            answers.append(await connection.fetch(versions))
    assert answers[0] == answers[1]


async def test_the_way_to_the_head_is_open_afterwards(older_url: str) -> None:
    acquainted = (await adopted(older_url)).acquainted
    await upgrade_as_gate(older_url)
    assert (await inspect(older_url, acquainted=acquainted)).findings == []


async def test_adopting_twice_changes_nothing(older_url: str) -> None:
    first = await adopted(older_url)
    before = await everything(older_url)
    again = await adopted(older_url)
    assert (again.revision, again.acquainted) == (first.revision, first.acquainted)
    assert "nothing to adopt" in again.words
    assert await everything(older_url) == before


async def test_a_table_that_comes_later_is_a_stray(older_url: str) -> None:
    acquainted = (await adopted(older_url)).acquainted
    await execute(older_url, "CREATE TABLE cameras_backup AS TABLE cameras")
    found = await inspect(older_url, acquainted=acquainted)
    assert [(f.kind, f.table) for f in found.findings] == [("table_extra", "cameras_backup")]


DIFFERENCES: Final = {
    "column missing": (
        "ALTER TABLE cameras DROP COLUMN max_zoom", "Column max_zoom of cameras", 1),
    "column of another type": (
        "ALTER TABLE sends ALTER COLUMN synced_at TYPE timestamp",
        ("Column synced_at of sends should have type timestamp(3) without time zone and has "
        "timestamp without time zone"), 1),
    "times with a zone": (
        "ALTER TABLE ccus ALTER COLUMN synced_at TYPE timestamptz(3)",
        "Column synced_at of ccus should have type timestamp(3) without time zone", 1),
    "key of another type": (
        "ALTER TABLE cable_snakes ALTER COLUMN id TYPE varchar(400)",
        "Column id of cable_snakes should have type text", 1),
    "extra column": (
        "ALTER TABLE sources ADD COLUMN uuid uuid",
        "Column uuid of sources (uuid) was not built by any revision", 1),
    "default missing": (
        "ALTER TABLE sources ALTER COLUMN format_assignment_mode DROP DEFAULT",
        "Column format_assignment_mode of sources should have default 'system-wide'::text", 1),
    "another default": (
        "ALTER TABLE events ALTER COLUMN version SET DEFAULT 0",
        "Column version of events should have default 1 and has 0", 1),
    "NOT NULL missing": (
        "ALTER TABLE checklist_items ALTER COLUMN title DROP NOT NULL",
        "Column title of checklist_items should have nullability NOT NULL", 1),
    "NOT NULL where NULL is allowed": (
        "UPDATE ccus SET note = ''; ALTER TABLE ccus ALTER COLUMN note SET NOT NULL",
        "Column note of ccus should have nullability NULL", 1),
    "enum without a label": (
        """ALTER TYPE "EventType" RENAME VALUE 'STREAM' TO 'Stream'""",
        """The enum "EventType" lacks the label 'STREAM'""", 2),
    "primary key on another column": (
        ("ALTER TABLE cameras ADD COLUMN number bigserial; "
        "ALTER TABLE cameras DROP CONSTRAINT cameras_pkey, ADD PRIMARY KEY (number)"),
        ("The primary key cameras_pkey of cameras should be PRIMARY KEY (id) and is "
        "PRIMARY KEY (number)"), 2),
    "no primary key": (
        "ALTER TABLE events DROP CONSTRAINT events_pkey",
        "events lacks its primary key events_pkey", 1),
    "foreign key that does not cascade": (
        ("ALTER TABLE cameras DROP CONSTRAINT cameras_production_id_fkey, "
        "ADD CONSTRAINT cameras_production_id_fkey FOREIGN KEY (production_id) "
        "REFERENCES productions (id)"),
        "The foreign key cameras_production_id_fkey of cameras should be", 1),
    "foreign key NOT VALID": (
        ("ALTER TABLE sends DROP CONSTRAINT sends_production_id_fkey, "
        "ADD CONSTRAINT sends_production_id_fkey FOREIGN KEY (production_id) "
        "REFERENCES productions (id) ON UPDATE CASCADE ON DELETE CASCADE NOT VALID"),
        "The foreign key sends_production_id_fkey of sends is NOT VALID", 1),
    "foreign key missing": (
        "ALTER TABLE source_outputs DROP CONSTRAINT source_outputs_source_id_fkey",
        "source_outputs lacks its foreign key source_outputs_source_id_fkey", 1),
    "index missing": (
        "DROP INDEX cameras_ccu_id_idx", "cameras lacks its index cameras_ccu_id_idx", 1),
    "extra index": (
        "CREATE INDEX cameras_name_idx ON cameras (name)",
        "cameras has an index cameras_name_idx that no revision built", 1),
    "extra unique key": (
        "ALTER TABLE sends ADD CONSTRAINT sends_once UNIQUE (id, name)",
        "sends has a unique key sends_once", 1),
    "extra CHECK": (
        "ALTER TABLE sources ADD CONSTRAINT sources_named CHECK (name IS NOT NULL)",
        "sources has a CHECK sources_named", 1),
    "extra trigger": (
        ("CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; "
        "CREATE TRIGGER audit BEFORE UPDATE ON sends FOR EACH ROW EXECUTE FUNCTION nothing()"),
        "sends has a trigger audit", 1),
    "UNLOGGED": ("ALTER TABLE connections SET UNLOGGED", "Table connections is UNLOGGED", 1),
    "a view in the way": (
        "CREATE VIEW camera_names AS SELECT name FROM cameras",
        "The view camera_names reads cameras", 1),
    "column missing of a later table": (
        "ALTER TABLE streams DROP COLUMN stream_key", "Column stream_key of streams", 1),
    "a later table of another shape": (
        ("DROP TABLE settings; "
        "CREATE TABLE settings (id text CONSTRAINT settings_pkey PRIMARY KEY, key text NOT NULL)"),
        "Column value of settings", 5),
    "a later enum without a label": (
        """ALTER TYPE "PortType" RENAME VALUE 'INPUT' TO 'IN'""",
        """The enum "PortType" lacks the label 'INPUT'""", 2),
    "a later table of another name": (
        "ALTER TABLE routers RENAME TO matrices", "Table routers is called matrices now", 1),
    "a later table in another schema": (
        "CREATE SCHEMA aside; ALTER TABLE records SET SCHEMA aside",
        "Table records is not in the schema public", 1),
    "a view in the place of a later table": (
        "DROP TABLE streams; CREATE VIEW streams AS SELECT 1 AS id",
        "Table streams is not there: a view streams stands in its place", 1),
    "a later table lost from under its children": (
        "DROP TABLE equipment_specs CASCADE", "Table equipment_specs is missing", 3),
}  # fmt: skip


@pytest.mark.parametrize(("sql", "words", "count"), DIFFERENCES.values(), ids=DIFFERENCES)
async def test_a_difference_is_named_and_keeps_it_from_being_adopted(
    older_url: str, sql: str, words: str, count: int
) -> None:
    await execute(older_url, sql)
    stopped = await refused(older_url)
    assert stopped.verdict == Verdict.DRIFTED
    assert words in stopped.words
    assert len(stopped.evidence["findings"]) == count
    assert all(finding["mend"] for finding in stopped.evidence["findings"])


async def test_every_difference_is_listed_with_its_mend_and_mended_it_is_adopted(
    older_url: str,
) -> None:
    await execute(older_url, "ALTER TABLE cameras ALTER COLUMN name DROP NOT NULL")
    await execute(older_url, "DROP INDEX sources_type_idx; DROP INDEX sends_type_idx")
    stopped = await refused(older_url)
    findings = stopped.evidence["findings"]
    assert len(findings) == 3
    assert stopped.words.startswith("3 differences keep this database from being adopted")
    for finding in findings:
        for statement in finding["mend"]:
            assert f"{statement};" in stopped.words
            await execute(older_url, statement)
    assert (await adopted(older_url)).revision == FIRST


async def test_an_empty_database_is_not_adopted(empty_database: str) -> None:
    stopped = await refused(empty_database)
    assert stopped.verdict == Verdict.REFUSED
    assert "empty" in stopped.words
    assert "run the release" in stopped.words


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("CREATE TABLE cameras (id serial PRIMARY KEY)", "It lacks 9 of the 10 tables"),
        ("CREATE TABLE customers (id serial PRIMARY KEY)", "It lacks 10 of the 10 tables"),
        ("CREATE TABLE settings (id text PRIMARY KEY)", "It lacks 10 of the 10 tables"),
        ("CREATE TABLE _prisma_migrations (id text)", "_prisma_migrations is there, but lacks 10"),
    ],
)
async def test_another_schema_is_not_adopted(empty_database: str, sql: str, words: str) -> None:
    await execute(empty_database, sql)
    stopped = await refused(empty_database)
    assert stopped.verdict == Verdict.REFUSED
    assert words in stopped.words
    assert "sources" in stopped.evidence["missing"]


async def test_a_lost_table_is_named(older_url: str) -> None:
    await execute(older_url, "DROP TABLE source_outputs")
    stopped = await refused(older_url)
    assert (stopped.verdict, stopped.evidence["missing"]) == (Verdict.REFUSED, ["source_outputs"])


async def test_a_history_of_ours_that_is_empty_is_none(older_url: str) -> None:
    await execute(older_url, "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
    assert (await adopted(older_url)).revision == FIRST
    assert await current(older_url) == FIRST


async def test_a_newer_history_is_told(older_url: str) -> None:
    await adopted(older_url)
    await execute(older_url, "UPDATE alembic_version SET version_num = '9999_later'")
    with pytest.raises(Stopped, match="9999_later") as stopped:
        await adopted(older_url)
    assert stopped.value.verdict == Verdict.AHEAD


class Killed(BaseException):
    """Ends a process in the middle."""


FURTHER: Final = (*older_rows.COLLECTIONS, *older_rows.INSTALLATION)
# What an older database may lack, each after those that refer to it.
LACKING: Final = {
    "all": tuple(reversed(FURTHER)),
    "those of no show": tuple(reversed(older_rows.INSTALLATION)),
    "one list": ("frame_rates",),
    "one collection": ("ip_addresses",),
    "the ports of equipment": ("equipment_io_ports", "equipment_card_io", "equipment_cards"),
}


@pytest.mark.parametrize("lacking", LACKING.values(), ids=LACKING)
async def test_what_an_earlier_version_lacks_is_created_empty(
    older_url: str, lacking: tuple[str, ...]
) -> None:
    async with connected(older_url) as connection:
        await legacy.lose(connection, lacking)
        kept = await legacy.columns(connection)
        before = await legacy.contents(connection, kept), await foreign_tables.contents(connection)
    said: list[str] = []
    answer = await adopted(older_url, said.append)

    assert answer.created == tuple(table for table in further_tables() if table in lacking)
    assert f"{len(lacking)} table" in answer.words
    assert all(table in answer.words for table in lacking)
    assert any(line.startswith("Creating ") for line in said)
    async with connected(older_url) as connection:
        after = await legacy.contents(connection, kept), await foreign_tables.contents(connection)
        assert after == before
        for table in lacking:
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0
        await OlderService(connection, "later").a_show()
        await OlderService(connection, "later").an_installation()
    async with ledger_of(older_url) as ledger:
        assert await ledger.get_fact(CREATED) == list(answer.created)
    assert (await inspect(older_url, acquainted=answer.acquainted)).findings == []
    again = await adopted(older_url)
    assert (again.created, again.acquainted) == (answer.created, answer.acquainted)


async def test_what_was_created_is_carried_to_the_head(older_url: str) -> None:
    async with connected(older_url) as connection:
        await legacy.lose(connection, LACKING["all"])
    acquainted = (await adopted(older_url)).acquainted
    await upgrade_as_gate(older_url)
    assert (await inspect(older_url, acquainted=acquainted)).findings == []


async def test_a_difference_elsewhere_creates_nothing(older_url: str) -> None:
    """Either all is well with what is there, or nothing is changed."""
    async with connected(older_url) as connection:
        await legacy.lose(connection, LACKING["those of no show"])
    await execute(older_url, "ALTER TABLE streams DROP COLUMN url")
    before = await everything(older_url)
    stopped = await refused(older_url)
    assert stopped.verdict == Verdict.DRIFTED
    assert [finding["table"] for finding in stopped.evidence["findings"]] == ["streams"]
    assert await everything(older_url) == before


@pytest.mark.parametrize("words", ["Creating", "Stamping", "keys"])
async def test_ended_while_it_creates_nothing_is_created(
    older_url: str, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    async with connected(older_url) as connection:
        await legacy.lose(connection, LACKING["all"])
    before = await everything(older_url)

    def say(line: str) -> None:
        if line.startswith(words):
            raise Killed

    async def keys(*given: Any) -> None:
        await add_foreign_keys(*given)
        say("keys")

    with monkeypatch.context() as killing:
        killing.setattr(adoption, "add_foreign_keys", keys)
        with pytest.raises(Killed):
            await adopted(older_url, say)
    assert await current(older_url) is None
    assert await everything(older_url) == before
    assert {*(await adopted(older_url)).created} == {*FURTHER}
    assert (await inspect(older_url, acquainted=foreign_tables.NAMES)).findings == []


async def test_who_writes_waits_for_no_foreign_key(older_url: str) -> None:
    """The new tables refer to productions; a transaction that stays open is not waited for."""
    async with connected(older_url) as connection:
        await legacy.lose(connection, ["streams"])
    async with connected(older_url) as one, connected(older_url) as other:
        async with one.transaction():
            await one.execute("UPDATE productions SET client = 'c'")
            adopting = asyncio.create_task(adopted(older_url))
            await other.execute("SET lock_timeout = '250ms'")
            for number in itertools.count():
                if adopting.done():
                    break
                older = OlderService(other, f"round {number}")
                for table, name in (("productions", "show"), ("ccus", "ccu a"), ("cameras", "c")):
                    await older.insert(table, name)
            with pytest.raises(Stopped, match="stays open") as stopped:
                await adopting
        assert stopped.value.verdict == Verdict.CONTENDED
    assert await current(older_url) is None
    assert (await adopted(older_url)).created == ("streams",)


async def test_a_newer_state_that_gave_a_table_up_is_not_adopted(older_url: str) -> None:
    await execute(
        older_url,
        "DROP TABLE streams; INSERT INTO _prisma_migrations (id, checksum, finished_at,"
        " migration_name) VALUES ('8', '', now(), '20260101000000_no_streams')",
    )
    stopped = await refused(older_url)
    assert stopped.verdict == Verdict.REFUSED
    assert "has come further" in stopped.words


async def test_an_earlier_state_that_lacks_a_table_is_adopted(older_url: str) -> None:
    await execute(
        older_url,
        "DROP TABLE streams; DELETE FROM _prisma_migrations WHERE migration_name LIKE '2025%'",
    )
    assert (await adopted(older_url)).created == ("streams",)


async def test_a_role_that_may_not_create_is_told(older_url: str, role: str) -> None:
    async with connected(older_url) as connection:
        await legacy.lose(connection, ["streams", "records"])
    await execute(
        older_url,
        f"ALTER ROLE {role} LOGIN CREATEDB; REVOKE CREATE ON SCHEMA public FROM public;"
        f" GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}",
    )
    before = await everything(older_url)
    url = older_url.replace("postgres@", f"{role}@")
    async with ledger_of(older_url) as ledger:
        with pytest.raises(Stopped, match=f"GRANT CREATE ON SCHEMA public TO {role}") as stopped:
            await adopt(url, ledger, service_role=None, say=quiet)
    assert stopped.value.verdict == Verdict.REFUSED
    assert stopped.value.evidence == {"missing": ["records", "streams"]}
    assert await everything(older_url) == before


async def test_what_is_created_is_the_services_too(older_url: str, role: str) -> None:
    """Default privileges that let everybody in are taken back, and the service gets its own."""
    await execute(
        older_url,
        f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role};"
        "ALTER DEFAULT PRIVILEGES REVOKE USAGE ON TYPES FROM public;"
        "ALTER DEFAULT PRIVILEGES GRANT SELECT, UPDATE ON TABLES TO public",
    )
    async with connected(older_url) as connection:
        await legacy.lose(connection, LACKING["all"])
    answer = await adopted(older_url, role=role)
    assert len(answer.created) == len(FURTHER)
    found = await inspect(older_url, acquainted=answer.acquainted, role=role)
    assert found.findings == []


@pytest.mark.parametrize("words", ["Building", "Comparing", "Stamping", "hash"])
async def test_ended_anywhere_it_is_adopted_the_next_time(
    older_url: str, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    def say(line: str) -> None:
        if line.startswith(words):
            raise Killed

    def hashed(revision: str) -> str:
        say("hash")
        return hash_of(revision)

    with monkeypatch.context() as killing:
        killing.setattr(adoption, "hash_of", hashed)
        with pytest.raises(Killed):
            await adopted(older_url, say)
    assert await current(older_url) is None
    assert (await adopted(older_url)).acquainted == foreign_tables.NAMES
    found = await inspect(older_url, acquainted=foreign_tables.NAMES)
    assert found.findings == []


async def test_the_older_service_never_waits(older_url: str) -> None:
    """Also not behind a lock that we wait for: its own transactions hold all its tables."""
    locks: set[tuple[str, str]] = set()
    began = asyncio.Event()
    over = asyncio.Event()

    async def write(connection: asyncpg.Connection) -> int:
        rounds = 0
        await connection.execute("SET lock_timeout = '20ms'")
        while not over.is_set():
            older = OlderService(connection, f"round {rounds}")
            async with connection.transaction():
                await older.a_show()
                await older.an_installation()
            await older.clear_installation()
            await older.update("ccus", "ccu b", id=older.id("ccu z"))
            await older.delete("productions", "show")
            rounds += 1
            began.set()
        return rounds

    async def watch(connection: asyncpg.Connection) -> None:
        while not over.is_set():
            held = await connection.fetch(
                "SELECT relname, mode FROM pg_locks JOIN pg_class c ON c.oid = relation"
                " JOIN pg_stat_activity USING (pid)"
                # Of whole tables: a page or a row of one is locked for a moment by every writer.
                " WHERE datname = current_database() AND relname = ANY($1)"
                " AND locktype = 'relation'"
                " AND state = 'idle in transaction' AND mode NOT LIKE 'Row%'",
                [*legacy.TABLES, *foreign_tables.NAMES],
            )
            locks.update((row["relname"], row["mode"]) for row in held)

    async with connected(older_url) as one, connected(older_url) as other:
        writing, watching = asyncio.create_task(write(one)), asyncio.create_task(watch(other))
        await began.wait()
        answer = await adopted(older_url)
        over.set()
        assert await writing > 1
        await watching
    assert answer.revision == FIRST
    modes = {"AccessShareLock", "ShareUpdateExclusiveLock"}
    assert {mode for _, mode in locks} <= modes
    assert {table for table, mode in locks if mode != "AccessShareLock"} <= set(legacy.TABLES)


@pytest.mark.parametrize("sql", [
    "ALTER TABLE cameras ADD COLUMN later text",
    "CREATE INDEX later ON events (user_id)",
    "ALTER TABLE sends ADD CONSTRAINT later CHECK (true)",
])  # fmt: skip
async def test_who_changes_the_schema_meanwhile_waits_for_the_stamp(
    older_url: str, sql: str
) -> None:
    """What was compared is what is stamped."""
    changing: list[asyncio.Task[None]] = []
    clock = asyncio.get_running_loop().time
    began: list[float] = []

    def say(line: str) -> None:
        if line.startswith("Comparing"):
            began.append(clock())
            changing.append(asyncio.create_task(execute(older_url, sql)))

    answer = await adopted(older_url, say)
    assert clock() - began[0] < 1.5, "we waited for one who waits for us, until the lock timeout"
    assert answer.revision == FIRST
    await changing[0]
    assert len((await inspect(older_url, acquainted=answer.acquainted)).findings) == 1


async def test_a_schema_that_somebody_else_is_changing_is_not_adopted(older_url: str) -> None:
    async with connected(older_url) as other:
        changing = other.transaction()
        await changing.start()
        await other.execute("CREATE INDEX later ON events (user_id)")
        stopped = await refused(older_url)
        await changing.rollback()
    assert stopped.verdict == Verdict.CONTENDED
    assert (await adopted(older_url)).revision == FIRST


@pytest.fixture
def role(older_url: str, postgres_server: Server) -> Iterator[str]:
    name = f"{DatabaseUrl.parse(older_url).database}_service"
    postgres_server.run(f"CREATE ROLE {name}")
    yield name
    asyncio.run(execute(older_url, f"DROP OWNED BY {name}"))
    postgres_server.run(f"DROP ROLE {name}")


async def test_the_services_role_must_be_let_in(older_url: str, role: str) -> None:
    with pytest.raises(Stopped, match=f"GRANT .* TO {role}") as stopped:
        await adopted(older_url, role=role)
    assert stopped.value.verdict == Verdict.DRIFTED
    for finding in stopped.value.evidence["findings"]:
        for statement in finding["mend"]:
            await execute(older_url, statement)
    await adopted(older_url, role=role)
    await execute(older_url, f"SET ROLE {role}; TABLE alembic_version; TABLE release_facts")


async def test_a_role_that_is_not_there_is_named(older_url: str) -> None:
    with pytest.raises(Stopped, match="no role nobody_of_ours") as stopped:
        async with ledger_of(older_url) as ledger:
            await adopt(older_url, ledger, service_role="nobody_of_ours", say=quiet)
    assert stopped.value.verdict == Verdict.REFUSED

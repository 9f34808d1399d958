"""Nobody waits for a statement of ours longer than the stall budget, whatever stands in its way."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Final

import asyncpg
import pytest

from app.database.url import DatabaseUrl
from app.releases.apply import backends, executor
from app.releases.apply.migration import MigrationLimits
from app.releases.apply.watcher import Watcher
from app.releases.migrations import backfill
from app.releases.migrations.backfill import Backfill, fill
from app.releases.migrations.ddl import Index, build_index
from app.releases.migrations.steps import LiveSteps
from app.releases.sql.effects import named_tables
from app.releases.sql.text import normalise
from app.releases.verdict import Stopped, Verdict
from tests.legacy import connected, quiet
from tests.support.applying import Applying, Service, applying, holding, timed, until
from tests.support.databases import Server, until_blocked
from tests.support.pace import at_most

BUDGET: Final = 0.5
ADD: Final = "ALTER TABLE things ADD COLUMN IF NOT EXISTS more text"
READ: Final = "SELECT count(*) FROM things"
WRITE: Final = "UPDATE things SET name = name || '.' WHERE id = '00001'"
INDEX: Final = Index("name")
SLEEPS: Final = """SELECT EXISTS (SELECT FROM pg_stat_activity
  WHERE wait_event = 'PgSleep' AND datname = current_database())"""
DROPS: Final = """SELECT EXISTS (SELECT FROM pg_stat_activity
  WHERE query LIKE 'DROP INDEX%' AND state = 'active' AND datname = current_database())"""


@pytest.fixture(scope="module")
def things(postgres_server: Server) -> str:
    """Return a database with a table of 1,000 rows, to be used as a template."""
    url = postgres_server.make()

    async def fill() -> None:
        async with connected(url) as connection:
            await connection.execute("CREATE TABLE things (id text PRIMARY KEY, name text)")
            await connection.execute(
                "INSERT INTO things SELECT lpad(n::text, 5, '0'), 'n'"
                " FROM generate_series(1, 1000) AS n"
            )

    asyncio.run(fill())
    return DatabaseUrl.parse(url).database


@pytest.fixture
def url(postgres_server: Server, things: str) -> Iterator[str]:
    with postgres_server.lent(things) as lent:
        yield lent


@pytest.fixture
async def run(url: str) -> AsyncIterator[Applying]:
    async with applying(url) as made:
        yield made


@pytest.mark.parametrize("held", [READ, WRITE])
@pytest.mark.parametrize("served", [READ, WRITE.replace("00001", "00002")])
async def test_who_queues_behind_us_is_let_through(
    run: Applying, monkeypatch: pytest.MonkeyPatch, held: str, served: str
) -> None:
    async with Service(run.url, served) as service:
        async with holding(run.url, held):
            alter = asyncio.create_task(run.steps(monkeypatch, lambda steps: steps.brief(ADD)))
            await until(run.url, "SELECT max(tries) >= 3 FROM release_statements")
            assert not alter.done()
        done = await alter
    assert 0.05 < max(service.waits) < at_most(BUDGET), "queued behind us, and not for long"
    assert done.worst_stall < at_most(BUDGET)
    assert done.statements[0]["tries"] >= 3
    assert any("Others are in the way" in line and held in line for line in run.said)


SLOW: Final = """DO $$ BEGIN
  IF EXISTS (SELECT FROM slow) THEN PERFORM pg_sleep(30); END IF; END $$"""


def hold_for_long(steps: LiveSteps) -> None:
    """Hold the table for 30 s, as long as there is the table ``slow`` with a row."""
    steps.brief("LOCK TABLE things IN ACCESS EXCLUSIVE MODE", SLOW, ADD)


@pytest.fixture
async def slow(url: str) -> AsyncIterator[asyncpg.Connection]:
    async with connected(url) as connection:
        await connection.execute("CREATE TABLE slow AS SELECT 1 AS one")
        yield connection


@pytest.mark.parametrize("waiting", [READ, WRITE])
async def test_a_statement_that_others_wait_for_is_cancelled(
    run: Applying, monkeypatch: pytest.MonkeyPatch, slow: asyncpg.Connection, waiting: str
) -> None:
    applied = asyncio.create_task(run.steps(monkeypatch, hold_for_long))
    await until(run.url, SLEEPS)
    waited = await timed(slow.execute(waiting))
    await slow.execute("DELETE FROM slow")
    done = await applied
    page = done.statements[0]
    assert 0.2 < waited < at_most(BUDGET)
    assert 0.2 < done.worst_stall < at_most(BUDGET)
    assert page["tries"] >= 2
    assert page["waiter"]["pid"] == slow.get_server_pid()
    assert page["waiter"]["query"] == waiting
    written = (await run.pages())[0]
    assert (written["stall"], written["tries"]) == (page["stall"], page["tries"])
    assert written["error"] is None


async def test_a_batch_that_others_wait_for_goes_on_smaller(
    run: Applying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "FIRST_BATCH", 800)
    filling = Backfill("things", {"more": "'m'"}, "t.more IS NULL")
    async with connected(run.url) as writer:
        await writer.execute(ADD)
        await writer.execute("""
            CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
              IF NEW.more IS NOT NULL THEN PERFORM pg_sleep(0.001); END IF; RETURN NEW; END $$;
            CREATE TRIGGER slow BEFORE UPDATE ON things FOR EACH ROW EXECUTE FUNCTION slow()""")
        applied = asyncio.create_task(run.steps(monkeypatch, lambda steps: fill(steps, filling)))
        await until(run.url, SLEEPS)
        waited = await timed(writer.execute(WRITE))
        done = await applied
        assert await writer.fetchval("SELECT count(*) FROM things WHERE more = 'm'") == 1000
        assert await writer.fetchval("SELECT done FROM release_backfill") == 1000
    assert waited < at_most(BUDGET)
    assert run.walked[0][0] < 800, "the first batch that went through was a smaller one"
    batches = [page for page in done.statements if page["kind"] == "backfill"]
    assert len(batches) == 1
    assert batches[0]["tries"] >= 2


async def test_a_cancelled_index_build_leaves_nothing_invalid(
    run: Applying, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connected(run.url) as other, holding(run.url, WRITE) as holder:
        building = asyncio.create_task(
            run.steps(monkeypatch, lambda steps: build_index(steps, "things", INDEX))
        )
        await until_blocked(run.url)
        invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"
        assert await other.fetchval(invalid) == 1
        # ANALYZE and an index build exclude each other.
        assert await timed(other.execute("ANALYZE things")) < at_most(BUDGET)
        await holder.execute("ROLLBACK; BEGIN")
        done = await building
        assert await other.fetchval(invalid) == 0
        assert await other.fetchval("SELECT 'things_name_idx'::regclass IS NOT NULL")
    assert done.statements[0]["tries"] >= 2


async def test_a_given_up_index_build_leaves_nothing_invalid(
    run: Applying, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def give_up() -> None:
        limits = MigrationLimits(wall_clock=1.0)
        await run.steps(
            monkeypatch, lambda steps: build_index(steps, "things", INDEX), limits=limits
        )

    async with holding(run.url, WRITE) as holder:
        building = asyncio.create_task(give_up())
        pid = holder.get_server_pid()
        await until_blocked(run.url)
        # When the time is over, the build ends; then the holder does, so that it can be dropped.
        await until(run.url, DROPS)
    with pytest.raises(Stopped, match=f"process {pid}") as stopped:
        await building
    assert stopped.value.verdict is Verdict.CONTENDED
    async with connected(run.url) as other:
        assert await other.fetchval("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == 0


EYES: Final = """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
  WHERE query LIKE 'SELECT EXISTS (SELECT FROM pg_locks%' AND datname = current_database()"""


async def test_the_watcher_comes_back(
    run: Applying, monkeypatch: pytest.MonkeyPatch, slow: asyncpg.Connection
) -> None:
    blinded: list[int] = []

    def body(steps: LiveSteps) -> None:
        blinded.append(steps.rows(EYES)[0][0])
        steps.pause(0.1)
        hold_for_long(steps)

    applied = asyncio.create_task(run.steps(monkeypatch, body))
    await until(run.url, SLEEPS)
    assert await timed(slow.execute(READ)) < at_most(BUDGET)
    await slow.execute("DELETE FROM slow")
    await applied
    assert blinded == [1]
    assert any("watcher lost its connection" in line for line in run.said)


async def test_nothing_begins_while_nobody_watches() -> None:
    watcher = Watcher("postgresql://nobody@127.0.0.1:1/none", BUDGET, quiet, lambda _: None)
    watching = asyncio.create_task(watcher.watch())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3), watcher.in_flight():
            pytest.fail("it began")
    watcher.is_over = True
    await watching


async def test_a_cancel_never_hits_the_next_statement(url: str) -> None:
    watcher = Watcher(url, BUDGET, quiet, lambda _: None)
    watcher.is_watching.set()
    hit = 0
    async with connected(url) as ours, connected(url) as eyes:
        for number in range(150):
            begun = asyncio.Event()
            meant = asyncio.create_task(_in_flight(watcher, ours, number % 5 / 1_000, begun))
            await begun.wait()
            cancel = watcher._cancel  # noqa: SLF001  # the race is inside
            cancelling = asyncio.create_task(cancel(eyes, [ours.get_server_pid()], number * 2 + 1))
            hit += await meant
            assert not await _in_flight(watcher, ours, 0.003), f"hit the next, after {number}"
            await cancelling
    assert 0 < hit < 150, "some came in time, some came too late"


async def _in_flight(
    watcher: Watcher,
    connection: asyncpg.Connection,
    seconds: float,
    begun: asyncio.Event | None = None,
) -> bool:
    async with watcher.in_flight():
        if begun:
            begun.set()
        try:
            await connection.execute(f"SELECT pg_sleep({seconds})")
        except asyncpg.QueryCanceledError:
            return True
    return False


async def test_autovacuum_is_waited_out(run: Applying, monkeypatch: pytest.MonkeyPatch) -> None:
    # A worker of autovacuum comes when it likes, so a VACUUM by hand stands for it.
    monkeypatch.setattr(backends, "AUTOVACUUM", "a.application_name = 'vacuums'")
    async with connected(run.url) as vacuum:
        await vacuum.execute("UPDATE things SET name = 'm'")
        await vacuum.execute("SET application_name = 'vacuums'")
        await vacuum.execute("SET vacuum_cost_delay = '50ms'; SET vacuum_cost_limit = 1")
        vacuuming = asyncio.create_task(timed(vacuum.execute("VACUUM things")))
        await until(run.url, "SELECT count(*) = 1 FROM pg_stat_progress_vacuum")
        began = asyncio.get_running_loop().time()
        done = await run.steps(monkeypatch, lambda steps: steps.brief(ADD))
        waited = asyncio.get_running_loop().time() - began
        assert vacuuming.done()
        assert await vacuuming > 0.3
    assert waited > 0.2
    assert done.statements[0]["tries"] == 1
    told = f"Waiting for process {vacuum.get_server_pid()} (autovacuum, active"
    assert any(line.startswith(told) for line in run.said)


@pytest.mark.parametrize(
    ("statement", "tables"),
    [
        ("ALTER TABLE things ADD COLUMN more text DEFAULT 'FROM \"x'", ["things"]),
        ('CREATE INDEX i ON public."Odd name" (a)', ['public."Odd name"']),
        ("ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES things (id)", ["a", "things"]),
        ("UPDATE things t SET a = 1 FROM x.y.z", ["things", "y.z"]),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1 FROM a.b.c $$", []),
    ],
)
async def test_tables_that_a_statement_names(url: str, statement: str, tables: list[str]) -> None:
    assert list(named_tables(statement)) == tables
    async with connected(url) as connection:
        assert await backends.autovacuum_workers(connection, tables) == []


async def test_far_slower_than_rehearsed_is_the_last(
    run: Applying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "GRACE", 0.1)
    sleep = "SELECT  pg_sleep(0.3)"

    def body(steps: LiveSteps) -> None:
        steps.patient(sleep)
        steps.brief(ADD)

    with pytest.raises(Stopped, match=r"pg_sleep.* took \d+\.\d s, and 0.0 s in") as stopped:
        await run.steps(monkeypatch, body, predicted={normalise(sleep): 0.01})
    assert stopped.value.verdict is Verdict.CONTENDED
    assert [page["predicted"] for page in await run.pages()] == [0.01]
    assert (
        len((await run.steps(monkeypatch, body, predicted={normalise(sleep): 2.0})).statements) == 2
    )


async def test_waiting_for_others_is_not_slowness(
    run: Applying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "GRACE", 1.0)
    predicted = {normalise("CREATE INDEX CONCURRENTLY things_name_idx ON things (name)"): 0.0}
    async with holding(run.url, WRITE):
        building = asyncio.create_task(
            run.steps(monkeypatch, lambda s: build_index(s, "things", INDEX), predicted=predicted)
        )
        await until_blocked(run.url)
        await asyncio.sleep(1.5)  # the time that must not count
    assert (await building).statements[0]["seconds"] > 1.5

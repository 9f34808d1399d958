"""A release is applied whole, or stops in words where it can go on; the old version serves on."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any, Final

import asyncpg
import pytest
from sqlalchemy import Connection

from app.database.url import DatabaseUrl
from app.releases.apply import migration as engine
from app.releases.apply.backends import connect, end_orphans
from app.releases.apply.migration import MigrationLimits
from app.releases.migrations import alembic_runner
from app.releases.migrations.alembic_runner import current, upgrade
from app.releases.migrations.migration_session import MIGRATION_LOCK, RELEASE_NAME, set_up
from app.releases.migrations.observer import Observer, observe
from app.releases.migrations.steps import LiveSteps
from app.releases.sql.text import normalise
from app.releases.verdict import Stopped, Verdict
from app.settings import PROJECT
from tests import legacy
from tests.legacy import connected, quiet
from tests.support.applying import Applying, Service, applying, holding, timed, until
from tests.support.databases import Server, execute, until_blocked
from tests.support.pace import at_most

OLDER: Final = "0001_older_schema"
BEFORE: Final = "0004_cable_snakes_switch"
CCUS: Final = "0005_ccus_expand"
SWITCHED: Final = "0006_ccus_switch"
BUDGET: Final = 0.5
ADD: Final = "ALTER TABLE ccus ADD COLUMN IF NOT EXISTS more text"
SLEEPS: Final = """SELECT EXISTS (SELECT FROM pg_stat_activity
  WHERE wait_event = 'PgSleep' AND datname = current_database())"""

RUNNER: Final = """
import asyncio, os
from tests.support.applying import applying

async def main():
    async with applying(os.environ["DATABASE_URL"]) as run:
        await run.revisions("0005_ccus_expand")

asyncio.run(main())
"""
BUILD: Final = """
import pytest
async def build(run, _):
    with pytest.MonkeyPatch.context() as replaced:
        await run.steps(replaced, lambda s: s.patient("CREATE INDEX CONCURRENTLY i ON ccus (name)"))
"""
ORPHAN: Final = f"""
import asyncio, os
import asyncpg
from app.database.url import DatabaseUrl

async def main():
    url = DatabaseUrl.parse(os.environ["DATABASE_URL"])
    connection = await asyncpg.connect(**url.connect_args())
    await connection.execute("SET application_name = '{RELEASE_NAME}'")
    await connection.execute("CREATE INDEX CONCURRENTLY left_behind ON ccus (name)")

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def before(postgres_server: Server) -> str:
    """Return a populated database before the release of the CCUs, to be used as a template."""
    url = postgres_server.make()

    async def fill() -> None:
        await upgrade(url, OLDER, say=quiet)
        async with connected(url) as connection:
            await legacy.populate(connection, 0.2)
        await upgrade(url, BEFORE, say=quiet)

    asyncio.run(fill())
    return DatabaseUrl.parse(url).database


@pytest.fixture
def url(postgres_server: Server, before: str) -> Iterator[str]:
    with postgres_server.lent(before) as lent:
        yield lent


@pytest.fixture
async def run(url: str) -> AsyncIterator[Applying]:
    async with applying(url) as made:
        yield made


def started(code: str, url: str) -> "subprocess.Popen[bytes]":
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": url}
    return subprocess.Popen([sys.executable, "-c", code], cwd=PROJECT, env=environment)


def killed(runner: "subprocess.Popen[bytes]") -> None:
    assert runner.poll() is None, "it ended by itself"
    runner.send_signal(signal.SIGKILL)
    runner.wait()


async def schema(connection: asyncpg.Connection) -> list[str]:
    """Describe the schema without the gate's own tables."""
    return [line for line in await legacy.catalogue(connection) if "release_" not in line]


async def test_revisions_are_applied_in_order(run: Applying) -> None:
    done = await run.revisions(CCUS, SWITCHED)
    assert await current(run.url) == SWITCHED
    assert run.done == [CCUS, SWITCHED]
    pages = await run.pages()
    assert len(pages) == len(done.statements)
    assert {page["stage"] for page in pages} == {"apply"}
    assert {page["kind"] for page in pages} == {"brief", "patient", "backfill"}
    assert all(page["seconds"] is not None and page["error"] is None for page in pages)
    assert run.walked[-1][0] == run.walked[-1][1]


async def test_what_is_done_is_not_done_again(run: Applying) -> None:
    await run.revisions(CCUS, SWITCHED)
    again = await run.revisions(CCUS, SWITCHED)
    assert again.statements == []
    assert run.done == [CCUS, SWITCHED] * 2


async def test_the_way_back(run: Applying) -> None:
    async with connected(run.url) as connection:
        catalogue = await schema(connection)
        await run.revisions(CCUS, SWITCHED)
        done = await engine.undo(
            run.url, BEFORE, run.ledger, MigrationLimits(), say=quiet, progress=lambda *_: None
        )
        assert await schema(connection) == catalogue
    assert await current(run.url) == BEFORE
    assert len(done.statements) > 3
    assert {page["stage"] for page in await run.pages()} == {"apply", "rollback"}


async def test_a_holder_that_never_ends(run: Applying) -> None:
    held, rename = "SELECT count(*) FROM ccus", "UPDATE ccus SET name = 'n' WHERE id = 'CCU 5'"
    async with (
        Service(run.url, "SELECT count(*) FROM ccus WHERE name = 'n'") as reader,
        Service(run.url, rename) as writer,
    ):
        async with holding(run.url, held) as holder:
            with pytest.raises(Stopped) as stopped:
                await run.revisions(CCUS, limits=MigrationLimits(wall_clock=2.0))
            pid = holder.get_server_pid()
        assert stopped.value.verdict is Verdict.CONTENDED
        for said in (f"process {pid}", held, f"pg_terminate_backend({pid})"):
            assert said in stopped.value.words
        assert re.search(r"open for [1-9]\d* s", stopped.value.words)
        assert "old version serves on" in stopped.value.words
        assert await current(run.url) == BEFORE
        assert (await run.pages())[-1]["error"]

        done = await run.revisions(CCUS)
        assert await current(run.url) == CCUS
    assert done.worst_stall < at_most(BUDGET)
    for service in (reader, writer):
        assert len(service.waits) > 50
        assert max(service.waits) < at_most(BUDGET)


@pytest.fixture
def undisturbed(postgres_server: Server, before: str) -> Iterator[str]:
    with postgres_server.lent(before) as lent:
        yield lent


async def test_killed_inside_a_backfill(run: Applying, undisturbed: str) -> None:
    await upgrade(undisturbed, CCUS, say=quiet)
    async with connected(undisturbed) as connection:
        expected = await schema(connection)
    async with connected(run.url) as connection:
        columns = await legacy.columns(connection)
        contents = await legacy.contents(connection, columns)
        await connection.execute("""
            CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
              PERFORM pg_sleep(0.05); RETURN NEW; END $$;
            CREATE TRIGGER slow BEFORE UPDATE ON ccus FOR EACH ROW EXECUTE FUNCTION slow()""")
        async with run.elsewhere():
            runner = started(RUNNER, run.url)
            await until(run.url, SLEEPS)
            killed(runner)
        ended = await end_orphans(connection, run.said.append)
        assert any("UPDATE ccus" in orphan.query for orphan in ended)
        await connection.execute("DROP FUNCTION slow() CASCADE")

        await run.revisions(CCUS)
        assert await schema(connection) == expected
        assert await legacy.contents(connection, columns) == contents
        assert await connection.fetchval("SELECT count(*) FROM ccus WHERE uuid IS NULL") == 0


async def test_an_orphan_that_went_by_itself_is_not_called_stubborn(run: Applying) -> None:
    """PostgreSQL says of a session that has just ended that it could not be ended."""
    async with connected(run.url) as gate:
        orphan = await connect(run.url)
        await gate.execute("""
            CREATE FUNCTION public.pg_terminate_backend(pid integer, wait bigint) RETURNS boolean
            LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_catalog.pg_terminate_backend(pid, wait);
            RETURN false; END $$;
            SET search_path = public, pg_catalog""")
        try:
            assert len(await end_orphans(gate, run.said.append)) == 1
        finally:
            orphan.terminate()


async def test_orphans_are_ended(run: Applying) -> None:
    async with connected(run.url) as gate, holding(run.url, "UPDATE ccus SET name = name"):
        runner = started(ORPHAN, run.url)
        await until_blocked(run.url)
        killed(runner)
        ended = await end_orphans(gate, run.said.append)
        assert [orphan.query for orphan in ended] == [
            "CREATE INDEX CONCURRENTLY left_behind ON ccus (name)"
        ]
        assert run.said == [f"Ended what an earlier release left running: {ended[0]}"]
        alive = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1"
        assert await gate.fetchval(alive, ended[0].pid) == 0
        assert await end_orphans(gate, run.said.append) == []


async def test_the_statement_of_a_killed_runner_ends_by_itself(run: Applying) -> None:
    async with holding(run.url, "LOCK TABLE cameras, ccus"):
        # An index build waits without a timeout of its own.
        code = RUNNER.replace("await run.revisions(", "await build(run, ").replace(
            "async def main", BUILD + "\nasync def main"
        )
        async with run.elsewhere():
            runner = started(code, run.url)
            await until_blocked(run.url)
            killed(runner)
        gone = f"""SELECT NOT EXISTS (SELECT FROM pg_stat_activity
          WHERE application_name = '{RELEASE_NAME}' AND datname = current_database())"""
        assert await timed(until(run.url, gone)) < at_most(5.0)


async def test_what_was_not_approved_is_not_run(run: Applying) -> None:
    async with connected(run.url) as connection:
        catalogue = await schema(connection)
        with pytest.raises(Stopped, match="not in the approved plan: ALTER TABLE ccus") as stopped:
            await run.revisions(CCUS, approved=lambda sql: "ALTER TABLE" not in sql)
        assert stopped.value.verdict is Verdict.BROKEN
        assert await schema(connection) == catalogue
    assert await run.pages() == []
    assert run.done == []


async def test_what_runs_now_is_in_the_ledger(
    run: Applying, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeping = """DO $$ BEGIN WHILE EXISTS (SELECT FROM asleep) LOOP
      PERFORM pg_sleep(0.01); END LOOP; END $$"""
    await execute(run.url, "CREATE TABLE asleep AS SELECT 1 AS one")
    predicted = {normalise(sleeping): 90.0}
    began = time.monotonic()
    applied = asyncio.create_task(
        run.steps(monkeypatch, lambda steps: steps.patient(sleeping), predicted=predicted)
    )
    await until(run.url, SLEEPS)
    running = """SELECT EXISTS (SELECT FROM release_statements WHERE sql LIKE '%FROM asleep%'
      AND seconds IS NULL AND predicted = 90.0
      AND started_at > clock_timestamp() - interval '1 minute')"""
    await until(run.url, running)
    await asyncio.sleep(0.5)
    await execute(run.url, "DELETE FROM asleep")
    await applied
    assert 0.5 < (await run.pages())[-1]["seconds"] < time.monotonic() - began


async def test_stopped_from_outside(run: Applying, monkeypatch: pytest.MonkeyPatch) -> None:
    applied = asyncio.create_task(
        run.steps(monkeypatch, lambda steps: steps.patient("SELECT pg_sleep(60)"))
    )
    await until(run.url, SLEEPS)
    applied.cancel()
    with pytest.raises(asyncio.CancelledError):
        await applied
    await until(run.url, f"SELECT NOT ({SLEEPS})")
    assert "stopped from outside" in (await run.pages())[-1]["error"]


async def test_a_statement_that_somebody_cancels_is_tried_again(
    run: Applying, monkeypatch: pytest.MonkeyPatch
) -> None:
    applied = asyncio.create_task(
        run.steps(monkeypatch, lambda steps: steps.patient("SELECT pg_sleep(0.7)"))
    )
    await until(run.url, SLEEPS)
    await execute(
        run.url,
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        " AND datname = current_database()",
    )
    assert (await applied).statements[0]["tries"] == 2


@pytest.mark.parametrize(
    ("statement", "verdict", "said"),
    [
        ("ALTER TABLE ccus ADD COLUMN id text", Verdict.BROKEN, "already exists"),
        ("ALTER TABLE ccus ALTER COLUMN note SET NOT NULL", Verdict.BROKEN, "23502"),
        ("CREATE UNIQUE INDEX CONCURRENTLY u ON ccus (production_id)", Verdict.BROKEN, "23505"),
        ("DO $$ BEGIN RAISE disk_full; END $$", Verdict.FAILED, "53100"),
        ("DO $$ BEGIN RAISE insufficient_privilege; END $$", Verdict.FAILED, "42501"),
        ("SELECT pg_terminate_backend(pg_backend_pid())", Verdict.UNREACHABLE, "ended at: SELECT"),
    ],
)
async def test_errors_are_told_apart(
    run: Applying, monkeypatch: pytest.MonkeyPatch, statement: str, verdict: Verdict, said: str
) -> None:
    undo = "DROP INDEX CONCURRENTLY IF EXISTS u"
    with pytest.raises(Stopped, match=said) as stopped:
        await run.steps(monkeypatch, lambda steps: steps.patient(statement, undo=undo))
    assert stopped.value.verdict is verdict
    assert statement.partition("\n")[0] in stopped.value.words
    assert "old version serves on" in stopped.value.words
    async with connected(run.url) as connection:
        assert await connection.fetchval("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == 0


async def test_rows_that_nothing_fills(run: Applying) -> None:
    await execute(run.url, "ALTER TABLE cameras DROP CONSTRAINT cameras_ccu_id_fkey")
    await execute(run.url, "UPDATE cameras SET ccu_id = 'gone' WHERE id = 'NULL'")
    with pytest.raises(Stopped, match=r"1 rows of cameras .* SELECT") as stopped:
        await run.revisions(CCUS)
    assert stopped.value.verdict is Verdict.BROKEN


def in_alembics_transaction(statement: str) -> Callable[..., Any]:
    """Return an upgrade that runs a statement as Alembic does: on its own connection."""

    def taken(observer: Observer, connection: Connection) -> None:
        set_up(connection, observer.application_name, observer.lock_timeout)
        with observe(connection, observer):
            connection.exec_driver_sql(statement)
            connection.commit()

    async def upgraded(url: str, _revision: str, _say: Any, observer: Observer) -> None:
        async with alembic_runner.make_engine(url).connect() as connection:
            await connection.run_sync(partial(taken, observer))

    return upgraded


async def test_alembics_own_transaction_is_run_again(
    run: Applying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alembic_runner, "upgrade", in_alembics_transaction(ADD))
    async with Service(run.url, "SELECT count(*) FROM ccus") as service:
        async with holding(run.url, "UPDATE ccus SET name = name"):
            applied = asyncio.create_task(run.revisions(CCUS))
            await until(run.url, "SELECT count(*) >= 3 FROM release_statements")
        done = await applied
    assert max(service.waits) < at_most(BUDGET)
    assert {page["kind"] for page in done.statements} == {"direct"}
    assert [page["error"] is None for page in done.statements][-2:] == [False, True]


async def test_alembics_own_transaction_is_cancelled_when_others_wait(
    run: Applying, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = f"DO $$ BEGIN {ADD}; PERFORM pg_sleep(30); END $$"
    monkeypatch.setattr(alembic_runner, "upgrade", in_alembics_transaction(hold))
    await ended_for_a_reader(run)


async def ended_for_a_reader(run: Applying) -> None:
    """Apply what holds a table for long: a reader is let through, and the run gives up."""
    applied = asyncio.create_task(
        run.revisions(CCUS, limits=MigrationLimits(wall_clock=at_most(1.0)))
    )
    await until(run.url, SLEEPS)
    async with connected(run.url) as reader:
        assert 0.2 < await timed(reader.execute("SELECT count(*) FROM ccus")) < at_most(BUDGET)
    with pytest.raises(Stopped) as stopped:
        await applied
    assert stopped.value.verdict is Verdict.CONTENDED


async def test_alembics_open_transaction_is_ended_when_others_wait(
    run: Applying, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(say: Any, observer: Observer, connection: Connection) -> None:
        set_up(connection, observer.application_name, observer.lock_timeout)
        with observe(connection, observer):
            connection.exec_driver_sql(ADD)
            raw = connection.engine.raw_connection()
            try:
                LiveSteps(raw, say, observer).patient("SELECT pg_sleep(30)")
            finally:
                raw.close()

    async def upgraded(url: str, _revision: str, say: Any, observer: Observer) -> None:
        async with alembic_runner.make_engine(url).connect() as connection:
            await connection.run_sync(partial(taken, say, observer))

    monkeypatch.setattr(alembic_runner, "upgrade", upgraded)
    await ended_for_a_reader(run)


async def test_another_migration_that_never_ends(
    run: Applying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "CANCEL_PATIENCE", 0.3)
    async with connected(run.url) as other:
        await other.execute(f"SELECT pg_advisory_lock({MIGRATION_LOCK})")
        with pytest.raises(Stopped, match="The time of 1 s was over") as stopped:
            await run.revisions(CCUS, limits=MigrationLimits(wall_clock=1.0))
    assert stopped.value.verdict is Verdict.CONTENDED


async def test_nothing_goes_on_without_the_ledger(
    run: Applying, monkeypatch: pytest.MonkeyPatch
) -> None:
    def body(steps: LiveSteps) -> None:
        steps.patient("SELECT pg_sleep(2)")
        steps.brief(ADD)

    pid = await run.ledger.fetch_value("SELECT pg_backend_pid()")
    applied = asyncio.create_task(run.steps(monkeypatch, body))
    await until(run.url, SLEEPS)
    await execute(run.url, f"SELECT pg_terminate_backend({pid})")
    with pytest.raises(Stopped, match="the gate's own notes") as stopped:
        await applied
    assert stopped.value.verdict is Verdict.UNREACHABLE
    async with connected(run.url) as connection:
        assert "more" not in (await legacy.columns(connection))["ccus"]

"""Killed anywhere: run again, and the end is as if nothing had happened."""

import asyncio
import os
import signal

import pytest

from app.releases.gate.gate import RESUME, STAGES
from app.releases.migrations.alembic_runner import current
from app.releases.verdict import Verdict
from tests import legacy
from tests.legacy import connected
from tests.support.databases import Server
from tests.support.forks import ForkedProcess
from tests.support.gates import ran, rows

SNAKES = "0004_cable_snakes_switch"


@pytest.fixture
def older(ready_database: str) -> str:
    return ready_database


@pytest.fixture(scope="session")
def undisturbed(postgres_server: Server, ready_template: str) -> object:
    """Return what the database is after the release when nobody disturbs it."""
    with postgres_server.lent(ready_template) as url:
        assert asyncio.run(ran(url)).verdict.name == "STEP_DONE"
        return asyncio.run(end_state(url))


async def end_state(url: str) -> object:
    async with connected(url) as connection:
        columns = await legacy.columns(connection)
        for named in columns.values():
            named.pop("uuid", None)  # made anew each time
            for name in [name for name in named if name.endswith("_uuid")]:
                named.pop(name)
        filled = await connection.fetchval("SELECT count(*) FROM cable_snakes WHERE uuid IS NULL")
        return (
            await current(url), await legacy.catalogue(connection), filled,
            await legacy.contents(connection, columns),
        )  # fmt: skip


def started(url: str, *where: str, words: tuple[str, ...] = ("release",)) -> ForkedProcess:
    """Start the release in a process of its own, to halt somewhere."""
    own = {"DATABASE_URL": url, "SOAK_HOURS": "0", "CONTRACT_QUIET_MINUTES": "0"}
    return ForkedProcess("tests.support.halting", *where, *words, env={**os.environ, **own})


def killed(url: str, *where: str, words: tuple[str, ...] = ("release",)) -> None:
    """Run the release in a process of its own, and kill it where it halts."""
    process = started(url, *where, words=words)
    assert process.stdout is not None
    said = process.stdout.readline()
    process.kill()
    _, err = process.communicate()
    assert said == "halted\n", err


async def test_killed_in_every_stage_one_after_another(older: str, undisturbed: object) -> None:
    for stage in STAGES[1:]:
        for moment in ("before", "after") if stage.NAME in {"apply", "verify"} else ("before",):
            await asyncio.to_thread(killed, older, moment, stage.NAME)
    ended = await ran(older, RESUME, word="resume")
    assert ended.verdict.name == "STEP_DONE", ended
    assert await end_state(older) == undisturbed
    runs = await rows(older, "SELECT verdict FROM release_runs ORDER BY id DESC")
    assert [run["verdict"] for run in runs[:2]] == ["STEP_DONE", "KILLED"]


@pytest.mark.parametrize("where", [("batch", "2"), ("statement", "1"), ("statement", "4"),
                                   ("statement", "9"), ("statement", "14")],
                         ids=" ".join)  # fmt: skip
async def test_killed_in_the_middle_of_the_work(
    older: str, undisturbed: object, where: tuple[str, str]
) -> None:
    await asyncio.to_thread(killed, older, *where)
    assert await current(older) != SNAKES
    ended = await ran(older)
    assert ended.verdict.name == "STEP_DONE", ended
    assert await end_state(older) == undisturbed


async def test_the_older_service_serves_while_the_gate_is_dead(older: str) -> None:
    await asyncio.to_thread(killed, older, "batch", "2")
    async with connected(older) as connection:
        snake = await connection.fetchrow("SELECT id, name FROM cable_snakes LIMIT 1")
        assert snake is not None
        await connection.execute("UPDATE cable_snakes SET name = 'n' WHERE id = $1", snake["id"])
    status = await rows(older, "SELECT count(*) FROM release_backfill WHERE finished_at IS NULL")
    assert status[0][0] == 1


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name)
async def test_a_signal_stops_it_between_two_statements(
    older: str, undisturbed: object, sent: signal.Signals
) -> None:
    """What a platform sends, and Ctrl-C: the run closes its page and says how to go on."""
    process = started(older, "batch", "2")
    try:
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == "halted\n"
        process.send_signal(sent)
        _, err = await asyncio.to_thread(process.communicate, timeout=60)
    finally:
        process.kill()
    assert (process.returncode, "takes it up" in err) == (Verdict.CONTENDED, True), err
    runs = await rows(older, "SELECT verdict FROM release_runs ORDER BY id DESC LIMIT 1")
    assert runs[0]["verdict"] == "CONTENDED"
    assert (await ran(older)).verdict is Verdict.STEP_DONE
    assert await end_state(older) == undisturbed

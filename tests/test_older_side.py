"""A contract waits until the older side is gone, and says before that there is no way back."""

from typing import Final

import asyncpg
import pytest

from app.database.url import DatabaseUrl
from app.older_service.recent_writes import tables_written_by_older
from app.releases.apply.backends import foreign_sessions
from app.releases.gate.gate import PLAN
from app.releases.ledger.ledger import Ledger
from app.releases.migrations.alembic_runner import current
from app.releases.migrations.revisions import needed
from tests.legacy import connected
from tests.older_service import OlderService
from tests.support.bodies import ALL, minimal
from tests.support.gates import ran
from tests.support.ledgers import opened
from tests.support.service import created, service
from tests.support.whole import CALM, contracts_approved, rehearsed_whole

HOUR: Final = 3_600.0
# Several tables, each rehearsed and taken back.
pytestmark = pytest.mark.slow


async def session(url: str, application: str) -> asyncpg.Connection:
    arguments = DatabaseUrl.parse(url).connect_args()
    arguments["server_settings"] = {"application_name": application}
    return await asyncpg.connect(**arguments)


async def test_refused_while_somebody_else_is_connected(switched_database: str) -> None:
    foreign = await session(switched_database, "")
    try:
        await foreign.fetchval("SELECT count(*) FROM cameras")
        ended = await rehearsed_whole(switched_database)
        assert ended.verdict.name == "REFUSED", ended
        assert f"process {foreign.get_server_pid()}" in ended.words
        assert "without a way back" in ended.words
        single = await ran(switched_database, contract=True, **CALM)
        assert (single.verdict.name, "connected" in single.words) == ("REFUSED", True)
        deploy = await ran(switched_database, **CALM)
        assert (deploy.verdict.name, deploy.revision) == ("DONE", needed()), "it may wait"
    finally:
        foreign.terminate()


@pytest.mark.parametrize("application", ["", "prisma", "psql"])
async def test_whoever_this_service_did_not_open_is_somebody_else(
    own_database: str, application: str
) -> None:
    foreign = await session(own_database, application)
    try:
        async with opened(own_database) as ledger:
            (found,) = await foreign_sessions(ledger)
            assert f"process {foreign.get_server_pid()}" in str(found)
    finally:
        foreign.terminate()


async def test_one_that_is_named_harmless_is_not_waited_for(switched_database: str) -> None:
    monitor = await session(switched_database, "monitor")
    try:
        assert (await rehearsed_whole(switched_database)).verdict.name == "REFUSED"
        ended = await rehearsed_whole(switched_database, harmless_sessions=("monitor",))
        assert ended.verdict.name == "DONE", ended
    finally:
        monitor.terminate()


async def test_who_comes_after_the_approval_stops_it_too(switched_database: str) -> None:
    await contracts_approved(switched_database)
    late = await session(switched_database, "prisma")
    try:
        ended = await ran(switched_database, contract=True, **CALM)
        assert (ended.verdict.name, await current(switched_database)) == ("REFUSED", needed())
    finally:
        late.terminate()
    assert (await ran(switched_database, **CALM)).verdict.name == "DONE"


async def older_write(url: str, table: str) -> None:
    stamp = "timestamp" if table == "events" else "updated_at"
    older = await session(url, "signalbook")  # its name would not give it away
    await older.execute(
        f"""UPDATE {table} SET "{stamp}" = now() AT TIME ZONE 'UTC'
        WHERE id = (SELECT id FROM {table} LIMIT 1)"""
    )
    await older.close()


async def test_refused_while_the_older_service_has_just_written(switched_database: str) -> None:
    await older_write(switched_database, "events")
    ended = await rehearsed_whole(switched_database, quiet_seconds=HOUR)
    assert ended.verdict.name == "REFUSED", ended
    assert "in the last 60 minutes (events)" in ended.words
    assert "CONTRACT_QUIET_MINUTES" in ended.words


@pytest.mark.parametrize("table", ["cameras", "productions", "events", "connections"])
async def test_a_write_of_the_older_service_is_seen(switched_database: str, table: str) -> None:
    await older_write(switched_database, table)
    async with connected(switched_database) as connection:
        assert await tables_written_by_older(Ledger(connection), HOUR) == [table]


async def test_writes_of_this_service_are_none_of_the_older_side(switched_database: str) -> None:
    with service(switched_database) as client:
        show = created(client, "productions", name="A show")
        for entity in ALL:
            if entity.collection != "productions":
                body = minimal(entity, productionId=show["id"])
                made = created(client, entity.collection, **body)
                client.delete(f"/api/{entity.collection}/{made['uuid']}").raise_for_status()
    async with connected(switched_database) as connection:
        assert await tables_written_by_older(Ledger(connection), HOUR) == []


async def test_the_older_service_at_work_is_seen(switched_database: str) -> None:
    async with connected(switched_database) as connection:
        older = OlderService(connection, "late")
        await older.insert("productions", "show")
        await older.update("productions", "show", show_name="n")
        await connection.execute(
            "UPDATE productions SET updated_at = now() AT TIME ZONE 'UTC' WHERE id = 'late show'"
        )
        assert await tables_written_by_older(Ledger(connection), HOUR) == ["productions"]


async def test_plan_and_approval_say_that_there_is_no_way_back(switched_database: str) -> None:
    monitor = await session(switched_database, "monitor")
    try:
        asked = {"contract": True, "harmless_sessions": ("monitor",), **CALM}
        planned = await ran(switched_database, PLAN, word="plan", **asked)
        policy = next(stage for stage in planned.stages if stage["stage"] == "policy")
        assert "NO WAY BACK" in policy["words"]
        waiting = await ran(switched_database, **asked)
        assert waiting.verdict.name == "AWAITING_APPROVAL"
        assert "NO WAY BACK" in waiting.words
        assert "DROP COLUMN" in waiting.words
        assert "Connected beside this service: nobody" in waiting.words
    finally:
        monitor.terminate()

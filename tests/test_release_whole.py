"""A small database goes through all expands and switches in one release, table after table."""

import asyncio
from itertools import groupby
from typing import Final

import pytest

from app.errors import Destroys, PlanClosed
from app.releases.gate.gate import PLAN, ROLLBACK
from app.releases.migrations.alembic_runner import current
from app.releases.migrations.revisions import head, history, needed
from tests import legacy
from tests.legacy import connected
from tests.support.databases import execute
from tests.support.gates import Heard, approved, ran, rows
from tests.support.whole import CALM, contracts_approved, rehearsed_whole
from tests.test_release_killed import end_state, killed
from tests.test_rollback import WHO, seen

SWITCHES: Final = [r for r in history()[1:] if r.phase != "contract"]
TABLES: Final = list(dict.fromkeys(r.table for r in SWITCHES if r.table))
# Somebody's hand on the live database, when the gate has just finished one of the tables.
HAND: Final = """
CREATE FUNCTION by_hand() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF current_database() = '{database}' THEN ALTER TABLE sends ADD COLUMN by_hand int; END IF;
  RETURN NEW; END $$;
CREATE TRIGGER by_hand AFTER UPDATE ON alembic_version FOR EACH ROW
  WHEN (NEW.version_num = '0006_ccus_switch') EXECUTE FUNCTION by_hand()"""
# Several tables, each rehearsed and taken back.
pytestmark = pytest.mark.slow


async def test_one_rehearsal_one_approval_one_soak_and_no_row_is_lost(whole_database: str) -> None:
    heard = Heard()
    async with connected(whole_database) as connection:
        columns = await legacy.columns(connection)
        before = await legacy.contents(connection, columns)
        done = await ran(whole_database, heard=heard, soak_seconds=3_600.0, **CALM)
        assert await legacy.contents(connection, columns) == before
    assert (done.verdict.name, await current(whole_database)) == ("DONE", needed())
    looks = [line for line in heard.lines if line.endswith("is done and looked at.")]
    in_turn = [table for table, _ in groupby(r.table for r in SWITCHES if r.table)]
    assert len(looks) == len(in_turn) - 1, "one look between every two tables"
    soaks = await rows(whole_database, "SELECT revisions, seconds FROM release_soaks")
    assert [(s["revisions"], s["seconds"]) for s in soaks] == [([r.name for r in SWITCHES], 3_600)]
    counted = "SELECT (SELECT count(*) FROM release_rehearsals), count(*) FROM release_decisions"
    assert tuple((await rows(whole_database, counted))[0]) == (1, 1)


async def test_table_by_table_stays_the_default(adopted_database: str) -> None:
    ended = await ran(adopted_database, PLAN, word="plan", contract=True)
    assert ended.plan is not None
    assert (ended.plan.table, ended.plan.tables) == ("productions", ())
    whole = await ran(adopted_database, PLAN, word="plan", contract=True, whole=True)
    assert whole.plan is not None
    assert (whole.plan.table, list(whole.plan.tables)) == (None, TABLES)
    assert whole.plan.revisions == tuple(r.name for r in SWITCHES)


async def test_a_database_that_is_not_small_goes_table_by_table(adopted_database: str) -> None:
    refused = await rehearsed_whole(adopted_database, small_seconds=0.001)
    assert refused.verdict.name == "REFUSED"
    assert "SMALL_RELEASE_SECONDS" in refused.words
    assert "without --whole" in refused.words
    with pytest.raises(PlanClosed):
        await approved(adopted_database, refused)
    single = await ran(adopted_database)
    assert (single.verdict.name, single.plan and single.plan.table) == (
        "AWAITING_APPROVAL", "productions",
    )  # fmt: skip


async def test_a_hand_between_two_tables_stops_it_there(whole_database: str) -> None:
    name = whole_database.partition("?")[0].rpartition("/")[2]
    await execute(whole_database, HAND.format(database=name))
    ended = await ran(whole_database, **CALM)
    assert ended.verdict.name == "UNVERIFIED", ended
    assert all(words in ended.words for words in ("0006_ccus_switch", "by_hand", "resume"))
    assert await current(whole_database) == "0006_ccus_switch"
    await execute(whole_database, "ALTER TABLE sends DROP COLUMN by_hand")
    await execute(whole_database, "DROP FUNCTION by_hand() CASCADE")
    again = await ran(whole_database, **CALM)
    assert (again.verdict.name, await current(whole_database)) == ("DONE", needed())


# Early statements are those of the first table, at which test_release_killed kills.
@pytest.mark.parametrize("where", [("batch", "3"), ("statement", "60")], ids=" ".join)
async def test_killed_in_the_middle_it_goes_on(
    whole_database: str, switched_database: str, where: tuple[str, str]
) -> None:
    await asyncio.to_thread(killed, whole_database, *where)
    ended = await ran(whole_database, **CALM)
    assert (ended.verdict.name, await current(whole_database)) == ("DONE", needed()), ended
    assert await end_state(whole_database) == await end_state(switched_database)


async def test_the_whole_is_taken_back(whole_database: str) -> None:
    before = await seen(whole_database)
    assert (await ran(whole_database, **CALM)).verdict.name == "DONE"
    back = await ran(whole_database, ROLLBACK, **WHO)
    assert (back.verdict.name, await current(whole_database)) == ("DONE", history()[0].name), back
    assert await seen(whole_database) == before


async def test_contracts_together_name_every_table(switched_database: str) -> None:
    waiting = await rehearsed_whole(switched_database)
    assert waiting.plan is not None
    destroyed = str(waiting.plan.destroyed)
    contracts = {str(r.table) for r in history() if r.phase == "contract"}
    assert contracts - {"productions"} <= set(destroyed.split(","))
    for wrong in (None, "cameras", destroyed.replace("cameras,", "")):
        with pytest.raises(Destroys) as refused:
            await approved(switched_database, waiting, destroys=wrong)
        assert refused.value.members["destroys"] == destroyed
    await approved(switched_database, waiting, destroys=destroyed.replace(",", ", "))
    done = await ran(switched_database, **CALM)
    assert (done.verdict.name, await current(switched_database)) == ("DONE", head())


async def test_contracts_killed_between_two_go_on(switched_database: str) -> None:
    await contracts_approved(switched_database)
    await asyncio.to_thread(killed, switched_database, "contract", "4")
    assert await current(switched_database) not in {needed(), head()}
    done = await ran(switched_database, **CALM)
    assert (done.verdict.name, await current(switched_database)) == ("DONE", head())

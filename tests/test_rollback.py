"""Back to before the last release: finished or half done, with every row."""

import asyncio
from typing import Any, Final

import pytest

from app.releases.gate.gate import ROLLBACK
from app.releases.migrations.alembic_runner import current
from tests import legacy
from tests.legacy import connected
from tests.support.databases import execute
from tests.support.gates import approved, ran, rows
from tests.test_release_killed import killed

BEFORE = "0002_productions_expand"
WHO: Final[dict[str, Any]] = {"word": "rollback", "who": "anna", "why": "the old page is slow"}


@pytest.fixture
def older(ready_database: str) -> str:
    return ready_database


async def seen(url: str) -> tuple[object, object]:
    async with connected(url) as connection:
        columns = await legacy.columns(connection)
        return await legacy.catalogue(connection), await legacy.contents(connection, columns)


async def test_a_release_is_taken_back_and_stays_back(older: str) -> None:
    before = await seen(older)
    assert (await ran(older)).verdict.name == "STEP_DONE"
    ended = await ran(older, ROLLBACK, **WHO)
    assert ended.verdict.name == "DONE", ended
    assert await current(older) == BEFORE
    assert await seen(older) == before
    soaks = await rows(older, "SELECT ended FROM release_soaks WHERE ended IS NOT NULL")
    assert "the old page is slow" in soaks[0]["ended"]

    waiting = await ran(older)
    assert waiting.verdict.name == "AWAITING_APPROVAL", "it must not come back by itself"
    assert "rolled back" in waiting.words
    await approved(older, waiting)
    assert (await ran(older)).verdict.name == "STEP_DONE"


@pytest.mark.parametrize("number", ["2", "5", "8", "11", "13", "15"])
async def test_a_release_that_was_half_done_is_taken_back(older: str, number: str) -> None:
    before = await seen(older)
    await asyncio.to_thread(killed, older, "statement", number)
    ended = await ran(older, ROLLBACK, **WHO)
    assert ended.verdict.name == "DONE", ended
    assert await current(older) == BEFORE
    assert await seen(older) == before


async def test_what_the_gate_did_not_do_it_cannot_take_back(own_database: str) -> None:
    ended = await ran(own_database, ROLLBACK, **WHO)
    assert ended.verdict.name == "REFUSED"


async def test_there_is_no_way_back_from_a_contract(empty_database: str) -> None:
    await ran(empty_database)
    await execute(
        empty_database,
        "UPDATE release_plans SET plan ="
        " jsonb_set(plan, '{before}', '\"0057_vision_switchers_contract\"')",
    )
    ended = await ran(empty_database, ROLLBACK, **WHO)
    assert ended.verdict.name == "REFUSED"
    assert "contract" in ended.words

"""An approval is of one plan, one schema and one rehearsal; anything else makes it void."""

from pathlib import Path

import pytest

from app.errors import NotRehearsed
from app.releases.gate.gate import PLAN, REHEARSE
from app.releases.migrations import revisions
from app.releases.migrations.alembic_runner import current
from app.releases.verdict import Verdict
from tests.support.databases import execute
from tests.support.gates import approved, ran, rows
from tests.support.images import Image

OLDER = revisions.history()[0].name
NEXT = "0002_productions_expand"


@pytest.fixture
def older(rehearsed_database: str) -> str:
    return rehearsed_database


async def test_an_unapproved_plan_has_its_own_code(older: str) -> None:
    ended = await ran(older)
    assert ended.verdict is Verdict.AWAITING_APPROVAL
    assert "approve" in ended.words
    assert await current(older) == OLDER


async def test_another_schema_voids_it(older: str) -> None:
    first = await ran(older)
    await approved(older, first)
    await execute(older, "CREATE TABLE crew_calls_2 (id text PRIMARY KEY)")
    await execute(
        older,
        "UPDATE release_facts SET value = value || '[\"crew_calls_2\"]' WHERE name = 'acquainted'",
    )
    ended = await ran(older)
    assert ended.verdict is Verdict.AWAITING_APPROVAL
    assert ended.digest != first.digest
    assert await current(older) == OLDER


async def test_another_rehearsal_voids_it(older: str) -> None:
    await approved(older, await ran(older))
    assert (await ran(older, REHEARSE, anew=True)).verdict is Verdict.DONE
    ended = await ran(older)
    assert ended.verdict is Verdict.AWAITING_APPROVAL
    assert "void" in ended.words


async def test_other_sql_voids_it(older: str, tmp_path: Path) -> None:
    first = await ran(older)
    await approved(older, first)
    image = Image(tmp_path)
    image.replace(
        "app/releases/migrations/ddl.py", "IF NOT EXISTS uuid uuid", "IF NOT EXISTS uuid uuid NULL"
    )
    ended = image.run("release", DATABASE_URL=older)
    assert ended.returncode == Verdict.AWAITING_APPROVAL, ended.stderr
    assert await current(older) == OLDER


async def test_what_was_withheld_is_not_applied(older: str) -> None:
    ended = await ran(older)
    await approved(older, ended)
    await execute(
        older,
        "INSERT INTO release_decisions (digest, decision, who, why)"
        " VALUES ($1, 'withheld', 'bert', 'a show is on')",
        ended.digest,
    )
    again = await ran(older)
    assert again.verdict is Verdict.AWAITING_APPROVAL
    assert "withheld by bert: a show is on" in again.words


async def test_what_was_not_rehearsed_cannot_be_approved(older: str) -> None:
    await execute(older, "DELETE FROM release_rehearsals")
    ended = await ran(older, PLAN)
    with pytest.raises(NotRehearsed):
        await approved(older, ended)


async def test_it_is_kept_who_approved_and_why(older: str) -> None:
    ended = await ran(older)
    await approved(older, ended, who="bert", why="read line by line")
    done = await ran(older)
    assert done.verdict is Verdict.STEP_DONE
    page = await rows(
        older, "SELECT words FROM release_stages WHERE run = $1 AND stage = 'approve'", done.run
    )
    assert page[0]["words"] == "by bert: read line by line"

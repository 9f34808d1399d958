"""The gate from its first stage to its last, and what each run leaves in the ledger."""

import asyncio
import json

import pytest

from app.releases.gate.gate import PLAN, REHEARSE, RESUME, STAGES
from app.releases.migrations import revisions
from app.releases.migrations.alembic_runner import current
from tests.support.databases import column, execute
from tests.support.gates import Heard, adopted, approved, ran, rows, stepped

NEXT = "0002_productions_expand"


@pytest.fixture
def older(adopted_database: str) -> str:
    return adopted_database


async def test_an_empty_database_is_built_at_once(empty_database: str) -> None:
    heard = Heard()
    ended = await ran(empty_database, heard=heard)
    assert (ended.verdict.name, ended.revision) == ("DONE", revisions.head())
    assert await current(empty_database) == revisions.head()
    assert list(heard.stages) == [stage.NAME for stage in STAGES]
    assert heard.stages["approve"] == heard.stages["rehearse"] == heard.stages["soak"] == "skipped"
    pages = await rows(empty_database, "SELECT * FROM release_stages ORDER BY position")
    assert [page["stage"] for page in pages] == list(heard.stages)
    assert all(page["finished_at"] and page["outcome"] != "stopped" for page in pages)
    applied = await column(empty_database, "SELECT revision FROM release_revisions ORDER BY 1")
    assert applied == sorted(revision.name for revision in revisions.history())


async def test_a_second_run_finds_nothing_to_do(own_database: str) -> None:
    await ran(own_database)
    heard = Heard()
    ended = await ran(own_database, heard=heard)
    assert ended.verdict.name == "DONE"
    assert heard.stages["apply"] == heard.stages["plan"] == "skipped"
    assert heard.stages["verify"] == "done"


async def test_a_step_waits_for_a_person_and_then_is_taken(older: str) -> None:
    heard = Heard()
    waiting = await ran(older, heard=heard)
    assert waiting.verdict.name == "AWAITING_APPROVAL"
    assert f"release approve {str(waiting.digest)[:12]}" in waiting.words
    assert await current(older) == revisions.history()[0].name
    assert heard.stages["rehearse"] == "done"
    assert any(what for what, _, _ in heard.steps)

    await approved(older, waiting)
    ended = await ran(older)
    assert (ended.verdict.name, ended.revision) == ("STEP_DONE", NEXT)
    assert await current(older) == NEXT
    statements = await rows(older, "SELECT * FROM release_statements WHERE run = $1", ended.run)
    assert statements
    assert all(statement["seconds"] is not None for statement in statements)
    assert any(statement["predicted"] is not None for statement in statements)
    assert any(statement["lock"] == "ACCESS EXCLUSIVE" for statement in statements)
    soaks = await rows(older, "SELECT * FROM release_soaks")
    assert [soak["table"] for soak in soaks] == ["productions"]


async def test_the_plan_and_the_rehearsal_change_nothing(older: str) -> None:
    for stages in (PLAN, REHEARSE):
        ended = await ran(older, stages)
        assert ended.verdict.name == "DONE", ended
    assert await current(older) == revisions.history()[0].name
    plan = json.loads(str((await column(older, "SELECT plan FROM release_plans"))[0]))
    assert plan["revisions"] == [NEXT]
    assert any("ADD COLUMN IF NOT EXISTS uuid" in s["sql"] for s in plan["statements"])


async def test_an_older_database_must_be_adopted(empty_database: str, older: str) -> None:
    await execute(older, "DROP TABLE alembic_version")
    ended = await ran(older)
    assert ended.verdict.name == "UNADOPTED"
    assert "release adopt" in ended.words
    assert (await adopted(older)).verdict.name == "DONE"
    assert (await ran(older, PLAN)).verdict.name == "DONE"


async def test_drift_stops_the_release_and_is_mended_by_its_sql(older: str) -> None:
    await execute(older, "DROP INDEX cameras_production_id_idx")
    heard = Heard()
    ended = await ran(older, heard=heard)
    assert ended.verdict.name == "DRIFTED"
    assert "cameras_production_id_idx" in ended.words
    mend = next(line for line in heard.lines if "CREATE INDEX" in line).partition("\n")[2]
    await execute(older, mend.rstrip(";"))
    assert (await ran(older, PLAN)).verdict.name == "DONE"


async def test_there_must_be_something_to_resume(own_database: str) -> None:
    ended = await ran(own_database, RESUME, word="resume")
    assert ended.verdict.name == "REFUSED"
    assert "nothing to resume" in ended.words


async def test_two_at_once_one_works_and_one_waits(older: str) -> None:
    await approved(older, await ran(older))
    first_heard, second_heard = Heard(), Heard()

    first = asyncio.create_task(ran(older, heard=first_heard))
    async with asyncio.timeout(60):
        while "history" not in first_heard.stages:  # noqa: ASYNC110  # the gate tells no event
            await asyncio.sleep(0.01)
    other = await ran(older, PLAN, second_heard)
    assert (await first).verdict.name == "STEP_DONE"
    assert any("Another release is running" in line for line in second_heard.lines)
    assert other.verdict.name == "DONE", other
    assert await current(older) == NEXT


async def test_a_database_that_is_away_is_said_without_its_password() -> None:
    url = "postgresql://u:s3cret@127.0.0.1:1/none"
    ended = await ran(url, connect_patience=0.3)
    assert ended.verdict.name == "UNREACHABLE"
    assert "s3cret" not in json.dumps(ended.as_json())


async def test_a_standby_or_a_pooler_is_refused(own_database: str) -> None:
    assert (await ran(f"{own_database}&pgbouncer=true")).verdict.name == "REFUSED"
    await execute(
        own_database,
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET "
        "default_transaction_read_only = on', current_database()); END $$",
    )
    ended = await ran(own_database)
    assert (ended.verdict.name, "no writes" in ended.words) == ("REFUSED", True)


async def test_an_edited_revision_is_refused(own_database: str) -> None:
    await ran(own_database)
    await execute(
        own_database,
        "UPDATE release_revisions SET hash = 'other' WHERE revision = $1",
        "0007_cameras_expand",
    )
    ended = await ran(own_database)
    assert ended.verdict.name == "EDITED"
    assert "0007_cameras_expand" in ended.words


async def test_the_whole_way_by_the_gate(older: str) -> None:
    """Table by table to the revision that the image needs; each release its own."""
    taken = []
    while (ended := await stepped(older)).verdict.name == "STEP_DONE":
        taken.append(ended.revision)
        if len(taken) == 2:
            break
    assert taken == [NEXT, "0004_cable_snakes_switch"]

"""What must not go wrong around a release: other hands, other roles, other code, too much time."""

import asyncio
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest

from app.cli.commands.drift import drift
from app.database.url import DatabaseUrl
from app.releases.gate.gate import ADOPT, PLAN, ROLLBACK
from app.releases.gate.stages import apply_plan as apply_stage
from app.releases.gate.stages import prove_statements as truth_stage
from app.releases.migrations import revisions
from app.releases.migrations.alembic_runner import current
from app.releases.schema import drift as live_drift
from app.releases.verdict import Verdict
from tests.legacy import connected
from tests.support.databases import Server, column, execute
from tests.support.gates import ran, rows
from tests.support.images import Image
from tests.support.service import examined
from tests.test_release_killed import killed, started

NEXT = "0002_productions_expand"
A_SHOW = "INSERT INTO productions (id, client, show_name) VALUES ('A show', 'c', 's')"
BY_ANNA: Final[dict[str, Any]] = {"who": "anna", "why": "the old page is slow"}


@pytest.fixture
def older(approved_database: str) -> str:
    return approved_database


@pytest.fixture
def image(tmp_path: Path) -> Image:
    return Image(tmp_path)


async def test_a_rollback_that_was_killed_does_not_come_back_as_a_release(older: str) -> None:
    assert (await ran(older)).verdict is Verdict.STEP_DONE
    words = ("release", "rollback", "--who", "anna", "--why", "the old page is slow")
    await asyncio.to_thread(killed, older, "steps-back", "1", words=words)
    for word in ("release", "resume"):
        ended = await ran(older, word=word)
        assert ended.verdict is Verdict.REFUSED, ended
        assert "release rollback" in ended.words
    back = await ran(older, ROLLBACK, word="rollback", **BY_ANNA)
    assert back.verdict is Verdict.DONE, back
    assert await current(older) == revisions.history()[0].name
    assert (await ran(older)).verdict is Verdict.AWAITING_APPROVAL


async def test_a_release_of_which_nothing_was_done_is_taken_back(older: str) -> None:
    """Nothing is there to be forgotten, so no revision is counted that is not there."""
    await asyncio.to_thread(killed, older, "statement", "1")
    ended = await ran(older, ROLLBACK, word="rollback", **BY_ANNA)
    assert ended.verdict is Verdict.DONE, ended
    assert await current(older) == revisions.history()[0].name
    assert (await live_drift.inspect(older)).findings == []


HOUSING = """def upgrade() -> None:
    op.execute("ALTER TABLE cameras ADD COLUMN housing text")


def downgrade() -> None:
    op.execute("ALTER TABLE cameras DROP COLUMN housing")
"""


async def test_the_newest_revision_of_an_image_is_taken_back_by_it(
    image: Image, own_database: str
) -> None:
    name = "0058_cameras_housing"
    image.revision(name, revisions.head(), phase="expand", table="cameras", body=HOUSING)
    await execute(own_database, A_SHOW)
    waiting = image.run("release", DATABASE_URL=own_database)
    assert waiting.returncode == Verdict.AWAITING_APPROVAL, waiting.stderr
    digest = str((await column(own_database, "SELECT digest FROM release_plans"))[0])
    words = ("--who", "anna", "--why", "wanted")
    assert (
        image.run("release", "approve", digest, *words, DATABASE_URL=own_database).returncode == 0
    )
    done = image.run("release", DATABASE_URL=own_database, SOAK_HOURS=0)
    assert done.returncode == 0, done.stderr
    back = image.run("release", "rollback", *words, DATABASE_URL=own_database)
    assert back.returncode == 0, back.stderr
    assert await current(own_database) == revisions.head()
    columns = "SELECT attname::text FROM pg_attribute WHERE attrelid = 'cameras'::regclass"
    assert "housing" not in await column(own_database, columns)


async def test_rows_that_arrive_are_protected_from_contracts_that_nobody_approved(
    empty_database: str,
) -> None:
    """A plan for an empty database was approved by nobody."""
    await asyncio.to_thread(killed, empty_database, "contract", "1")
    await execute(
        empty_database,
        "INSERT INTO productions (id, client, show_name, updated_at) VALUES ('x', 'c', 's', now())",
    )
    ended = await ran(empty_database)
    assert ended.verdict is Verdict.DONE, "the image itself may be deployed"
    assert "pending" in ended.words
    assert await current(empty_database) == revisions.needed()
    states = await column(empty_database, "SELECT state FROM release_plans ORDER BY proposed_at")
    assert states[0] == "superseded"


async def test_a_service_with_a_role_of_its_own_can_serve(
    postgres_server: Server, empty_database: str
) -> None:
    database = DatabaseUrl.parse(empty_database).database
    role = f"service_of_{database}"
    await asyncio.to_thread(postgres_server.run, f"CREATE ROLE {role} LOGIN")
    await execute(empty_database, f"GRANT USAGE ON SCHEMA public TO {role}")
    service = empty_database.replace("//postgres@", f"//{role}@")
    try:
        ended = await ran(empty_database, service_url=service)
        assert ended.verdict is Verdict.DONE, ended
        found = await examined(service)
        assert found.healthy, found
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await execute(service, "UPDATE release_plans SET state = 'verified'")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await execute(service, "ALTER TABLE cameras ADD COLUMN x text")
    finally:
        await execute(empty_database, f"DROP OWNED BY {role}")
        await asyncio.to_thread(postgres_server.run, f"DROP ROLE {role}")


@pytest.mark.parametrize("asked", [
    {"override": " ", "who": "anna"}, {"override": "seen"}, {"override": "seen", "who": ""},
    {"supersede": "", "who": "anna"}, {"word": "adopt", "who": "anna", "why": ""},
], ids=str)  # fmt: skip
async def test_a_person_says_who_and_why(own_database: str, asked: dict[str, Any]) -> None:
    stages = ADOPT if asked.get("word") == "adopt" else PLAN
    ended = await ran(own_database, stages, **asked)
    assert (ended.verdict, "who you are" in ended.words) == (Verdict.REFUSED, True)


def test_two_heads_are_named(image: Image, empty_database: str) -> None:
    for name in ("0058_left", "0058_right"):
        image.revision(name, revisions.head(), phase="expand", table="cameras", body=HOUSING)
    done = image.run("release", DATABASE_URL=empty_database)
    assert done.returncode == Verdict.BROKEN, done.stderr
    assert "0058_left, 0058_right" in done.stderr


def test_a_revision_that_fails_on_an_empty_database_is_broken(
    image: Image, empty_database: str
) -> None:
    body = 'def upgrade() -> None:\n    raise KeyError("no such thing")\n'
    image.revision("0058_wrong", revisions.head(), phase="expand", table="cameras", body=body)
    done = image.run("release", DATABASE_URL=empty_database)
    assert done.returncode == Verdict.BROKEN, done.stderr
    assert "no such thing" in done.stderr


@pytest.mark.parametrize("table", ["cameras", None])
async def test_a_revision_changes_the_table_that_it_names(
    image: Image, own_database: str, table: str | None
) -> None:
    body = HOUSING.replace("cameras", "cable_snakes")
    image.revision("0058_other", revisions.head(), phase="expand", table=table, body=body)
    await execute(own_database, A_SHOW)
    done = image.run("release", DATABASE_URL=own_database)
    assert done.returncode == Verdict.REFUSED, done.stderr
    assert "cable_snakes" in done.stderr


async def test_a_database_of_strangers_is_left_alone(empty_database: str) -> None:
    await execute(empty_database, "CREATE TABLE invoices (id text)")
    ended = await ran(empty_database, PLAN)
    assert ended.verdict is Verdict.REFUSED
    assert "DATABASE_URL" in ended.words
    tables = "SELECT relname::text FROM pg_class WHERE relname LIKE 'release%'"
    assert await column(empty_database, tables) == []


async def test_a_run_that_never_came_in_is_noted(older: str) -> None:
    process = started(older, "before", "drift")
    assert process.stdout is not None
    try:
        assert await asyncio.to_thread(process.stdout.readline) == "halted\n"
        ended = await ran(older, patience=0.3)
    finally:
        process.kill()
        process.communicate()
    assert (ended.verdict, "Another release" in ended.words) == (Verdict.CONTENDED, True)
    noted = await rows(older, "SELECT verdict, words FROM release_runs ORDER BY id DESC LIMIT 1")
    assert (noted[0]["verdict"], noted[0]["words"]) == ("CONTENDED", ended.words)


async def test_a_stage_that_hangs_is_stopped(
    own_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(*_: object) -> dict[str, str]:
        await asyncio.sleep(3_600)
        return {}

    monkeypatch.setattr(truth_stage, "_failures", hang)
    ended = await ran(own_database, wall_clock=3.0)
    assert ended.verdict is Verdict.CONTENDED
    assert "model truth" in ended.words
    assert (await rows(own_database, "SELECT finished_at FROM release_runs"))[0][0] is not None


async def test_a_database_that_goes_away_in_the_middle_gets_a_verdict(
    postgres_server: Server, own_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_: object) -> dict[str, str]:
        await asyncio.to_thread(postgres_server.drop, own_database)
        async with connected(own_database):
            return {}

    monkeypatch.setattr(truth_stage, "_failures", gone)
    ended = await ran(own_database)
    assert ended.verdict is Verdict.UNREACHABLE, ended


async def test_a_schema_that_changes_after_the_plan_is_not_applied_upon(
    older: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def meanwhile(*_: object) -> dict[str, str]:
        await execute(older, "CREATE INDEX by_hand ON sends (name)")
        return {}

    monkeypatch.setattr(truth_stage, "_failures", meanwhile)
    ended = await ran(older)
    assert ended.verdict is Verdict.CONTENDED, ended
    assert await current(older) == revisions.history()[0].name


async def test_what_is_withheld_at_the_last_moment_is_not_applied(
    older: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = apply_stage._raise_if_changed  # noqa: SLF001  # the moment before it is applied

    async def withheld(*needs: Any) -> None:
        await checked(*needs)
        await execute(
            older,
            "INSERT INTO release_decisions (digest, decision, who, why)"
            " SELECT digest, 'withheld', 'bert', 'a show is on' FROM release_plans",
        )

    monkeypatch.setattr(apply_stage, "_raise_if_changed", withheld)
    ended = await ran(older)
    assert ended.verdict is Verdict.AWAITING_APPROVAL
    assert await current(older) == revisions.history()[0].name


async def test_what_was_begun_with_other_sql_is_planned_anew_on_demand(
    older: str, image: Image
) -> None:
    await asyncio.to_thread(killed, older, "statement", "4")
    image.replace(
        "app/releases/migrations/ddl.py", "IF NOT EXISTS uuid uuid", "IF NOT EXISTS uuid uuid NULL"
    )
    stopped = image.run("release", DATABASE_URL=older)
    assert (stopped.returncode, "--plan-anew" in stopped.stderr) == (Verdict.BROKEN, True)
    words = ("resume", "--who", "anna", "--plan-anew", "the image that began it is gone")
    waiting = image.run("release", *words, DATABASE_URL=older)
    assert waiting.returncode == Verdict.AWAITING_APPROVAL, waiting.stderr
    kept = await rows(older, "SELECT rule, who, why FROM release_overrides")
    assert tuple(kept[0]) == ("plan", "anna", "the image that began it is gone")


async def test_the_drift_command_knows_what_the_gate_knows(older: str) -> None:
    said: list[str] = []
    await execute(older, "CREATE TABLE strange_one (id text)")
    assert [f.table for f in await drift(older, said.append)] == ["strange_one"]
    assert (await ran(older, PLAN)).verdict is Verdict.DRIFTED


async def test_two_releases_at_once_the_second_finds_nothing_to_do(older: str) -> None:
    one, other = await asyncio.gather(ran(older), ran(older, soak_seconds=86_400.0))
    verdicts = {one.verdict, other.verdict}
    assert Verdict.STEP_DONE in verdicts
    assert verdicts <= {Verdict.STEP_DONE, Verdict.AWAITING_APPROVAL, Verdict.REFUSED}
    assert await current(older) == NEXT

"""Only the release gate changes a schema that somebody could lose: every other way is refused."""

import asyncio
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest

from app.cli.load_show import SAMPLE
from app.releases.migrations import alembic_runner, guard, revisions
from app.releases.migrations.alembic_runner import current
from app.releases.migrations.migration_session import GATE_LOCK
from app.releases.migrations.observer import Observer
from app.settings import PROJECT, Settings
from tests import legacy
from tests.legacy import connected, quiet
from tests.support import forks
from tests.support.databases import execute
from tests.support.gates import ran
from tests.support.images import Image
from tests.test_migrations import rendered
from tests.test_release_killed import killed

PYTHON: Final = sys.executable
FORGOTTEN: Final = """DO $$ DECLARE t text; BEGIN
  FOR t IN SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
    AND relkind = 'r' AND (relname ~ '^release_' OR relname = 'alembic_version')
  LOOP EXECUTE format('DROP TABLE public.%I CASCADE', t); END LOOP; END $$"""
A_SHOW: Final = """INSERT INTO productions (uuid, id, client, show_name, version, field_versions,
    is_deleted, created_at, updated_at)
  VALUES (gen_random_uuid(), 'SHOW 1', 'c', 's', 1, '{}', false, now(), now())"""
WAYS: Final[dict[str, tuple[str, ...]]] = {
    "serve --prepare": (PYTHON, "-m", "app", "serve", "--prepare"),
    "scripts/serve": ("scripts/serve",),
    "load": (PYTHON, "-m", "app", "load", str(SAMPLE)),
    "alembic upgrade": (PYTHON, "-m", "alembic", "upgrade", "head"),
    "alembic upgrade +1": (PYTHON, "-m", "alembic", "upgrade", "+1"),
    "alembic downgrade": (PYTHON, "-m", "alembic", "downgrade", "-1"),
    "alembic stamp": (PYTHON, "-m", "alembic", "stamp", "head"),
    "alembic stamp --purge": (PYTHON, "-m", "alembic", "stamp", "--purge", "head"),
    "a test's helper": (PYTHON, "-m", "tests.support.ungated"),
}


def tried(url: str, *command: str, cwd: Path = PROJECT, **settings: Any) -> tuple[int, str]:
    """Run a command on the database; return how it exits and what it says."""
    ours = {name.upper() for name in Settings.model_fields}
    kept = {name: value for name, value in os.environ.items() if name.upper() not in ours}
    environment = {**kept, "DATABASE_URL": url, "PORT": "0", **settings}
    if command[:2] == (PYTHON, "-m") and cwd == PROJECT:
        done = forks.run(*command[2:], env=environment)
    else:
        done = subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
        )
    return done.returncode, done.stdout + done.stderr


async def everything(url: str) -> tuple[Any, ...]:
    """Return the catalogue, the revision and what every table holds."""
    async with connected(url) as connection:
        columns = await legacy.columns(connection)
        return (
            await legacy.catalogue(connection), await current(url),
            await legacy.contents(connection, columns),
        )  # fmt: skip


@pytest.fixture
def released_database(stepped_database: str) -> str:
    return stepped_database


@pytest.fixture
def half_released_database(ready_database: str) -> str:
    killed(ready_database, "statement", "4")
    return ready_database


@pytest.fixture
def unadopted_database(adopted_database: str) -> str:
    """Return an older service's database as the gate has never met it."""
    asyncio.run(execute(adopted_database, FORGOTTEN))
    return adopted_database


STATES: Final = (
    "adopted_database", "released_database", "half_released_database", "unadopted_database",
)  # fmt: skip


@pytest.fixture(params=STATES)
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


async def test_every_wrong_way_is_refused_and_says_what_to_run(
    url: str, request: pytest.FixtureRequest
) -> None:
    before = await everything(url)
    # It does what --prepare does, and starts Python anew: one state is enough.
    left_out = "" if "unadopted_database" in request.node.name else "scripts/serve"
    ways = {way: words for way, words in WAYS.items() if way != left_out}
    with ThreadPoolExecutor(2) as pool:
        ends = dict(zip(ways, pool.map(lambda way: tried(url, *way), ways.values()), strict=True))
    for way, (code, words) in ends.items():
        assert code != 0, (way, words)
        assert "python -m app release" in words, (way, words)
        assert way == "a test's helper" or "Traceback" not in words, (way, words)
    assert await everything(url) == before


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no database count as made by this process."""
    monkeypatch.setattr(guard, "_own_databases", set())


async def test_released_to_head_it_is_still_the_gates(own_database: str, foreign: None) -> None:
    assert (await ran(own_database)).verdict.name == "DONE"
    before = await everything(own_database)
    for way in (w for w in WAYS if w not in {"load", "scripts/serve"}):
        code, words = tried(own_database, *WAYS[way])
        assert (code != 0, "python -m app release" in words) == (True, True), (way, words)
    assert await everything(own_database) == before


async def test_rows_that_another_process_made_are_protected(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await alembic_runner.upgrade(empty_database, revisions.needed(), quiet)
    await execute(empty_database, A_SHOW)
    monkeypatch.setattr(guard, "_own_databases", set())
    before = await everything(empty_database)
    with pytest.raises(guard.Ungated, match=r"productions holds rows.*python -m app release"):
        await alembic_runner.upgrade(empty_database, say=quiet)
    with pytest.raises(guard.Ungated, match="productions holds rows"):
        await alembic_runner.downgrade(empty_database, "-1", quiet)
    assert await everything(empty_database) == before
    await execute(empty_database, "DELETE FROM productions")
    await alembic_runner.upgrade(empty_database, say=quiet)
    assert await current(empty_database) == revisions.head()


async def test_an_older_services_own_history_is_enough(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await alembic_runner.upgrade(empty_database, revisions.history()[0].name, quiet)
    await execute(empty_database, "CREATE TABLE _prisma_migrations (id text)")
    monkeypatch.setattr(guard, "_own_databases", set())
    with pytest.raises(guard.Ungated, match="older service's tables stand"):
        await alembic_runner.upgrade(empty_database, say=quiet)


async def test_the_embedded_database_of_development_goes_on_with_its_rows(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await alembic_runner.upgrade(empty_database, revisions.needed(), quiet)
    await execute(empty_database, A_SHOW)
    monkeypatch.setattr(guard, "_own_databases", set())
    developer = Observer()
    developer.is_disposable = True
    await alembic_runner.upgrade(empty_database, "+1", quiet, developer)
    await execute(empty_database, "CREATE TABLE release_runs (id int)")
    with pytest.raises(guard.Ungated, match="release tables"):
        await alembic_runner.upgrade(empty_database, say=quiet, observer=developer)


@pytest.mark.parametrize("command", [("upgrade", "head"), ("stamp", "head")], ids=" ".join)
def test_in_production_only_the_gate_migrates(
    empty_database: str, command: tuple[str, str]
) -> None:
    words = (PYTHON, "-m", "alembic", *command)
    code, said = tried(empty_database, *words, ENVIRONMENT="production")
    assert (code != 0, "release" in said, "Traceback" in said) == (True, True, False), said


def test_where_it_stands_may_always_be_asked(adopted_database: str) -> None:
    code, said = tried(adopted_database, PYTHON, "-m", "alembic", "current")
    assert (code, revisions.history()[0].name in said) == (0, True), said


async def test_the_gate_shows_the_lock_that_it_holds(adopted_database: str) -> None:
    async with connected(adopted_database) as gate:
        observer = Observer()
        observer.gate_pid = gate.get_server_pid()
        with pytest.raises(guard.Ungated, match="gate's lock is gone"):
            await alembic_runner.upgrade(adopted_database, "+1", quiet, observer)
        await gate.execute("SELECT pg_advisory_lock($1)", GATE_LOCK)
        await alembic_runner.upgrade(adopted_database, "+1", quiet, observer)
    assert await current(adopted_database) == revisions.history()[1].name


async def test_a_rendered_script_ends_the_session_that_would_run_it(adopted_database: str) -> None:
    before = await everything(adopted_database)
    async with connected(adopted_database) as reader:
        with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError)):
            await reader.execute(rendered())
    assert await everything(adopted_database) == before


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Image:
    image = Image(tmp_path_factory.mktemp("newer"))
    image.revision(
        "0099_newer", revisions.head(), phase="expand", table="cameras",
        body='def upgrade() -> None:\n    op.execute("ALTER TABLE cameras ADD x int")\n',
    )  # fmt: skip
    return image


async def test_a_newer_image_leaves_it_to_the_gate(released_database: str, newer: Image) -> None:
    before = await everything(released_database)
    for words in (("-m", "app", "serve", "--prepare"), ("-m", "alembic", "upgrade", "head")):
        code, said = tried(released_database, PYTHON, *words, cwd=newer.folder)
        assert (code != 0, "python -m app release" in said) == (True, True), said
    assert await everything(released_database) == before


async def test_an_older_image_leaves_it_alone(own_database: str) -> None:
    await execute(own_database, "UPDATE alembic_version SET version_num = 'tomorrow'")
    for way in ("serve --prepare", "load", "alembic upgrade", "alembic downgrade", "alembic stamp"):
        code, said = tried(own_database, *WAYS[way])
        assert (code != 0, "tomorrow is not known" in said) == (True, True), (way, said)


async def test_an_empty_database_in_production_must_be_meant(empty_database: str) -> None:
    refused = await ran(empty_database, production=True)
    assert refused.verdict.name == "REFUSED"
    assert all(words in refused.words for words in ("is empty", "release --new", "DATABASE_URL"))
    assert await current(empty_database) is None
    built = await ran(empty_database, production=True, new=True)
    assert (built.verdict.name, await current(empty_database)) == ("DONE", revisions.head())
    assert (await ran(empty_database, production=True)).verdict.name == "DONE"


def test_the_setting_says_it_for_a_platform(empty_database: str) -> None:
    told: dict[str, Any] = {"ENVIRONMENT": "production", "ACCESS_TOKEN": "t" * 20}
    command = (PYTHON, "-m", "app", "release")
    code, said = tried(empty_database, *command, **told)
    assert (code, "NEW_DATABASE=true" in said) == (16, True), said
    code, said = tried(empty_database, *command, **told, NEW_DATABASE="true")
    assert code == 0, said

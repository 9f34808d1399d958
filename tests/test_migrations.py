"""The migrations as a whole: what pytest-alembic asks of every history, and what we promise."""

import asyncio
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Thread
from typing import Final

import pytest
from alembic.config import Config as AlembicConfig
from pytest_alembic.config import Config
from pytest_alembic.tests import (  # noqa: F401  # collected here
    test_model_definitions_match_ddl,
    test_single_head_revision,
    test_up_down_consistency,
    test_upgrade,
)
from sqlalchemy.ext.asyncio import AsyncEngine

from alembic import command
from app.releases.migrations import revisions
from app.releases.migrations.alembic_runner import (
    configuration,
    current,
    downgrade,
    make_engine,
    upgrade,
)
from app.releases.migrations.observer import Kind, Observer
from app.releases.migrations.phased_change import PointOfNoReturn
from tests import legacy, older_rows
from tests.legacy import connected, quiet
from tests.support.databases import execute

FIRST_CONTRACT: Final = "0041_cable_snakes_contract"
LAST_WAY_BACK: Final = "0040_productions_switch"


@pytest.fixture
def alembic_config() -> Config:
    # Contracts stand at the head and do not downgrade; those before them are tested below.
    return Config(alembic_config=configuration(quiet), minimum_downgrade_revision=revisions.head())


@pytest.fixture
def alembic_engine(empty_database: str) -> AsyncEngine:
    return make_engine(empty_database)


async def test_there_and_back_and_there_again(empty_database: str) -> None:
    await upgrade(empty_database, LAST_WAY_BACK, say=quiet)
    await downgrade(empty_database, "base", say=quiet)
    assert await current(empty_database) is None
    await upgrade(empty_database, say=quiet)
    assert await current(empty_database) == revisions.head()


async def test_a_contract_is_the_point_of_no_return(empty_database: str) -> None:
    assert next(r.name for r in revisions.history() if r.phase == "contract") == FIRST_CONTRACT
    await upgrade(empty_database, FIRST_CONTRACT, say=quiet)
    with pytest.raises(PointOfNoReturn, match="no way back"):
        await downgrade(empty_database, LAST_WAY_BACK, say=quiet)
    assert await current(empty_database) == FIRST_CONTRACT


async def test_the_older_database_is_not_dropped_with_rows(empty_database: str) -> None:
    older = revisions.history()[0].name
    await upgrade(empty_database, older, say=quiet)
    async with connected(empty_database) as connection:
        await legacy.populate(connection, 0.001)
    with pytest.raises(RuntimeError, match="nothing was changed"):
        await downgrade(empty_database, "base", say=quiet)
    assert await current(empty_database) == older


@pytest.mark.parametrize("table", ["productions", *older_rows.INSTALLATION])
async def test_rows_that_hang_on_no_show_keep_it_too(empty_database: str, table: str) -> None:
    older = revisions.history()[0].name
    await upgrade(empty_database, older, say=quiet)
    async with connected(empty_database) as connection:
        await legacy.populate(connection, 0.001)
        await connection.execute("DELETE FROM productions")
        for name in ("equipment_specs", *older_rows.LISTS, "settings"):
            if name not in {table, _DEVICES.get(table)}:
                await connection.execute(f"DELETE FROM {name}")
        count = await connection.fetchval(f"SELECT count(*) FROM {table}")
    if table == "productions":
        await downgrade(empty_database, "base", say=quiet)
        return
    assert count
    with pytest.raises(RuntimeError, match=_DEVICES.get(table, table)):
        await downgrade(empty_database, "base", say=quiet)


_DEVICES: Final = dict.fromkeys(
    ("equipment_cards", "equipment_card_io", "equipment_io_ports"), "equipment_specs"
)


async def test_the_rendered_script_builds_what_the_migrations_build(
    empty_database: str, own_database: str
) -> None:
    script = rendered()
    async with connected(empty_database) as reader, connected(own_database) as migrated:
        for statement in statements(script):
            await reader.execute(statement)
        assert await legacy.catalogue(reader) == await legacy.catalogue(migrated)


def rendered() -> str:
    config: AlembicConfig = configuration(quiet)
    config.output_buffer = io.StringIO()
    command.upgrade(config, "head", sql=True)
    return config.output_buffer.getvalue()


def statements(script: str) -> list[str]:
    """Split Alembic's script: a statement ends with a semicolon and an empty line."""
    without_comments = re.sub(r"(?m)^-- .*$", "", script)
    return [part for part in re.split(r";\n\n", without_comments) if part.strip()]


class EndsSession(Observer):
    """Ends the session of the steps once, behind the last step of a table's expand."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.pids: list[int] = []

    def on_backend(self, pid: int) -> None:
        self.pids.append(pid)

    @contextmanager
    def around_step(self, kind: Kind, statements: Sequence[str]) -> Iterator[None]:
        yield
        if statements[0].startswith("ANALYZE") and len(self.pids) == 2:
            end = f"SELECT pg_terminate_backend({self.pids[-1]}, 5000)"
            ending = Thread(target=lambda: asyncio.run(execute(self.url, end)))
            ending.start()
            ending.join()


async def test_the_revisions_of_a_run_share_a_connection_while_it_lasts(
    empty_database: str,
) -> None:
    names = revisions.names()
    observer = EndsSession(empty_database)
    await upgrade(empty_database, names[3], say=quiet, observer=observer)
    assert await current(empty_database) == names[3]
    assert len(set(observer.pids)) == 3, "Alembic's, and two of the steps of three revisions"


def test_every_revision_says_its_phase_and_table() -> None:
    for revision in revisions.history()[1:]:
        assert revision.phase in {"expand", "switch", "contract"}
        assert revision.table is None or revision.table in revision.name


def test_an_image_needs_the_last_revision_that_is_no_contract() -> None:
    names = [revision.name for revision in revisions.history()]
    needed = names.index(revisions.needed())
    phases = [revision.phase for revision in revisions.history()]
    assert phases[needed] != "contract"
    assert set(phases[needed + 1 :]) <= {"contract"}


def test_a_database_is_placed_by_its_revision() -> None:
    assert revisions.state(None) == "unmigrated"
    assert revisions.state(revisions.history()[0].name) == "behind"
    assert revisions.state(revisions.head()) == "head"
    assert revisions.state("9999_of_a_newer_image") == "ahead"
    if revisions.needed() != revisions.head():
        assert revisions.state(revisions.needed()) == "ready"

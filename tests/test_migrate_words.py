"""What a migration says when it cannot go on: one sentence, and nothing was changed."""

import pytest

from app.releases.migrations import alembic_runner, revisions
from app.releases.verdict import MigrationError
from tests.support import databases


def quiet(_: str) -> None:
    """Say nothing."""


async def test_an_older_services_database_must_be_adopted_first(empty_database: str) -> None:
    await alembic_runner.upgrade(empty_database, revisions.history()[0].name, quiet)
    await databases.execute(empty_database, "DROP TABLE alembic_version")
    with pytest.raises(MigrationError, match="adopted"):
        await alembic_runner.upgrade(empty_database, say=quiet)
    assert await databases.column(empty_database, "SELECT to_regclass('alembic_version')") == [None]


async def test_a_database_that_is_ahead_is_left_alone(own_database: str) -> None:
    await databases.execute(own_database, "UPDATE alembic_version SET version_num = 'tomorrow'")
    for order in (alembic_runner.upgrade(own_database, say=quiet),
                  alembic_runner.downgrade(own_database, revisions.needed(), quiet)):  # fmt: skip
        with pytest.raises(MigrationError, match="tomorrow is not known"):
            await order
    version = "SELECT version_num FROM alembic_version"
    assert await databases.column(own_database, version) == ["tomorrow"]


async def test_an_unknown_revision_is_named(empty_database: str) -> None:
    with pytest.raises(MigrationError, match="nonsense"):
        await alembic_runner.upgrade(empty_database, "nonsense", quiet)


async def test_a_database_that_is_away_is_said_without_its_password() -> None:
    with pytest.raises(MigrationError, match="does not answer") as said:
        await alembic_runner.upgrade("postgresql://u:s3cret@127.0.0.1:1/none", say=quiet)
    assert "s3cret" not in str(said.value)


async def test_a_statement_that_fails_is_shown(empty_database: str) -> None:
    await alembic_runner.upgrade(empty_database, revisions.history()[0].name, quiet)
    await databases.execute(empty_database, "CREATE VIEW uses AS SELECT updated_at FROM cameras")
    with pytest.raises(MigrationError, match=r"PostgreSQL refused.*view"):
        await alembic_runner.upgrade(empty_database, say=quiet)


async def test_migrating_twice_is_harmless(own_database: str) -> None:
    await alembic_runner.upgrade(own_database, say=quiet)
    assert await alembic_runner.current(own_database) == revisions.head()

"""Runs Alembic from code: upgrade, downgrade, and which revision a database is at."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, Final

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from asyncpg import PostgresError
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from app.database.url import DatabaseUrl
from app.releases.migrations.observer import Observer
from app.releases.migrations.revisions import ROOT
from app.releases.migrations.version_row import FORM, ROWS, raise_unless_fits, single_revision
from app.releases.verdict import MigrationError

Say = Callable[[str], None]
_CONFIGURATION: Final = ROOT / "pyproject.toml"


async def upgrade(
    url: str, revision: str = "head", say: Say = print, observer: Observer | None = None
) -> None:
    """Bring the database at ``url`` up to ``revision``; what is happening goes to ``say``.

    ``observer`` sees every statement, and says what it may run. Safe to run again after it was
    killed. Raises MigrationError: refused (``guard.Ungated`` where only the gate may migrate),
    contended, blocked, stuck, failed, or the database is away.
    """
    await _run(url, configuration(say, observer), partial(run_upgrade, revision))


async def downgrade(
    url: str, revision: str, say: Say = print, observer: Observer | None = None
) -> None:
    """Bring the database back to ``revision`` ("base" for empty).

    Raises PointOfNoReturn from the first contract on: the old columns are gone.
    """
    await _run(url, configuration(say, observer), partial(_downgrade, revision))


async def current(url: str) -> str | None:
    """Return the revision the database is at; None when it was never migrated.

    Raises MigrationError when it cannot be read.
    """
    engine = make_engine(url)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(read_revision)
    except (OSError, TimeoutError, DBAPIError) as away:
        cause = getattr(away, "orig", None) or away
        raise MigrationError(f"The database's revision cannot be read: {cause}") from away
    finally:
        await engine.dispose()


def make_engine(url: str) -> AsyncEngine:
    """Make an engine for migrations: every connection is new, and closed after use."""
    database = DatabaseUrl.parse(url)
    return create_async_engine(
        database.sqlalchemy_url(),
        connect_args=database.sqlalchemy_connect_args(),
        poolclass=NullPool,
    )


def configuration(say: Say = print, observer: Observer | None = None) -> Config:
    """Read Alembic's configuration from ``pyproject.toml``."""
    config = Config(toml_file=_CONFIGURATION)
    config.attributes.update(say=say, observer=observer)
    return config


async def _run(url: str, config: Config, order: Callable[[Config], None]) -> None:
    engine = make_engine(url)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(partial(_with_connection, order, config))
    except (OSError, TimeoutError) as away:
        raise MigrationError(f"The database does not answer ({type(away).__name__}).") from away
    except MigrationError:
        raise
    except CommandError as refused:
        raise MigrationError(f"{refused}.") from refused
    except DBAPIError as failed:
        raise MigrationError(f"PostgreSQL refused: {failed.orig}") from failed
    except PostgresError as failed:  # from the connection beside Alembic's
        raise MigrationError(f"PostgreSQL refused: {failed}") from failed
    finally:
        await engine.dispose()


def _with_connection(
    order: Callable[[Config], None], config: Config, connection: Connection
) -> None:
    config.attributes["connection"] = connection
    order(config)


def run_upgrade(revision: str, config: Config, **options: Any) -> None:
    """Upgrade to a revision; ``options`` are Alembic's, such as ``as_sql``. Raises CommandError."""
    _run_environment(config, script_directory()._upgrade_revs, revision, **options)  # noqa: SLF001  # Alembic's own commands do


def _downgrade(revision: str, config: Config) -> None:
    _run_environment(config, script_directory()._downgrade_revs, revision)  # noqa: SLF001  # as above


def _run_environment(
    config: Config, steps_to: Callable[[str, Any], list[Any]], revision: str, **options: Any
) -> None:
    """Do what Alembic's own commands do, which load the files of all revisions each time."""

    def steps(current: Any, _context: MigrationContext) -> list[Any]:
        return steps_to(revision, current)

    scripts = script_directory()
    with EnvironmentContext(config, scripts, fn=steps, destination_rev=revision, **options):
        scripts.run_env()


@cache
def script_directory() -> ScriptDirectory:
    """Load this image's revisions. Raises CommandError."""
    return ScriptDirectory.from_config(configuration())


def read_revision(connection: Connection) -> str | None:
    """Return the revision of a connection's database. Raises BadVersionRow."""
    there, fits = connection.exec_driver_sql(FORM).one()
    raise_unless_fits(there=there, fits=fits)
    return single_revision(connection.exec_driver_sql(ROWS).scalars().all()) if there else None

"""Runs Alembic from code: upgrade, downgrade, and which revision a database is at."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, Final, TypeVar

import asyncpg
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from asyncpg import InterfaceError, PostgresError
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from app.database.url import DatabaseUrl
from app.releases.migrations.observer import Observer
from app.releases.migrations.revisions import ROOT
from app.releases.migrations.version_row import (
    FORM,
    ROWS,
    live_revision,
    raise_unless_fits,
    single_revision,
)
from app.releases.verdict import MigrationError

T = TypeVar("T")
Say = Callable[[str], None]
_CONFIGURATION: Final = ROOT / "pyproject.toml"
_KEPT: ContextVar[Mapping[str, AsyncEngine]] = ContextVar(
    "kept engines",
    default={},  # noqa: B039  # replaced, never changed
)


async def upgrade(
    url: str, revision: str = "head", say: Say = print, observer: Observer | None = None
) -> None:
    """Bring the database at ``url`` up to ``revision``; what is happening goes to ``say``.

    ``observer`` sees every statement, and says what it may run. Safe to run again after it was
    killed. Raises MigrationError: refused (``guard.Ungated`` where only the gate may migrate),
    contended, blocked, stuck, failed, or the database is away.
    """
    await _run(run_upgrade, url, revision, configuration(say, observer))


async def downgrade(
    url: str, revision: str, say: Say = print, observer: Observer | None = None
) -> None:
    """Bring the database back to ``revision`` ("base": empty). Raises PointOfNoReturn."""
    await _run(_run_downgrade, url, revision, configuration(say, observer))


async def current(url: str) -> str | None:
    """Return the database's revision; None: never migrated. Raises MigrationError: unreadable."""
    try:
        if url in _KEPT.get():
            return await run_on(url, read_revision)
        connection = await asyncpg.connect(**DatabaseUrl.parse(url).connect_args())
        try:
            return await live_revision(connection)
        finally:
            await connection.close()
    except (OSError, TimeoutError, PostgresError, InterfaceError, DBAPIError) as away:
        cause = getattr(away, "orig", None) or away
        raise MigrationError(f"The database's revision cannot be read: {cause}") from away


def make_engine(url: str) -> AsyncEngine:
    """Make an engine with nothing to dispose of: connections are new, and closed after use."""
    return _make_engine(url, poolclass=NullPool)


def _make_engine(url: str, **pool: Any) -> AsyncEngine:
    database = DatabaseUrl.parse(url)
    return create_async_engine(
        database.sqlalchemy_url(), connect_args=database.sqlalchemy_connect_args(), **pool
    )


@asynccontextmanager
async def kept_connections(url: str) -> AsyncIterator[None]:
    """Let all that is run on this database within the block share its connections.

    A new connection is slow until it has read the catalogue, and a release has many revisions.
    """
    if url in _KEPT.get():
        yield
        return
    engine = _make_engine(url, pool_pre_ping=True)
    token = _KEPT.set({**_KEPT.get(), url: engine})
    try:
        yield
    finally:
        _KEPT.reset(token)
        await engine.dispose()


def configuration(say: Say = print, observer: Observer | None = None) -> Config:
    """Read Alembic's configuration from ``pyproject.toml``."""
    config = Config(toml_file=_CONFIGURATION)
    config.attributes.update(say=say, observer=observer)
    return config


async def _run(order: Callable[[Config, str], None], url: str, to: str, config: Config) -> None:
    def run(connection: Connection) -> None:
        config.attributes["connection"] = connection
        order(config, to)

    try:
        async with kept_connections(url):
            await run_on(url, run)
    except MigrationError:
        raise
    except CommandError as refused:
        raise MigrationError(f"{refused}.") from refused
    except (DBAPIError, PostgresError) as failed:  # the latter from the connection beside Alembic's
        raise MigrationError(f"PostgreSQL refused: {getattr(failed, 'orig', failed)}") from failed


async def run_on(url: str, work: Callable[[Connection], T]) -> T:
    """Return what ``work`` returns on a connection. Raises MigrationError: no answer."""
    try:
        async with (_KEPT.get().get(url) or make_engine(url)).connect() as connection:
            return await connection.run_sync(work)
    except (OSError, TimeoutError) as away:
        raise MigrationError(f"The database does not answer ({type(away).__name__}).") from away


def run_upgrade(config: Config, to: str, **options: Any) -> None:
    """Upgrade to a revision; ``options`` are Alembic's, such as ``as_sql``. Raises CommandError."""
    steps = script_directory()._upgrade_revs  # noqa: SLF001  # Alembic's own commands take it
    _run_environment(config, steps, to, **options)


def _run_downgrade(config: Config, to: str) -> None:
    steps = script_directory()._downgrade_revs  # noqa: SLF001  # as above
    _run_environment(config, steps, to)


def _run_environment(
    config: Config, steps: Callable[[str, Any], list[Any]], to: str, **options: Any
) -> None:
    """Do what Alembic's own commands do, which load the files of all revisions each time."""

    def steps_from(current: Any, _context: MigrationContext) -> list[Any]:
        return steps(to, current)

    scripts = script_directory()
    with EnvironmentContext(config, scripts, fn=steps_from, destination_rev=to, **options):
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

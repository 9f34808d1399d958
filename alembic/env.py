"""Alembic's environment: which database, which models, and how a migration runs.

One transaction per revision, one migration at a time, sessions as
``app.releases.migrations.migration_session`` sets them up. The connection comes from the caller
(``app.releases.migrations.alembic_runner``), else from ``DATABASE_URL``.
"""

import asyncio
import os
from typing import Any, cast

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel

import app.access.access_tables
import app.changelog.log
import app.entities  # a model that is not imported would have its table dropped
import app.installation.tables
import app.model.other_tables  # noqa: F401  # as above
from alembic import context
from app.releases.migrations import guard
from app.releases.migrations.alembic_runner import make_engine, read_revision
from app.releases.migrations.migration_session import lock, set_up, set_up_sql, unlock
from app.releases.migrations.observer import Observer, observe
from app.releases.migrations.revisions import head
from app.releases.migrations.steps import close_beside, observer_of
from app.releases.migrations.version_row import BadVersionRow

target_metadata = SQLModel.metadata


def ours(name: str | None, kind: str, _parents: object) -> bool:
    """Leave alone every table that no model names: the older service's, and Alembic's own."""
    return kind != "table" or name in target_metadata.tables


def configure(**where: Any) -> None:
    """Configure what Alembic compares and how it runs."""
    context.configure(
        target_metadata=target_metadata,
        include_name=ours,
        compare_type=True,
        compare_server_default=True,
        transaction_per_migration=True,
        **where,
    )


def render() -> None:
    """Print the migration as SQL (``--sql``), or note it for a plan, in the words it runs in."""
    collecting = context.config.attributes.get("steps")
    configure(
        dialect_name="postgresql+asyncpg",
        literal_binds=True,
        on_version_apply=collecting and collecting.applied,
    )
    if collecting is None:
        context.static_output(f"{guard.script_guard(target_metadata.tables)};")
    context.static_output(f"{set_up_sql()};")
    context.run_migrations()


def migrate(connection: Connection) -> None:
    """Run the migration on this connection, alone."""
    observer = observer_of(context.config)
    set_up(connection, observer.application_name, observer.lock_timeout)
    lock(connection, lambda seconds: _pause(connection, seconds), _say)
    try:
        configure(connection=connection)
        check_permit(connection, observer)
        with observe(connection, observer), context.begin_transaction():
            context.run_migrations()
    finally:
        close_beside(context.config)
        unlock(connection)


def check_permit(connection: Connection, observer: Observer) -> None:
    """Raise Ungated where only the release gate may run this. Reading where it stands is free."""
    migration = context.get_context()
    to = migration.opts.get("destination_rev")
    try:
        at = read_revision(connection)
    except BadVersionRow as bad:
        raise guard.Ungated(str(bad)) from bad
    connection.rollback()
    if migration.opts.get("dont_mutate") or (to is None and at is not None):
        return
    pending = not (at == head() and to in {"head", "heads", at})
    guard.raise_unless_allowed(
        connection, observer, at, pending=pending, protected=target_metadata.tables
    )
    connection.rollback()


async def migrate_with(engine: AsyncEngine) -> None:
    """Run the migration on a connection of this engine."""
    async with engine.connect() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()


def _pause(connection: Connection, seconds: float) -> None:
    adapted = cast("Any", connection.connection.dbapi_connection)
    adapted.run_async(lambda _: asyncio.sleep(seconds))


def _say(line: str) -> None:
    context.config.attributes.get("say", print)(line)


given = context.config.attributes.get("connection")
if context.is_offline_mode():
    render()
elif isinstance(given, Connection):
    migrate(given)
else:
    asyncio.run(migrate_with(given or make_engine(os.environ["DATABASE_URL"])))

"""Migrates as the release gate does, by its lock, without its stages: to save a test their time."""

from app.releases.connection.open_connection import open_connection
from app.releases.migrations.alembic_runner import upgrade
from app.releases.migrations.migration_session import GATE_LOCK
from app.releases.migrations.observer import Observer
from app.releases.output import discard_line


async def upgrade_as_gate(url: str, revision: str = "head") -> None:
    """Take a database with release tables to a revision; nobody else may be its gate meanwhile."""
    async with open_connection(url) as gate:
        assert await gate.fetchval("SELECT pg_try_advisory_lock($1)", GATE_LOCK)
        observer = Observer()
        observer.gate_pid = gate.get_server_pid()
        await upgrade(url, revision, discard_line, observer)

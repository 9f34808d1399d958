"""Migrates as the release gate does, by its lock, without its stages: to save a test their time."""

from app.releases.connection.session import GATE_LOCK
from app.releases.migrations.alembic_runner import upgrade
from app.releases.migrations.observer import Patience, Permit
from app.releases.output import silently
from app.releases.schema.scratch_database import connected


async def upgrade_as_gate(url: str, revision: str = "head") -> None:
    """Take a database with release tables to a revision; nobody else may be its gate meanwhile."""
    async with connected(url) as gate:
        assert await gate.fetchval("SELECT pg_try_advisory_lock($1)", GATE_LOCK)
        witness = Patience()
        witness.permit = Permit(gate_pid=gate.get_server_pid())
        await upgrade(url, revision, silently, witness)

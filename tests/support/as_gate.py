"""Migrates as the release gate does, by its lock, without its stages: to save a test their time."""

from app.releases.migrate import upgrade
from app.releases.scratch import connected
from app.releases.session import GATE_LOCK
from app.releases.telling import silently
from app.releases.witness import Patience, Permit


async def upgrade_as_gate(url: str, revision: str = "head") -> None:
    """Take a database with release tables to a revision; nobody else may be its gate meanwhile."""
    async with connected(url) as gate:
        assert await gate.fetchval("SELECT pg_try_advisory_lock($1)", GATE_LOCK)
        witness = Patience()
        witness.permit = Permit(gate_pid=gate.get_server_pid())
        await upgrade(url, revision, silently, witness)

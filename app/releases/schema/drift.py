"""Drift: where a live database differs from what its applied revisions build, both ways.

``inspect`` builds a scratch database up to the live one's revision and compares the catalogues;
``drift`` tells an operator about it. There is no hand-kept list of what should be.
"""

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import asyncpg

from app.older_service.migration_history import FACT, older_history, since_adoption
from app.releases.connection.migration_session import MigrationError
from app.releases.connection.open_connection import open_connection
from app.releases.migrations.alembic_runner import current
from app.releases.migrations.revisions import has_revision, head
from app.releases.schema.comparison.compare_snapshots import compare
from app.releases.schema.comparison.finding import Finding
from app.releases.schema.introspection.introspect import read_snapshot
from app.releases.schema.scratch_database import expected_snapshot
from app.releases.schema.snapshot import Snapshot, fingerprint


class Unplaced(MigrationError):
    """The database is at no revision of this image, so nothing says what it should be."""


@dataclass(frozen=True)
class Inspection:
    """What was found at which revision; ``live`` holds our own tables, and names the others."""

    revision: str
    expected: Snapshot
    live: Snapshot
    findings: list[Finding]

    @property
    def fingerprint(self) -> str:
        """The live schema's; other tables change it only by coming and going."""
        return fingerprint(self.live)


async def inspect(
    url: str, role: str | None = None, acquainted: Collection[str] | None = None
) -> Inspection:
    """Compare the database with what its own revision builds.

    ``role`` is the one the service connects as, by default the one in ``url``; ``acquainted`` are
    other tables that were there before (see ``compare``). Raises Unplaced, NoScratch and
    MigrationError.
    """
    revision = _placed(await current(url))
    should = await expected_snapshot(url, revision)
    live = await _live(url, role)
    if await current(url) != revision:
        raise MigrationError("A migration ran while the schema was compared: compare it again.")
    return Inspection(revision, should, live.beside(should), compare(should, live, acquainted))


async def drift(
    url: str, say: Callable[[str], None] = print, role: str | None = None
) -> list[Finding]:
    """Give every drift of the database, and tell it with its mend. Raises as ``inspect`` does.

    What the gate noted at adoption is known here too: both must come to the same end.
    """
    found = await inspect(url, role, await _acquainted(url))
    moved = await _older_service_moved(url) if found.findings else None
    for finding in found.findings:
        say(finding.words if moved else f"{finding.words}\n{finding.script}")
    if moved:
        say(moved)
    strays = {finding.table for finding in found.findings if finding.kind == "table_extra"}
    if others := [name for name in found.live.others if name not in strays]:
        say(f"Not ours, and not looked at: {', '.join(others)}.")
    say(_summary(len(found.findings), found.revision))
    return found.findings


async def _acquainted(url: str) -> list[str] | None:
    async with open_connection(url) as connection:
        noted = await _fact(connection, "acquainted")
        return None if noted is None else list(noted)


async def _older_service_moved(url: str) -> str | None:
    """Say that the older service has changed its own database since it was adopted."""
    async with open_connection(url) as connection:
        return since_adoption(await _fact(connection, FACT), await older_history(connection))


async def _fact(connection: asyncpg.Connection, name: str) -> Any:
    """Return what the gate noted under a name, None where it never ran or noted nothing."""
    if await connection.fetchval("SELECT to_regclass('release_facts') IS NULL"):
        return None
    noted = await connection.fetchval("SELECT value FROM release_facts WHERE name = $1", name)
    return json.loads(noted) if noted else None


def _summary(count: int, revision: str) -> str:
    if not count:
        return f"No drift: the schema is what the revisions up to {revision} build."
    return f"{count} drifts from what the revisions up to {revision} build."


def _placed(revision: str | None) -> str:
    if revision is None:
        raise Unplaced("The database was never migrated: there is nothing to compare it with.")
    if not has_revision(revision):
        raise Unplaced(
            f"The database is ahead: revision {revision} is not known to this version, whose "
            f"newest is {head()}, so it cannot say what the schema should be."
        )
    return revision


async def _live(url: str, role: str | None) -> Snapshot:
    async with open_connection(url) as connection:
        try:
            return await read_snapshot(connection, role)
        except asyncpg.UndefinedObjectError as unknown:
            raise MigrationError(f"PostgreSQL knows no such role: {unknown}.") from unknown

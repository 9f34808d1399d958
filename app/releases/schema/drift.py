"""Drift: where a live database differs from what its applied revisions build, both ways.

``inspect`` builds a scratch database up to the live one's revision and compares the catalogues.
There is no hand-kept list of what should be.
"""

from collections.abc import Collection
from dataclasses import dataclass

import asyncpg

from app.releases.connection.open_connection import open_connection
from app.releases.migrations.alembic_runner import current
from app.releases.migrations.revisions import has_revision, head
from app.releases.migrations.version_row import live_revision
from app.releases.schema.comparison.compare_snapshots import compare
from app.releases.schema.comparison.finding import Finding
from app.releases.schema.introspection.introspect import read_snapshot
from app.releases.schema.scratch_database import expected_snapshot
from app.releases.schema.snapshot import Snapshot, fingerprint
from app.releases.verdict import MigrationError


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
    async with open_connection(url) as connection:
        live = await _live(connection, role)
        if await live_revision(connection) != revision:
            raise MigrationError("A migration ran while the schema was compared: compare it again.")
    return Inspection(revision, should, live.beside(should), compare(should, live, acquainted))


def _placed(revision: str | None) -> str:
    if revision is None:
        raise Unplaced("The database was never migrated: there is nothing to compare it with.")
    if not has_revision(revision):
        raise Unplaced(
            f"The database is ahead: revision {revision} is not known to this version, whose "
            f"newest is {head()}, so it cannot say what the schema should be."
        )
    return revision


async def _live(connection: asyncpg.Connection, role: str | None) -> Snapshot:
    try:
        return await read_snapshot(connection, role)
    except asyncpg.UndefinedObjectError as unknown:
        raise MigrationError(f"PostgreSQL knows no such role: {unknown}.") from unknown

"""The older service's statements, tried on a copy of the database in a rehearsal."""

from collections.abc import Sequence
from functools import partial
from typing import Final

import asyncpg

from app.older_service.statements import Query, Work, works
from app.releases.migrations.revisions import history
from app.releases.rehearsal.client_trials import Probe
from app.releases.rehearsal.probes import Failures, attempt, rolled_back
from app.releases.schema.scratch_database import expected_snapshot
from app.releases.schema.snapshot import Snapshot

_WRITES: Final = frozenset({"INSERT", "upsert", "UPDATE", "DELETE"})


async def make_probe(url: str, schema: Snapshot) -> Probe:
    """Return the probe of the tables in ``schema`` that still have all older columns.

    The older service left the schema that the first revision builds.
    """
    older = await expected_snapshot(url, history()[0].name)
    return partial(_try_all, works(older, schema))


async def _try_all(tables: Sequence[Work], connection: asyncpg.Connection) -> Failures:
    """Write, list, read back and delete one row of each table; return what failed."""
    failed: Failures = {}
    async with rolled_back(connection):
        for work in tables:
            for query in (*work.writes, *work.lists):
                key = (work.table, query.name)
                await attempt(connection, failed, key, partial(_run, query))
            key = (work.table, work.read.name)
            await attempt(connection, failed, key, partial(_read_back, work))
        for work in reversed(tables):
            key = (work.table, work.delete.name)
            await attempt(connection, failed, key, partial(_run, work.delete))
    return failed


async def _run(query: Query, connection: asyncpg.Connection) -> None:
    sql = f"{query.sql} RETURNING 1" if query.name in _WRITES else query.sql
    if not await connection.fetch(sql, *query.values):
        raise asyncpg.InterfaceError("it found nothing")


async def _read_back(work: Work, connection: asyncpg.Connection) -> None:
    row = await connection.fetchrow(work.read.sql, *work.read.values)
    pairs = zip(work.row.items(), row or (), strict=False)
    changed = [name for (name, value), stored in pairs if value != stored]
    if row is None or changed:
        raise asyncpg.InterfaceError(f"what was written reads otherwise: {', '.join(changed)}")

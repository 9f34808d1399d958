"""The older service's statements, tried on a copy of the database in a rehearsal."""

from collections.abc import Sequence
from functools import partial
from typing import Final

import asyncpg

from app.older_service.statements import Query, Work, works
from app.releases.migrations.revisions import history
from app.releases.rehearsal.probes import Failures, Probe, Tried, attempt, rolled_back
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
                await attempt(connection, failed, (work.table, query.name), _run(query))
            await attempt(connection, failed, (work.table, work.read.name), _read_back(work))
        for work in reversed(tables):
            await attempt(connection, failed, (work.table, work.delete.name), _run(work.delete))
    return failed


def _run(query: Query) -> Tried:
    async def run(connection: asyncpg.Connection) -> None:
        sql = f"{query.sql} RETURNING 1" if query.name in _WRITES else query.sql
        if not await connection.fetch(sql, *query.values):
            raise asyncpg.InterfaceError("it found nothing")

    return run


def _read_back(work: Work) -> Tried:
    async def read(connection: asyncpg.Connection) -> None:
        row = await connection.fetchrow(work.read.sql, *work.read.values)
        changed = [
            name
            for name, value, stored in zip(work.row, work.row.values(), row or (), strict=False)
            if value != stored
        ]
        if row is None or changed:
            raise asyncpg.InterfaceError(f"what was written reads otherwise: {', '.join(changed)}")

    return read

"""``python -m app audit export``: print the audit as JSON lines."""

import asyncio
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import typer

from app.access.audit import audit_entries
from app.cli.load_show import opened
from app.cli.startup import started
from app.settings import Settings

_BATCH: Final = 1_000


def run(*, since: datetime | None, until: datetime | None) -> None:
    """Print the entries from ``since`` until before ``until``, both in UTC."""
    start = since.replace(tzinfo=UTC) if since else datetime.min.replace(tzinfo=UTC)
    end = until.replace(tzinfo=UTC) if until else datetime.max.replace(tzinfo=UTC)
    with started() as (settings, url):
        asyncio.run(_export(settings, url, start, end))


async def _export(settings: Settings, url: str, start: datetime, end: datetime) -> None:
    moment, uuid = start, UUID(int=0)
    async with opened(settings, url) as database:
        while rows := await database.rows(audit_entries.OLDEST_ENTRIES, end, moment, uuid, _BATCH):
            for row in rows:
                typer.echo(row["entry"].decode())
            moment, uuid = rows[-1]["moment"], rows[-1]["uuid"]

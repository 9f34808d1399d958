"""``python -m app status``: whether the database is what this version of the code needs."""

import asyncio
import json
from dataclasses import asdict

import typer

from app.cli.commands.open_database import opened
from app.cli.output import started
from app.health import check
from app.settings import Settings


def run(*, as_json: bool) -> None:
    """Print what /health finds; exit with 1 where the service could not serve."""
    with started() as (settings, url):
        found = asyncio.run(_examined(settings, url))
        if as_json:
            typer.echo(json.dumps(asdict(found) | {"healthy": found.healthy}))
        else:
            typer.echo(_described(found))
        if not found.healthy:
            raise typer.Exit(1)


async def _examined(settings: Settings, url: str) -> check.Health:
    async with opened(settings, url) as database:
        return await check.examine(database, settings.health_timeout)


def _described(found: check.Health) -> str:
    words = "answers" if found.connected else "does not answer"
    lines = [
        f"database   {words}" + (f" in {found.latency_ms} ms" if found.connected else ""),
        f"schema     {found.state}: at {found.revision or 'nothing'}, newest {found.head}",
        *(f"{name:<17}{word}" for name, word in found.resources.items()),
        *(f"note       {note}" for note in found.notes),
    ]
    return "\n".join(lines)

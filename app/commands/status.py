"""``python -m app status``: whether the database is what this version of the code needs."""

import asyncio
import json
from dataclasses import asdict

import typer

from app import health
from app.commands.opened import opened
from app.settings import Settings
from app.terminal import started


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


async def _examined(settings: Settings, url: str) -> health.Health:
    async with opened(settings, url) as database:
        return await health.examine(database, settings.health_timeout)


def _described(found: health.Health) -> str:
    words = "answers" if found.connected else "does not answer"
    lines = [
        f"database   {words}" + (f" in {found.latency_ms} ms" if found.connected else ""),
        f"schema     {found.state}: at {found.revision or 'nothing'}, newest {found.head}",
        *(f"{name:<17}{word}" for name, word in found.resources.items()),
        *(f"note       {note}" for note in found.notes),
    ]
    return "\n".join(lines)

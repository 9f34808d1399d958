"""``python -m app status``: whether the database is what this version of the code needs."""

import asyncio
import json
from dataclasses import asdict

import typer

from app.cli.load_show import opened
from app.cli.startup import started
from app.health import check
from app.settings import Settings


def run(*, as_json: bool) -> None:
    """Print what /health finds; exit with 1 where the service could not serve."""
    with started() as (settings, url):
        health = asyncio.run(_examine(settings, url))
        if as_json:
            typer.echo(json.dumps(asdict(health) | {"healthy": health.healthy}))
        else:
            typer.echo(_described(health))
        if not health.healthy:
            raise typer.Exit(1)


async def _examine(settings: Settings, url: str) -> check.Health:
    async with opened(settings, url) as database:
        return await check.examine(database, settings.health_timeout)


def _described(health: check.Health) -> str:
    words = "answers" if health.connected else "does not answer"
    lines = [
        f"database   {words}" + (f" in {health.latency_ms} ms" if health.connected else ""),
        f"schema     {health.state}: at {health.revision or 'nothing'}, newest {health.head}",
        *(f"{name:<17}{word}" for name, word in health.resources.items()),
        *(f"note       {note}" for note in health.notes),
    ]
    return "\n".join(lines)

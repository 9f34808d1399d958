"""The command line: ``python -m app serve | release … | load FILE | status | drift``."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from app import health, release_words, server, show
from app.database_url import DatabaseUrl
from app.db import Database
from app.dialing import refuse_pooler
from app.releases import drift as live_drift
from app.releases import migrate as migrations
from app.settings import Settings
from app.terminal import say, started

cli = typer.Typer(
    help="Signalbook keeps the video equipment of live shows and serves it as JSON. Settings come "
    "from the environment (docs/operations.md lists them); without DATABASE_URL it runs a "
    "PostgreSQL of its own in DATA_DIR.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
cli.add_typer(release_words.words, name="release")


@asynccontextmanager
async def _opened(settings: Settings, url: str) -> AsyncIterator[Database]:
    database = Database(DatabaseUrl.parse(url), settings)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@cli.command()
def serve(
    prepare: Annotated[
        bool | None,
        typer.Option(
            help="First migrate without the release gate, and load the sample show into an empty "
            "database: for development. The default: yes with the embedded PostgreSQL, no with "
            "DATABASE_URL; refused in production."
        ),
    ] = None,
) -> None:
    """Serve the API on HOST and PORT (127.0.0.1:3010) until SIGINT or SIGTERM."""
    with started() as (settings, url):
        settings.refuse_exposed()
        if prepare:
            settings.refuse_ungated()
        if prepare or (prepare is None and settings.database_url is None):
            asyncio.run(_prepare(settings, url))
        asyncio.run(refuse_pooler(DatabaseUrl.parse(url)))
        server.serve(settings, DatabaseUrl.parse(url), say)


async def _prepare(settings: Settings, url: str) -> None:
    say("Bringing the database's schema up to date …")
    await migrations.upgrade(url, say=say)
    async with _opened(settings, url) as database:
        await show.load_sample_if_empty(database, say)


@cli.command()
def load(
    file: Annotated[Path, typer.Argument(help="A show as JSON; app/sample/show.json is one.")],
) -> None:
    """Load a show from FILE, all of it or nothing, as a new production."""
    with started() as (settings, url):
        asyncio.run(_load(settings, url, file))


async def _load(settings: Settings, url: str, file: Path) -> None:
    async with _opened(settings, url) as database:
        typer.echo(await show.load(database, file, say))


@cli.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Say whether the database is what this version of the code needs; exit 1 where it is not."""
    with started() as (settings, url):
        found = asyncio.run(_examined(settings, url))
        if as_json:
            typer.echo(json.dumps(asdict(found) | {"healthy": found.healthy}))
        else:
            typer.echo(_described(found))
        if not found.healthy:
            raise typer.Exit(1)


async def _examined(settings: Settings, url: str) -> health.Health:
    async with _opened(settings, url) as database:
        return await health.examine(database, settings.health_timeout)


@cli.command()
def drift() -> None:
    """List where the live schema differs from what its migrations build; exit 1 where it does.

    Builds the schema once more in a scratch database beside it, compares the two catalogues, and
    tells each difference with the SQL that mends it. Nothing of the live database is changed.
    """
    with started() as (settings, url):
        order = release_words.order_of(settings, url)
        if asyncio.run(live_drift.drift(order.url, typer.echo, order.service_role)):
            raise typer.Exit(1)


def _described(found: health.Health) -> str:
    words = "answers" if found.connected else "does not answer"
    lines = [
        f"database   {words}" + (f" in {found.latency_ms} ms" if found.connected else ""),
        f"schema     {found.state}: at {found.revision or 'nothing'}, newest {found.head}",
        *(f"{name:<17}{word}" for name, word in found.resources.items()),
        *(f"note       {note}" for note in found.notes),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    cli(prog_name="python -m app")

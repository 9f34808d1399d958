"""The command line: ``python -m app serve | migrate | load FILE | status | drift``."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from app import health, logs, postgres, server, show
from app.database_url import BadDatabaseUrl, DatabaseUrl
from app.db import Database
from app.errors import SignalbookError
from app.releases import drift as live_drift
from app.releases import migrate as migrations
from app.releases.session import MigrationError
from app.settings import BadSettings, Settings, load_settings

cli = typer.Typer(
    help="Signalbook keeps the video equipment of live shows and serves it as JSON. Settings come "
    "from the environment (docs/operations.md lists them); without DATABASE_URL it runs a "
    "PostgreSQL of its own in DATA_DIR.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_EXPECTED = (
    BadSettings, BadDatabaseUrl, SignalbookError, show.BadShow, postgres.EmbeddedPostgresError,
    MigrationError,
)  # fmt: skip


def say(words: str) -> None:
    """Tell the person at the terminal what is going on."""
    typer.echo(words, err=True)


def _give_up(words: object) -> NoReturn:
    say(f"signalbook: {words}")
    raise typer.Exit(1)


@contextmanager
def _database(settings: Settings) -> Iterator[str]:
    """Give the database's URL; without one, run the embedded PostgreSQL meanwhile."""
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    with postgres.start(settings.data_dir / "postgres", say=say) as embedded:
        yield embedded.url


@asynccontextmanager
async def _opened(settings: Settings, url: str) -> AsyncIterator[Database]:
    database = Database(DatabaseUrl.parse(url), settings)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@contextmanager
def _started() -> Iterator[tuple[Settings, str]]:
    """Read the settings and reach for the database; say plainly what went wrong."""
    try:
        settings = load_settings()
        logs.configure(settings)
        settings.refuse_without_database()
        with _database(settings) as url:
            yield settings, url
    except _EXPECTED as expected:
        _give_up(getattr(expected, "message", expected))


@cli.command()
def serve(
    prepare: Annotated[
        bool | None,
        typer.Option(
            help="First migrate, and load the sample show into an empty database. The default: "
            "yes with the embedded PostgreSQL, no with DATABASE_URL."
        ),
    ] = None,
) -> None:
    """Serve the API on HOST and PORT (127.0.0.1:3010) until SIGINT or SIGTERM."""
    with _started() as (settings, url):
        settings.refuse_exposed()
        if prepare or (prepare is None and settings.database_url is None):
            asyncio.run(_prepare(settings, url))
        server.serve(settings, DatabaseUrl.parse(url), say)


async def _prepare(settings: Settings, url: str) -> None:
    say("Bringing the database's schema up to date …")
    await migrations.upgrade(url, say=say)
    async with _opened(settings, url) as database:
        await show.load_sample_if_empty(database, say)


@cli.command()
def migrate(
    revision: Annotated[str, typer.Argument(help="Where to go.")] = "head",
) -> None:
    """Bring the database's schema up to date. Safe to repeat, and to run beside another."""
    with _started() as (_, url):
        asyncio.run(migrations.upgrade(url, revision, say))
        say("The database's schema is up to date.")


@cli.command()
def load(
    file: Annotated[Path, typer.Argument(help="A show as JSON; app/sample/show.json is one.")],
) -> None:
    """Load a show from FILE, all of it or nothing, as a new production."""
    with _started() as (settings, url):
        asyncio.run(_load(settings, url, file))


async def _load(settings: Settings, url: str, file: Path) -> None:
    async with _opened(settings, url) as database:
        typer.echo(await show.load(database, file, say))


@cli.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,  # noqa: FBT002  # typer makes it an option
) -> None:
    """Say whether the database is what this version of the code needs; exit 1 where it is not."""
    with _started() as (settings, url):
        found = asyncio.run(health.examine(DatabaseUrl.parse(url), settings.health_timeout))
        if as_json:
            typer.echo(json.dumps(asdict(found) | {"healthy": found.healthy}))
        else:
            typer.echo(_described(found))
        if not found.healthy:
            raise typer.Exit(1)


@cli.command()
def drift() -> None:
    """List where the live schema differs from what its migrations build; exit 1 where it does.

    Builds the schema once more in a scratch database beside it, compares the two catalogues, and
    tells each difference with the SQL that mends it. Nothing of the live database is changed.
    """
    with _started() as (_, url):
        if asyncio.run(live_drift.drift(url, typer.echo)):
            raise typer.Exit(1)


def _described(found: health.Health) -> str:
    words = "answers" if found.connected else "does not answer"
    lines = [
        f"database   {words}" + (f" in {found.latency_ms} ms" if found.connected else ""),
        f"schema     {found.state}: at {found.revision or 'nothing'}, newest {found.head}",
        *(f"{name:<17}{word}" for name, word in found.resources.items()),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    cli(prog_name="python -m app")

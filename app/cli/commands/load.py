"""``python -m app load FILE``: load a show."""

import asyncio
from pathlib import Path

import typer

from app.cli import load_show
from app.cli.startup import say, started
from app.releases.migrations import alembic_runner as migrations
from app.releases.migrations.guard import raise_unless_deployable
from app.settings import Settings
from app.shows.copying import with_new_uuids


def run(*, file: Path, as_copy: bool) -> None:
    """Load the file, all of it or nothing, and print the label of its production."""
    with started() as (settings, url):
        asyncio.run(_load(settings, url, file, as_copy=as_copy))


async def _load(settings: Settings, url: str, file: Path, *, as_copy: bool) -> None:
    show = load_show.read(file)  # first: a bad file is named whether or not the database takes it
    if as_copy:
        show = with_new_uuids(show)
    raise_unless_deployable(await migrations.current(url))
    async with load_show.opened(settings, url) as database:
        typer.echo(await load_show.load(database, show, say))

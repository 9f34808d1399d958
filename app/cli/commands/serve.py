"""``python -m app serve``: serve the API."""

import asyncio

from app import server
from app.cli import load_show, quiet_start
from app.cli.startup import say, started
from app.database.dial import reject_pooler
from app.database.url import DatabaseUrl
from app.releases.migrations import alembic_runner as migrations
from app.releases.migrations.observer import Observer
from app.releases.product import load_shipped
from app.settings import Settings


def run(*, prepare: bool | None) -> None:
    """Serve until a signal; first migrate and load the sample where that is asked for."""
    with started() as (settings, url):
        settings.refuse_exposed()
        if prepare:
            settings.refuse_ungated()
        if prepare or (prepare is None and settings.database_url is None):
            asyncio.run(_prepare(settings, url))
        asyncio.run(reject_pooler(DatabaseUrl.parse(url)))
        server.serve(settings, DatabaseUrl.parse(url), say, quiet_start.is_stopped)


async def _prepare(settings: Settings, url: str) -> None:
    say("Bringing the database's schema up to date …")
    patience = Observer()
    patience.is_disposable = settings.database_url is None
    await migrations.upgrade(url, say=say, observer=patience)
    async with load_show.opened(settings, url) as database:
        await load_show.load_sample_if_empty(database, say)
        async with database.connection() as connection:
            say(f"What ships with this version: {await load_shipped(connection)}.")

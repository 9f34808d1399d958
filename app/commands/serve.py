"""``python -m app serve``: serve the API."""

import asyncio

from app import server, show
from app.commands.opened import opened, showing
from app.database_url import DatabaseUrl
from app.dialing import refuse_pooler
from app.releases import migrate as migrations
from app.releases.witness import Patience, Permit
from app.settings import Settings
from app.terminal import say, started


def run(*, prepare: bool | None) -> None:
    """Serve until a signal; first migrate and load the sample where that is asked for."""
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
    patience = Patience()
    patience.permit = Permit(disposable=settings.database_url is None)
    await migrations.upgrade(url, say=say, witness=patience)
    with showing():
        async with opened(settings, url) as database:
            await show.load_sample_if_empty(database, say)

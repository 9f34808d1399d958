"""``python -m app serve``: serve the API."""

import asyncio
from contextlib import suppress
from typing import Final

from app import json_lines, server
from app.access import tokens
from app.access.caller import Role
from app.access.peppers import Peppers
from app.cli import load_show, quiet_start
from app.cli.startup import say, started
from app.database.dial import reject_pooler
from app.database.url import DatabaseUrl
from app.errors import SignalbookError
from app.releases.migrations import alembic_runner as migrations
from app.releases.migrations.observer import Observer
from app.releases.product import load_shipped
from app.settings import Settings

_ONE_AT_A_TIME: Final = "SELECT pg_advisory_xact_lock(7305791, 40)"
_FIRST: Final = tokens.NewToken(
    "First operator", "operator", "Operator", Role.OPERATOR, "the first start"
)


def run(*, prepare: bool | None) -> None:
    """Serve until a signal; first migrate and load the sample where that is asked for."""
    with started() as (settings, url):
        if prepare:
            settings.refuse_ungated()
        settings.refuse_exposed()
        if prepare or (prepare is None and settings.database_url is None):
            asyncio.run(_prepare(settings, url))
        asyncio.run(reject_pooler(DatabaseUrl.parse(url)))
        asyncio.run(_offer_operator(settings, url))
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


async def _offer_operator(settings: Settings, url: str) -> None:
    """Print an operator's token where no token was ever made, once.

    Never where machines read what is printed: a log is no place for a token.
    """
    can_hash = settings.environment != "production" or settings.token_peppers is not None
    if json_lines.is_capturing() or settings.operator_token is not None or not can_hash:
        return
    # A database that is away or not migrated yet has its own words, in /health.
    with suppress(SignalbookError):
        async with (
            load_show.opened(settings, url) as database,
            database.transaction() as connection,
        ):
            await connection.execute(_ONE_AT_A_TIME)
            if await connection.fetchval("SELECT NOT EXISTS (SELECT FROM access_tokens)"):
                token = await tokens.create(connection, Peppers(settings), _FIRST)
                say(f"The first operator's token, shown only this once: {token}")

"""``python -m app export SHOW``: print a show as the JSON that ``load`` reads."""

import asyncio
import json

import typer
from pydantic_core import from_json

from app.cli import load_show
from app.cli.startup import BadShow, started
from app.errors import SignalbookError
from app.settings import Settings
from app.shows import show_document


def run(*, production: str) -> None:
    """Print the show that has this uuid or label."""
    with started() as (settings, url):
        typer.echo(asyncio.run(_export(settings, url, production)))


async def _export(settings: Settings, url: str, production: str) -> str:
    async with load_show.opened(settings, url) as database:
        try:
            content = await show_document.export(database, production)
        except SignalbookError as error:
            raise BadShow(error.message) from None
    return json.dumps(from_json(content), indent=1, ensure_ascii=False)

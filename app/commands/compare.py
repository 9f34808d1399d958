"""``python -m app release compare URL``: lay another database beside this one."""

import json

import typer

from app.commands.asking import answered
from app.named_url import usable
from app.releases.beside import Beside, beside
from app.settings import Settings
from app.terminal import gate_url


def run(*, url: str, as_json: bool) -> None:
    """Print where they differ; exit with 1 where they do."""

    async def laid(settings: Settings, here: str) -> Beside:
        usable(url, "COMPARE_URL")
        return await beside(gate_url(settings, here), url)

    found = answered(laid)
    if as_json:
        typer.echo(json.dumps(found.as_json(), default=str))
    else:
        typer.echo("\n".join(found.lines()))
    raise typer.Exit(0 if found.same else 1)

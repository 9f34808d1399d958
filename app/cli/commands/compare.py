"""``python -m app release compare URL``: lay another database beside this one."""

import json

import typer

from app.cli.startup import answered, gate_url
from app.database.url import DatabaseUrl
from app.releases.schema.compare_databases import DatabaseComparison, compare_databases
from app.settings import Settings


def run(*, url: str, as_json: bool) -> None:
    """Print where they differ; exit with 1 where they do."""

    async def compared(settings: Settings, here: str) -> DatabaseComparison:
        DatabaseUrl.from_setting(url, "COMPARE_URL")
        return await compare_databases(gate_url(settings, here), url)

    differences = answered(compared)
    if as_json:
        typer.echo(json.dumps(differences.as_json(), default=str))
    else:
        typer.echo("\n".join(differences.lines()))
    raise typer.Exit(0 if differences.same else 1)

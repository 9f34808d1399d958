"""``python -m app drift``: where the live schema differs from what its migrations build."""

import typer

from app.cli.commands.ask_database import answered
from app.cli.startup import gate_url, service_role
from app.releases.gate.drift_report import drift
from app.releases.schema.comparison.finding import Finding
from app.settings import Settings


def run() -> None:
    """Print each difference with its mend; exit with 1 where there is one."""

    async def compared(settings: Settings, url: str) -> list[Finding]:
        return await drift(gate_url(settings, url), typer.echo, service_role(settings, url))

    if answered(compared):
        raise typer.Exit(1)

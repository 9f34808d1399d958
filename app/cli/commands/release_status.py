"""``python -m app release status``: where the database stands, and what to do next."""

import json
from typing import Any

import typer

from app.cli import commands
from app.cli.startup import answered, gate_url, say, service_role
from app.cli.status_output import described, do_next
from app.releases.status.next_command import unreachable
from app.releases.status.status import status
from app.releases.verdict import Stopped
from app.settings import Settings


def run(*, as_json: bool, look: bool) -> None:
    """Print the status; with ``look`` the live schema is looked at now."""

    async def examined(settings: Settings, url: str) -> dict[str, Any]:
        address, role = gate_url(settings, url), service_role(settings, url)
        members = await status(address, within=5.0, look=look, role=role)
        if members["drift"] is None and members["running"] is None:
            # The migrations are slow to load, and needed only here.
            members = await commands.run("look", url=address, status=members, role=role)
        return members

    def refuse(verdict: Stopped) -> None:
        following = unreachable(verdict.words).as_json()
        if as_json:
            typer.echo(json.dumps({"verdict": verdict.verdict.name, "nextCommand": following}))
        say("\n".join([f"signalbook: {verdict.words}", *do_next(following)[1:]]))

    members = answered(examined, refuse)
    if as_json:
        typer.echo(json.dumps(members, default=str))
    else:
        typer.echo("\n".join(described(members)))

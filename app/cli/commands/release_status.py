"""``python -m app release status``: where the database stands, and what to do next."""

import json
from typing import Any

import typer

from app.cli import commands
from app.cli.commands.ask_database import answered
from app.cli.output import gate_url, say, service_role
from app.cli.status_output import described, do_next
from app.releases.status.next_command import unreachable
from app.releases.status.status import status
from app.releases.verdict import Stopped
from app.settings import Settings


def run(*, as_json: bool, look: bool) -> None:
    """Print the status; with ``look`` the live schema is looked at now."""

    async def examined(settings: Settings, url: str) -> dict[str, Any]:
        address, role = gate_url(settings, url), service_role(settings, url)
        found = await status(address, within=5.0, look=look, role=role)
        if found["drift"] is not None or not _comparable(found):
            return found
        # Only to look anew are the migrations needed, which are slow to load.
        looked: dict[str, Any] = await commands.run("look", url=address, found=found, role=role)
        return looked

    def refuse(verdict: Stopped) -> None:
        following = unreachable(verdict.words).as_json()
        if as_json:
            typer.echo(json.dumps({"verdict": verdict.verdict.name, "nextCommand": following}))
        say("\n".join([f"signalbook: {verdict.words}", *do_next(following)[1:]]))

    found = answered(examined, refuse)
    if as_json:
        typer.echo(json.dumps(found, default=str))
    else:
        typer.echo("\n".join(described(found)))


def _comparable(found: dict[str, Any]) -> bool:
    """Tell whether anything says what the live schema should be, at this moment."""
    return found["state"] in {"behind", "ready", "head"} and found["running"] is None

"""``python -m app release approve DIGEST``: decide about a plan that was rehearsed."""

import json
from typing import Any

import typer

from app.cli.startup import answered, gate_url, say
from app.releases.connection.open_connection import open_connection
from app.releases.ledger.decisions import decide
from app.releases.ledger.ledger import Ledger
from app.releases.product import note
from app.settings import Settings


def run(*, digest: str, choice: str, as_json: bool, who: str, **reasons: Any) -> None:
    """Store the decision and print it."""

    async def decided(settings: Settings, url: str) -> dict[str, Any]:
        async with open_connection(gate_url(settings, url)) as connection:
            async with connection.transaction():
                decision = await decide(connection, digest, choice, who=who, **reasons)
                details = {"plan": decision["digest"], "why": decision["why"]}
                event = f"release.{decision['decision']}"
                await note(Ledger(connection), event, who, **details)
            return decision

    decision = answered(decided)
    if as_json:
        typer.echo(json.dumps(decision, default=str))
    else:
        say(f"{decision['decision']}: {decision['digest'][:12]} by {who}. Run the release again.")

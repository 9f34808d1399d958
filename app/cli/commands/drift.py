"""``python -m app drift``: where the live schema differs from what its migrations build."""

import json
from collections.abc import Callable

import typer

from app.cli.startup import answered, gate_url, service_role
from app.releases.connection.open_connection import open_connection
from app.releases.ledger.ledger import Ledger
from app.releases.output import discard_line
from app.releases.product import older_service
from app.releases.schema.comparison.finding import Finding
from app.releases.schema.drift import inspect
from app.settings import Settings


def run(*, as_json: bool) -> None:
    """Print each difference with its mend; exit with 1 where there is one."""
    say = discard_line if as_json else typer.echo

    async def compared(settings: Settings, url: str) -> list[Finding]:
        return await drift(gate_url(settings, url), say, service_role(settings, url))

    findings = answered(compared)
    if as_json:
        typer.echo(json.dumps([finding.as_json() for finding in findings]))
    if findings:
        raise typer.Exit(1)


async def drift(
    url: str, say: Callable[[str], None] = print, role: str | None = None
) -> list[Finding]:
    """Say every difference and its mend, and return them. Raises as ``inspect`` does.

    As in the gate, tables that were there at the adoption are no drift.
    """
    async with open_connection(url) as connection:
        ledger = Ledger(connection)
        gated = await ledger.exists()
        acquainted = await ledger.get_fact("acquainted") if gated else None
        inspection = await inspect(url, role, acquainted)
        findings, revision, explanation = inspection.findings, inspection.revision, None
        if gated and findings and older_service:
            explanation = await older_service.explain_drift(ledger)
    for finding in findings:
        say(finding.words if explanation else f"{finding.words}\n{finding.script}")
    if explanation:
        say(explanation)
    strays = {finding.table for finding in findings if finding.kind == "table_extra"}
    if others := [name for name in inspection.live.others if name not in strays]:
        say(f"Not ours, and not looked at: {', '.join(others)}.")
    if findings:
        say(f"{len(findings)} drifts from what the revisions up to {revision} build.")
    else:
        say(f"No drift: the schema is what the revisions up to {revision} build.")
    return findings

"""Reports drift to an operator, without a run of the gate: ``python -m app drift``."""

from collections.abc import Callable

from app.releases.connection.open_connection import open_connection
from app.releases.ledger.ledger import Ledger
from app.releases.product import explain_drift
from app.releases.schema.comparison.finding import Finding
from app.releases.schema.drift import inspect


async def drift(
    url: str, say: Callable[[str], None] = print, role: str | None = None
) -> list[Finding]:
    """Say every difference and its mend, and return them. Raises as ``inspect`` does.

    As in the gate, tables that were there at the adoption are no drift.
    """
    async with open_connection(url) as connection:
        ledger = Ledger(connection)
        gated = await ledger.exists()
        inspection = await inspect(
            url, role, await ledger.get_fact("acquainted") if gated else None
        )
        explanation = await explain_drift(ledger) if gated and inspection.findings else None
    for finding in inspection.findings:
        say(finding.words if explanation else f"{finding.words}\n{finding.script}")
    if explanation:
        say(explanation)
    strays = {finding.table for finding in inspection.findings if finding.kind == "table_extra"}
    if others := [name for name in inspection.live.others if name not in strays]:
        say(f"Not ours, and not looked at: {', '.join(others)}.")
    count, revision = len(inspection.findings), inspection.revision
    if count:
        say(f"{count} drifts from what the revisions up to {revision} build.")
    else:
        say(f"No drift: the schema is what the revisions up to {revision} build.")
    return inspection.findings

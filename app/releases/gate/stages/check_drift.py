"""Stage 3: the live schema is what its applied revisions build, or the release stops."""

from datetime import UTC, datetime
from typing import Final

from app.releases.gate.run import Inspected, Order, Position
from app.releases.ledger.ledger import Ledger
from app.releases.output import GateOutput
from app.releases.product import older_service
from app.releases.schema.comparison.finding import Finding
from app.releases.schema.drift import Inspection, inspect
from app.releases.verdict import Stopped, Verdict

NAME: Final = "drift"


async def run(order: Order, ledger: Ledger, output: GateOutput, position: Position) -> Inspected:
    """Compare the live schema. Raise Stopped after saying every difference with its mend."""
    if position.revision is None:
        return Inspected("nothing was built yet", skipped=True)
    inspection = await inspect_live(order, ledger)
    findings = _without_work_in_progress(inspection.findings, position.in_progress)
    await store_look(ledger, inspection, findings)
    if findings:
        explanation = await older_service.explain_drift(ledger) if older_service else None
        evidence = _say(output, findings, with_mend=explanation is None)
        raise Stopped(Verdict.DRIFTED, explanation or _in_words(findings), evidence)
    count = len(inspection.findings)
    in_progress = f"; {count} of the release in the making" if count else ""
    others = inspection.live.others
    return Inspected(
        f"none{in_progress}; {len(others)} tables are not ours and were left alone",
        evidence={"fingerprint": inspection.fingerprint, "others": others, "findings": []},
        inspection=inspection,
    )


async def inspect_live(order: Order, ledger: Ledger) -> Inspection:
    """Inspect the live schema as it is now; tables that were there at the adoption are no drift."""
    return await inspect(order.url, order.service_role, await ledger.get_fact("acquainted"))


async def store_look(ledger: Ledger, inspection: Inspection, findings: list[Finding]) -> None:
    """Store the findings for the status, and what should be for checks while serving."""
    await ledger.keep_look(inspection.revision, findings, datetime.now(UTC))
    await ledger.set_fact(
        "expected", {"revision": inspection.revision, "snapshot": inspection.expected.as_json()}
    )


def raise_if_unlike(
    output: GateOutput, findings: list[Finding], revision: str | None, what_next: str
) -> None:
    """Raise Stopped where the schema is not what a revision builds that this run has applied."""
    if findings:
        words = f"{revision} was applied, and the schema is not what it builds: {findings[0].words}"
        raise Stopped(Verdict.UNVERIFIED, f"{words} {what_next}", _say(output, findings))


def _say(
    output: GateOutput, findings: list[Finding], *, with_mend: bool = True
) -> dict[str, object]:
    """Say each finding, with the SQL that mends it; return them as evidence."""
    for finding in findings:
        output.say(f"{finding.words}\n{finding.script}" if with_mend else finding.words)
    return {"findings": [finding.as_json() for finding in findings]}


def _in_words(findings: list[Finding]) -> str:
    """Sum the findings up for an operator, the first in full."""
    more = f" and {len(findings) - 1} more" if len(findings) > 1 else ""
    return (
        f"The live schema is not what its revisions build: {findings[0].words.rstrip('.')}{more}. "
        "Run the SQL shown for each, or undo what was done by hand, then run this again."
    )


def _without_work_in_progress(findings: list[Finding], tables: frozenset[str]) -> list[Finding]:
    """Leave out what a release that was begun is about to finish; its end is verified in full."""
    if tables:
        findings = [f for f in findings if f.kind not in {"function_extra", "type_extra"}]
    return [finding for finding in findings if finding.table not in tables]

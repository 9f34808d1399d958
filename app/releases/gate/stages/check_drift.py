"""Stage 3: the live schema is what its applied revisions build, or the release stops."""

from datetime import UTC, datetime
from typing import Final

from app.older_service.migration_history import FACT, older_history, since_adoption
from app.releases.connection.open_connection import open_connection
from app.releases.gate.run import Release, StageResult
from app.releases.schema.comparison.finding import Finding
from app.releases.schema.drift import Inspection, inspect
from app.releases.schema.recheck import keep_look
from app.releases.verdict import Stopped, Verdict

NAME: Final = "drift"


async def run(release: Release) -> StageResult:
    """Compare, and say every difference with the SQL that mends it."""
    if release.current is None:
        return StageResult("nothing was built yet", skipped=True)
    found = await inspected(release)
    release.inspection = found
    findings = _not_ours_in_the_making(release, found.findings)
    await noted(release, found, findings)
    if findings:
        moved = await _older_service_moved(release)
        for finding in findings:
            mend = "" if moved else f"\n{finding.script}"
            release.tell.say(f"{finding.words}{mend}")
        raise Stopped(Verdict.DRIFTED, moved or in_words(findings), {"findings": as_json(findings)})
    begun = f"; {len(found.findings)} of the release in the making" if found.findings else ""
    return StageResult(
        f"none{begun}; {len(found.live.others)} tables are not ours and were left alone",
        {"fingerprint": found.fingerprint, "others": found.live.others, "findings": []},
    )


async def _older_service_moved(release: Release) -> str | None:
    """Say that the older service has changed its own database since it was adopted."""
    noted = await release.book.get_fact(FACT)
    async with open_connection(release.order.url) as connection:
        return since_adoption(noted, await older_history(connection))


async def inspected(release: Release) -> Inspection:
    """Inspect the live schema as it is now, with the tables it was adopted with."""
    order = release.order
    acquainted = await release.book.get_fact("acquainted")
    return await inspect(order.url, order.service_role, acquainted)


async def noted(release: Release, found: Inspection, findings: list[Finding]) -> None:
    """Keep the finding for the status, and what should be for checks while serving."""
    await keep_look(release.book, found.revision, findings, datetime.now(UTC))
    await release.book.set_fact(
        "expected", {"revision": found.revision, "snapshot": found.expected.as_json()}
    )


def as_json(findings: list[Finding]) -> list[dict[str, object]]:
    """Give findings as JSON values."""
    return [finding.as_json() for finding in findings]


def in_words(findings: list[Finding]) -> str:
    """Sum up for an operator, the first in full."""
    more = f" and {len(findings) - 1} more" if len(findings) > 1 else ""
    return (
        f"The live schema is not what its revisions build: {findings[0].words.rstrip('.')}{more}. "
        "Run the SQL shown for each, or undo what was done by hand, then run this again."
    )


def _not_ours_in_the_making(release: Release, findings: list[Finding]) -> list[Finding]:
    """Leave out what a release that was begun is about to finish; its end is verified in full."""
    if release.making:
        findings = [f for f in findings if f.kind not in {"function_extra", "type_extra"}]
    return [finding for finding in findings if finding.table not in release.making]

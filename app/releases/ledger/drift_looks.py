"""The last look at the live schema: what differed from its revisions, and who looked."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from app.releases.ledger.ledger import Ledger, encoded
from app.releases.schema.comparison.finding import Finding

# Who looks: the gate's run, a serving app, or whoever asks for the status.
GATE: Final = "gate"
APP: Final = "app"
QUESTION: Final = "question"
_KEEP: Final = """INSERT INTO release_looks (name, value) VALUES ('drift', $1) ON CONFLICT (name)
  DO UPDATE SET value = excluded.value, at = clock_timestamp()"""


async def keep_look(
    ledger: Ledger, revision: str, findings: Sequence[Finding], at: datetime, by: str = GATE
) -> None:
    """Store what a look at the live schema found, and who looked, in place of an earlier one."""
    differences = [finding.as_json() for finding in findings]
    look = {"at": at.isoformat(), "by": by, "revision": revision, "findings": differences}
    await ledger.execute(_KEEP, encoded(look))


async def last_look(ledger: Ledger) -> dict[str, Any] | None:
    """Return {at, by, revision, findings} of the last look; an older image stored no ``by``."""
    row = await ledger.fetch_row("SELECT value FROM release_looks WHERE name = 'drift'")
    return row["value"] if row else None

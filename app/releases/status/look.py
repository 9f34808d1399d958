"""Looks for drift on the spot, for a status that nobody had looked for yet."""

from typing import Any, Final

import asyncpg
from sqlalchemy.exc import SQLAlchemyError

from app.errors import SignalbookError
from app.releases.connection.migration_session import MigrationError
from app.releases.ledger.soak import utc_now
from app.releases.migrations import revisions
from app.releases.schema import drift
from app.releases.schema.recheck import QUESTION
from app.releases.status.next_command import next_command
from app.releases.status.schemas import Drift, Status
from app.releases.status.status import is_gated, reading
from app.timestamps import wire_moment

_TO_ASK: Final = 4.0  # seconds to ask what a look at the live schema needs to know
_NO_LOOK: Final = (
    MigrationError, SignalbookError, asyncpg.PostgresError, asyncpg.InterfaceError,
    SQLAlchemyError, OSError,
)  # fmt: skip


async def looked(url: str, found: dict[str, Any], *, role: str | None = None) -> dict[str, Any]:
    """Give the status with ``drift`` looked for on the spot, where nobody had looked before.

    It takes seconds and a scratch database: for the terminal, not for a route. ``role`` is the one
    the service connects as, by default the one in ``url``. Where one cannot look (nothing was
    migrated, a newer image was here, the gate is at work, no scratch can be made), ``drift`` stays
    null.
    """
    at, revision = utc_now(), found["revision"]
    unknown = revision is None or not revisions.has_revision(revision)
    if found["drift"] is not None or unknown or found["running"] or "running" in found["unread"]:
        return found
    try:
        async with reading(url, _TO_ASK) as ledger:
            acquainted = await ledger.get_fact("acquainted") if await is_gated(ledger) else None
        inspection = await drift.inspect(url, role, acquainted)
    except _NO_LOOK:
        return found
    findings = [Drift(**finding.as_json()).as_json() for finding in inspection.findings]
    unread = [name for name in found["unread"] if name != "drift"]
    checked = {"drift": findings, "driftCheckedAt": wire_moment(at), "driftCheckedBy": QUESTION,
               "unread": unread}  # fmt: skip
    return _advised(found | checked) if inspection.revision == revision else found


def _advised(found: dict[str, Any]) -> dict[str, Any]:
    """Return the status with the command that follows from what was found."""
    return found | {"nextCommand": next_command(Status.model_validate(found)).as_json()}

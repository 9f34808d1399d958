"""The part of ``release status`` that needs the migrations: a look for drift on the spot."""

from typing import Any, Final

import asyncpg
from sqlalchemy.exc import SQLAlchemyError

from app.errors import SignalbookError
from app.releases.ledger.ledger import QUESTION
from app.releases.ledger.soak import utc_now
from app.releases.migrations.revisions import has_revision
from app.releases.schema import drift
from app.releases.status.schemas import Status
from app.releases.status.status import advised, reading
from app.releases.verdict import MigrationError

_PATIENCE: Final = 4.0  # seconds to read what a look at the live schema needs
_NO_LOOK: Final = (
    MigrationError, SignalbookError, asyncpg.PostgresError, asyncpg.InterfaceError,
    SQLAlchemyError, OSError,
)  # fmt: skip


async def run(url: str, status: dict[str, Any], *, role: str | None = None) -> dict[str, Any]:
    """Return the status with the drift of this moment, where nobody has looked before.

    It takes seconds and a scratch database. ``role`` is the one the service connects as. ``drift``
    stays null where nothing was migrated, a newer image was here, the gate is at work, or no
    scratch database can be made.
    """
    at, revision = utc_now(), status["revision"]
    if status["drift"] is not None or not has_revision(revision or ""):
        return status
    if status["running"] or "running" in status["unread"]:
        return status
    try:
        async with reading(url, _PATIENCE) as ledger:
            acquainted = await ledger.get_fact("acquainted") if await ledger.exists() else None
        inspection = await drift.inspect(url, role, acquainted)
    except _NO_LOOK:
        return status
    if inspection.revision != revision:
        return status
    return advised(Status.model_validate(status | {
        "drift": inspection.findings,
        "driftCheckedAt": at,
        "driftCheckedBy": QUESTION,
        "unread": [name for name in status["unread"] if name != "drift"],
    }))  # fmt: skip

"""The older service's own migration history: which of its migrations its database has.

One state of that service is carried over: the one that the first revision builds. Another state
differs from it on purpose, and SQL that "mends" it would drop what the older service needs.
"""

from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from app.releases.identity import OLDER_SERVICE_TABLE
from app.releases.ledger.ledger import Ledger
from app.releases.schema.comparison.finding import Finding

CARRIED: Final = 7
"""How many of its migrations make the state that is carried over."""
FACT: Final = "older history"
"""The fact under which the ledger keeps how far it was at adoption: {applied, newest}."""

_NEEDED: Final = ["migration_name", "finished_at", "rolled_back_at"]
_READABLE: Final = f"""SELECT count(*) = 3 FROM pg_attribute
  WHERE attrelid = to_regclass('public.{OLDER_SERVICE_TABLE}') AND attname = ANY($1) AND attnum > 0
    AND NOT attisdropped AND has_table_privilege(attrelid, 'SELECT')"""
# One that was rolled back does not count; it may stand there again, finished by a later try.
_STATES: Final = f"""SELECT migration_name::text AS name,
    bool_or(finished_at IS NOT NULL) AS applied
  FROM public.{OLDER_SERVICE_TABLE} WHERE rolled_back_at IS NULL GROUP BY 1 ORDER BY 1"""


@dataclass(frozen=True)
class OlderHistory:
    """How many of its migrations are applied, the newest, and those that never finished."""

    applied: int
    newest: str | None
    unfinished: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"applied": self.applied, "newest": self.newest}

    def other_state(self) -> str | None:
        """Return words where its state is another than the one that is carried over, else None."""
        if self.unfinished:
            return (
                f"The older service's migration {self.unfinished[-1]} was begun and never "
                "finished, so that its database is between two states: finish it or roll it back "
                "with that service's own tool, then adopt again."
            )
        if self.applied > CARRIED:
            return (
                f"The older service has come further than the state that this version carries "
                f"over: it has applied {self.applied} of its own migrations, "
                f"{self.applied - CARRIED} more than {CARRIED}, the newest {self.newest}; nothing "
                "is wrong with it and nothing was changed: ask for a version of Signalbook that "
                "starts from there, and leave this database as it is."
            )
        if self.applied < CARRIED:
            newest = f", the newest {self.newest}" if self.newest else ""
            return (
                f"The older service is not yet in the state that this version carries over: it has "
                f"applied {self.applied} of its own migrations{newest}, and {CARRIED} make that "
                "state; nothing was changed: bring the older service up to date with its own tool, "
                "then adopt again."
            )
        return None


def without_history(findings: list[Finding]) -> str | None:
    """Return words where a mend would drop columns that may belong to a newer state."""
    more = sorted({f"{f.table}.{f.object}" for f in findings if f.kind == "column_extra"})
    if not more:
        return None
    return (
        f"The database holds more than the state that is carried over ({', '.join(more[:5])}"
        f"{' …' if len(more) > 5 else ''}), and the older service's own history "
        f"({OLDER_SERVICE_TABLE}) cannot be read, so nothing tells a newer state of that service "
        "from changes by hand; nothing was changed: let this role read that table, or compare the "
        "database with one of that service's, before anything is taken away."
    )


async def older_history(connection: asyncpg.Connection) -> OlderHistory | None:
    """Return how far the older service has come, None where that cannot be read."""
    if not await connection.fetchval(_READABLE, _NEEDED):
        return None
    rows = await connection.fetch(_STATES)
    applied = [row["name"] for row in rows if row["applied"]]
    return OlderHistory(
        applied=len(applied),
        newest=max(applied, default=None),
        unfinished=tuple(row["name"] for row in rows if not row["applied"]),
    )


async def explain_drift(ledger: Ledger) -> str | None:
    """Return words if the older service has migrated its database since its adoption."""
    at_adoption, now = await ledger.get_fact(FACT), await older_history(ledger.connection)
    if at_adoption is None or now is None:
        return None
    if at_adoption == now.as_json() and not now.unfinished:
        return None
    count = now.applied - at_adoption["applied"]
    how = f"{count} more of its own migrations" if count > 0 else "other migrations of its own"
    unfinished = f" ({now.unfinished[-1]} never finished)" if now.unfinished else ""
    return (
        f"The older service has applied {how} since its database was adopted, the newest "
        f"{now.newest or 'none'}{unfinished}: what differs is its work and no damage, so run no "
        "SQL that takes it away. Stop its deploys, and write what it changed as a new revision, or "
        "take it back with its own tool."
    )

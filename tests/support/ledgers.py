"""The gate's memory as tests fill it: a ledger, plans, and what a run would have left there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from app.releases.connection.open_connection import open_connection
from app.releases.ledger.ledger import Ledger
from app.releases.migrations import revisions
from app.releases.plan.plan import Plan, Statement
from app.releases.schema.introspection.introspect import read_snapshot

NOON: Final = datetime(2027, 3, 1, 12, tzinfo=UTC)
# Where a database is for which the plan below is the next release.
BEFORE: Final = revisions.history()[-2].name


class Hands:
    """A clock that tests set."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **time: float) -> None:
        self.now += timedelta(**time)


@asynccontextmanager
async def opened(url: str, word: str = "release") -> AsyncIterator[Ledger]:
    """Lend a ledger with its tables, and a run begun."""
    async with open_connection(url) as connection:
        ledger = Ledger(connection)
        await ledger.prepare()
        await ledger.begin(word, "anna", None, None)
        yield ledger


def plan(number: int = 1, **changes: Any) -> Plan:
    """Return a plan; each number gives another digest."""
    statement = Statement(
        revision="0099_x", step=1, way="brief", sql=f"ALTER TABLE cameras ADD COLUMN x{number} int",
        tables=("cameras",), lock="ACCESS EXCLUSIVE",
    )  # fmt: skip
    given: dict[str, Any] = {
        "before": BEFORE, "revisions": ("0099_x",), "phase": "expand",
        "table": "cameras", "statements": (statement,), "fingerprint": "f" * 64,
    }  # fmt: skip
    return Plan(**given | changes)


def destroying() -> Plan:
    """Return a plan that takes a column away."""
    statement = Statement(
        revision="0099_x", step=1, way="brief", sql="ALTER TABLE cameras DROP COLUMN note",
        tables=("cameras",), lock="ACCESS EXCLUSIVE", destroys=True,
    )  # fmt: skip
    return plan(phase="contract", statements=(statement,))


async def proposed(ledger: Ledger, made: Plan, *, passed: bool | None = True) -> int | None:
    """Propose a plan and rehearse it, unless ``passed`` is None; give the rehearsal's number."""
    await ledger.propose(made, "0" * 64)
    if passed is None:
        return None
    findings = [] if passed else ["3 rows of cameras are gone"]
    return await ledger.rehearsed(made.digest, passed=passed, evidence={"findings": findings})


async def expecting(ledger: Ledger, url: str) -> None:
    """Note the live schema as what is expected of it, as the gate does after it has compared."""
    async with open_connection(url) as connection:
        live = await read_snapshot(connection)
    mine = {name: t for name, t in live.tables.items() if not name.startswith("release_")}
    told = live.as_json() | {"tables": {name: live.as_json()["tables"][name] for name in mine}}
    await ledger.set_fact("expected", {"revision": revisions.head(), "snapshot": told})

"""The release gate as tests run it: in this process, on short patience, and heard."""

import asyncio
from types import ModuleType
from typing import Any, Final

import asyncpg

from app.all_statements import required_statements
from app.releases.connection.open_connection import open_connection
from app.releases.gate.gate import ADOPT, STAGES, gate
from app.releases.gate.run import Ended, Order
from app.releases.ledger.decisions import decide
from app.releases.migrations import revisions
from app.releases.migrations.alembic_runner import upgrade
from app.releases.output import GateOutput
from tests import foreign_tables, legacy
from tests.support.databases import execute
from tests.support.remembered import remembered

OLDER: Final = revisions.history()[0].name


class Heard(GateOutput):
    """Keeps what the gate said."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.stages: dict[str, str] = {}
        self.steps: list[tuple[str, int, int]] = []

    def say(self, line: str) -> None:
        self.lines.append(line)

    def stage(self, name: str) -> None:
        self.stages[name] = "running"

    def stage_over(self, name: str, outcome: str, words: str, seconds: float) -> None:
        self.stages[name] = outcome

    def progress(self, what: str, done: int, total: int, rate: float, left: float | None) -> None:
        self.steps.append((what, done, total))


def order(url: str, **changes: Any) -> Order:
    """Return an order with little patience and, unless asked for, a soak that is over at once."""
    given: dict[str, Any] = {
        "url": url, "service_url": url, "soak_seconds": 0.0,
        "connect_patience": 20.0, "patience": 120.0, "wall_clock": 300.0,
    }  # fmt: skip
    return Order(**(given | changes))


async def ran(
    url: str, stages: tuple[ModuleType, ...] = STAGES, heard: Heard | None = None, **changes: Any
) -> Ended:
    """Run the gate on a database."""
    with remembered():
        return await gate(order(url, **changes), required_statements(), heard or Heard(), stages)


async def adopted(url: str) -> Ended:
    """Adopt an older database."""
    return await ran(url, ADOPT, word="adopt", who="anna", why="carry it over")


async def approved(url: str, ended: Ended, **changes: Any) -> dict[str, Any]:
    """Approve what a run waits for."""
    assert ended.digest is not None, ended
    asked = {"who": "anna", "why": "rehearsed and read", "destroys": None} | changes
    async with open_connection(url) as connection:
        return await decide(connection, ended.digest, "approve", **asked)


async def stepped(url: str, **changes: Any) -> Ended:
    """Take the next release as an operator does: rehearse, approve, apply."""
    waiting = await ran(url, **changes)
    assert waiting.verdict.name == "AWAITING_APPROVAL", waiting
    await approved(url, waiting)
    return await ran(url, **changes)


def older_database(url: str, share: float = 0.02) -> None:
    """Make an empty database an older service's, as it left it, adopted."""

    async def fill() -> None:
        await upgrade(url, OLDER, say=legacy.quiet)
        async with legacy.connected(url) as connection:
            await legacy.populate(connection, share)
            await foreign_tables.add(connection)
        await execute(url, "DROP TABLE alembic_version")
        ended = await adopted(url)
        assert ended.verdict.name == "DONE", ended

    asyncio.run(fill())


async def rows(url: str, sql: str, *values: object) -> list[asyncpg.Record]:
    """Return a query's rows."""
    async with open_connection(url) as connection:
        return await connection.fetch(sql, *values)

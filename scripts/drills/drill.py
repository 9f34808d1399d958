"""A small team's way: all commands to the first deploy at once, then four for the contracts."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import asyncpg
import httpx

from app.releases.migrations.alembic_runner import current
from app.releases.migrations.revisions import head, needed
from scripts.adoption_drill import older_database
from scripts.adoption_drill.contents import contents, orphans
from scripts.adoption_drill.older import OlderWriter
from scripts.adoption_drill.older_database import Sizes
from scripts.adoption_drill.serving import served
from scripts.adoption_drill.timings import Board, Timings
from scripts.drills.commands import DrillFailed, Operator, Start
from tests import foreign_tables, legacy
from tests.legacy import connected

SHOWS: Final = 5
TO_THE_DEPLOY: Final = 8
FOR_THE_CONTRACTS: Final = 4
_WHO: Final = ("--who", "anna", "--why", "five shows move over")
_APPROVE: Final = re.compile(
    r"release approve ([0-9a-f]+) --who NAME --why REASON(?: --destroys ([\w,]+))?"
)


@dataclass
class Outcome:
    """The result; any fault makes the drill a failure."""

    faults: list[str] = field(default_factory=list)
    to_the_deploy: int = 0
    for_the_contracts: int = 0
    older_operations: int = 0


async def drill(
    url: str, say: Callable[[str], None], *, killing: bool = False, python: Start | None = None
) -> Outcome:
    """Make an older database of an empty one and carry it to head. Faults are in the outcome.

    ``python`` starts the commands otherwise than as new processes.
    Raise DrillFailed if a command ends with another exit code than expected.
    """
    async with connected(url) as connection:
        say(f"Making an older service's database of {SHOWS} shows …")
        sizes = Sizes(cameras=60, sources=60, events=300, shows=SHOWS)
        await older_database.make(url, connection, sizes, lambda _: None)
        return await _Drill(url, connection, Operator(url, say, killing, python)).through()


class _Drill:
    def __init__(self, url: str, connection: asyncpg.Connection, operator: Operator) -> None:
        self._url, self._connection, self._operator = url, connection, operator
        self._say, self._outcome = operator.say, Outcome()

    async def through(self) -> Outcome:
        columns = await legacy.columns(self._connection)
        before = await contents(self._connection, columns)
        theirs = await foreign_tables.contents(self._connection)
        async with self._older_service():
            await self._carry_over()
            await self._deploy()
        await self._contracts()
        if await contents(self._connection, columns) != before:
            self._outcome.faults.append("Rows that nobody touched are not as they were.")
        if await foreign_tables.contents(self._connection) != theirs:
            self._outcome.faults.append("Rows of tables that are not ours have changed.")
        self._outcome.faults += (await orphans(self._connection))[1]
        return self._outcome

    async def _carry_over(self) -> None:
        await self._operator.release("adopt", *_WHO, killed_at="Comparing")
        output = await self._operator.release("rehearse", "--whole", killed_at="✓ plan ")
        await self._approve(output)
        await self._operator.release(killed_at="is done and looked at")
        await self._operator.release("status")
        await self._raise_unless_at(needed())

    async def _deploy(self) -> None:
        self._operator.type("python -m app serve")
        async with served(self._url) as origin, httpx.AsyncClient(base_url=origin) as client:
            health = await client.get("/health")
            shows = (await client.get("/api/productions")).raise_for_status().json()
        self._say(f"    /health: {health.json()['status']}; {len(shows)} shows are served")
        if health.status_code != 200:
            raise DrillFailed(f"The service is not healthy: {health.text}")
        self._outcome.to_the_deploy = self._operator.count

    async def _contracts(self) -> None:
        with TemporaryDirectory() as folder:
            await self._operator.backup(str(Path(folder) / "before-contracts.dump"))
        output = await self._operator.release("rehearse", "--whole", killed_at="✓ plan ")
        await self._approve(output)
        await self._operator.release(killed_at="is done and looked at")
        await self._raise_unless_at(head())
        self._outcome.for_the_contracts = self._operator.count - self._outcome.to_the_deploy

    async def _approve(self, output: str) -> None:
        match = _APPROVE.search(" ".join(output.split()))
        if match is None:
            raise DrillFailed(f"The rehearsal names no approval: {output}")
        destroys = ("--destroys", match[2]) if match[2] else ()
        await self._operator.release("approve", match[1], *_WHO, *destroys)

    async def _raise_unless_at(self, revision: str) -> None:
        if (at := await current(self._url)) != revision:
            raise DrillFailed(f"The database is at {at}, not at {revision}.")

    @asynccontextmanager
    async def _older_service(self) -> AsyncIterator[None]:
        """Let the older service write meanwhile, then check every write it had acknowledged."""
        timings, stop = Timings(lambda: "the drill"), asyncio.Event()
        named = f"{self._url}{'&' if '?' in self._url else '?'}application_name=older-service"
        older = OlderWriter(1, named, timings, Board(), SHOWS)
        writing = asyncio.create_task(older.run(stop, 0.02))
        try:
            yield
        finally:
            stop.set()
            await asyncio.wait({writing})
        self._outcome.older_operations = timings.total
        self._outcome.faults += timings.failures
        self._outcome.faults += await older.journal.faults(self._connection)
        self._say(
            f"\nThe older service is stopped: {timings.total} operations, "
            f"{len(timings.failures)} failed."
        )

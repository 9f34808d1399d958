"""The whole drill: an older database adopted and carried to head while both services write."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg

from app.releases.migrations.alembic_runner import current
from app.releases.migrations.revisions import head, needed, next_release
from scripts.adoption_drill import older_database
from scripts.adoption_drill.contents import Contents, contents, orphans
from scripts.adoption_drill.gate import Gate
from scripts.adoption_drill.older import OlderWriter
from scripts.adoption_drill.older_database import Sizes
from scripts.adoption_drill.ours import OurWriter
from scripts.adoption_drill.report import applied, too_slow
from scripts.adoption_drill.serving import served
from scripts.adoption_drill.timings import Board, Failed, Slow, Timings
from tests import foreign_tables, legacy
from tests.legacy import Columns, connected
from tests.support.as_gate import upgrade_as_gate
from tests.support.bodies import SCOPED

_SIDES: Final = ("older reads ours", "ours reads older")
_CROSS_READ_SECONDS: Final = 30


@dataclass(frozen=True, kw_only=True)
class Options:
    """How large a run is; ``pause`` between a writer's steps and ``together`` are in seconds.

    ``together`` is how long both services write once all keys are switched, before the older one
    is retired. ``gated`` names the releases that go through the gate, each by its last revision;
    None means all. For the others the database is migrated without the gate, to save time.
    """

    sizes: Sizes = field(default_factory=Sizes)
    older: int = 4
    ours: int = 4
    pause: float = 0.02
    together: float = 20.0
    gated: frozenset[str] | None = None


@dataclass
class Result:
    """The result; any fault makes it a failure."""

    faults: list[str] = field(default_factory=list)
    statements: list[dict[str, Any]] = field(default_factory=list)
    slowest: list[Slow] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def worst_stall(self) -> float:
        """The longest that anyone waited for a statement of the gate, in seconds."""
        return max((statement["stall"] for statement in self.statements), default=0.0)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "passed": not self.faults,
            "faults": self.faults,
            "worstStall": self.worst_stall,
            **self.facts,
            "slowest": [slow._asdict() for slow in self.slowest],
            "statements": self.statements,
        }


async def carry(
    url: str, options: Options, say: Callable[[str], None], gate: Gate | None = None
) -> Result:
    """Make an older database of an empty one and carry it to head. Faults are in the result.

    Raise GateStopped, NotServing, and the errors of a database that does not answer.
    """
    async with connected(url) as connection:
        run = _Run(gate or Gate(url, say), connection, options)
        say("Making the older database …")
        await older_database.make(url, connection, options.sizes, say)
        return await run.through()


class _Run:
    def __init__(self, gate: Gate, connection: asyncpg.Connection, options: Options) -> None:
        self._gate, self._url, self._say = gate, gate.url, gate.say
        self._connection, self._options = connection, options
        self._timings, self._board = Timings(lambda: self._gate.now), Board()
        self._result = Result()
        self._older: list[OlderWriter] = []
        self._ours: list[OurWriter] = []

    async def through(self) -> Result:
        began = time.monotonic()
        columns = await legacy.columns(self._connection)
        before = await contents(self._connection, columns)
        theirs = await foreign_tables.contents(self._connection)
        catalogue = await foreign_tables.catalogue(self._connection)
        self._say(f"{sum(count for count, _ in before.values()):,} rows; the drill begins.")
        async with self._older_writers():
            await self._until(needed(), adopt=True)
            if await foreign_tables.catalogue(self._connection) != catalogue:
                self._say("The catalogue of tables that are not ours has changed (moved keys).")
            service = AsyncExitStack()
            async with service:
                origin = await service.enter_async_context(served(self._url))
                await service.enter_async_context(self._our_writers(origin))
                self._gate.now = "both services write, no release"
                await self._together()
                await self._retire()
                await self._until(head())
                await self._stop_ours()
                await self._verify(columns, before, theirs)
        self._sum_up(time.monotonic() - began)
        self._result.statements = await applied(self._connection)
        self._result.faults += too_slow(self._result.statements)
        return self._result

    # ---- the writers

    @asynccontextmanager
    async def _older_writers(self) -> AsyncIterator[None]:
        shows = self._options.sizes.productions
        self._older = [
            OlderWriter(number, self._url, self._timings, self._board, shows)
            for number in range(1, self._options.older + 1)
        ]
        self._older_stop = asyncio.Event()
        self._older_tasks = self._start(self._older, self._older_stop)
        try:
            yield
        finally:
            await _stop(self._older_stop, self._older_tasks)

    @asynccontextmanager
    async def _our_writers(self, origin: str) -> AsyncIterator[None]:
        self._ours = [
            OurWriter(number, origin, self._timings, self._board)
            for number in range(1, self._options.ours + 1)
        ]
        self._ours_stop = asyncio.Event()
        self._ours_tasks = self._start(self._ours, self._ours_stop)
        try:
            yield
        finally:
            await _stop(self._ours_stop, self._ours_tasks)

    def _start(
        self, writers: list[OlderWriter] | list[OurWriter], stop: asyncio.Event
    ) -> list[asyncio.Task[None]]:
        self._say(f"{len(writers)} writers begin: {', '.join(writer.who for writer in writers)}.")
        return [
            asyncio.create_task(writer.run(stop, self._options.pause), name=writer.who)
            for writer in writers
        ]

    async def _together(self) -> None:
        """Let both services write until each has read what the other wrote, or a time limit."""
        await asyncio.sleep(self._options.together)
        for _ in range(_CROSS_READ_SECONDS * 10):
            if len(self._board.read) == len(_SIDES) or self._timings.failures:
                return
            await asyncio.sleep(0.1)

    async def _retire(self) -> None:
        """Stop the older service, and check that every write it had acknowledged is there."""
        self._gate.now = "retiring the older service"
        faults = await _stop(self._older_stop, self._older_tasks)
        self._result.faults += faults
        for side in _SIDES:
            if not self._board.read[side]:
                self._result.faults.append(f"{side.capitalize()}: never happened.")
        for who in list(self._board.of("older")):
            del self._board.last[who]  # nobody writes it any more, and labels may repeat soon
        await self._compare_journals("when it was retired")
        self._say("The older service is retired; its journals are right.")

    async def _stop_ours(self) -> None:
        self._gate.now = "all done"
        self._result.faults += await _stop(self._ours_stop, self._ours_tasks)

    # ---- the releases

    async def _until(self, goal: str, *, adopt: bool = False) -> None:
        if adopt:
            await self._gate.adopt()
        reached = ""
        while reached != goal:
            reached, before = await self._step(), reached
            self._say(f"At {reached}; {self._timings.total:,} operations so far.")
            self._raise_if_stuck(reached, before)

    async def _step(self) -> str:
        """Take the next release, through the gate unless ``gated`` leaves it out."""
        revisions = next_release(await current(self._url), everything=False)
        if self._options.gated is None or revisions[-1] in self._options.gated:
            self._gate.now = f"the release of {revisions[-1]}"
            return await self._gate.step()
        self._gate.now = f"{revisions[-1]}, without the gate"
        await upgrade_as_gate(self._url, revisions[-1])
        return revisions[-1]

    def _raise_if_stuck(self, reached: str, before: str) -> None:
        if reached == before:
            raise RuntimeError(f"The gate stays at {reached}: it took no step.")

    # ---- the verification

    async def _verify(self, columns: Columns, before: Contents, theirs: Contents) -> None:
        self._say("Comparing everything with what it was …")
        faults = self._result.faults
        after = await contents(self._connection, columns)
        faults += [
            f"{table}: {before[table][0]:,} untouched rows became {after[table][0]:,}, or others"
            for table in before
            if before[table] != after[table]
        ]
        if await foreign_tables.contents(self._connection) != theirs:
            faults.append("Rows of tables that are not ours have changed.")
        keys, broken = await orphans(self._connection)
        self._result.facts["foreignKeys"] = keys
        faults += broken
        await self._compare_journals("at head")
        for writer in self._ours:
            faults += await writer.faults()
            faults += await self._count_rows(writer)

    async def _compare_journals(self, when: str) -> None:
        for writer in self._older:
            faults = await writer.journal.faults(self._connection)
            self._result.faults += [f"{writer.who}, {when}: {fault}" for fault in faults]

    async def _count_rows(self, writer: OurWriter) -> list[str]:
        """Compare how many rows the service created with how many there are."""
        faults = []
        for collection, table in _TABLES.items():
            created = sum(1 for where, _ in writer.rows.values() if where == collection)
            there = await self._connection.fetchval(
                f"SELECT count(*) FROM {table} WHERE production_uuid = $1",
                writer.production["uuid"],
            )
            if created != there:
                faults.append(
                    f"{writer.who}: created {created} rows of {table}, and {there} are there"
                )
        return faults

    def _sum_up(self, seconds: float) -> None:
        timings, result = self._timings, self._result
        result.faults += timings.failures
        result.slowest = timings.slowest
        result.facts |= {
            "seconds": round(seconds, 1),
            "gateSeconds": round(self._gate.seconds, 1),
            "rows": self._options.sizes.rows(),
            "operations": dict(sorted(timings.counts.items())),
            "operationsInAll": timings.total,
            "failedOperations": len(timings.failures),
            "acknowledgedByOlder": sum(w.journal.acknowledged for w in self._older),
            "crossReads": dict(self._board.read),
            "contended": self._gate.contended,
            "stageSeconds": {name: round(s, 1) for name, s in self._gate.stages.items()},
        }


_TABLES: Final = {entity.collection: str(entity.__tablename__) for entity in SCOPED}


async def _stop(stop: asyncio.Event, tasks: list[asyncio.Task[None]]) -> list[str]:
    """Stop writers, wait for their last operation, and return the errors that ended them."""
    stop.set()
    if tasks:
        await asyncio.wait(tasks)
    faults = [
        f"{task.get_name()} stopped: {type(error).__name__}: {error}"
        for task in tasks
        if not task.cancelled() and (error := task.exception()) and not isinstance(error, Failed)
    ]
    tasks.clear()
    return faults

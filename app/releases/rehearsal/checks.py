"""The checks of one rehearsal, on its copy."""

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

import asyncpg

from app.releases.connection.server_faults import raise_if_server_fault
from app.releases.migrations import alembic_runner, revisions
from app.releases.migrations.phased_change import PointOfNoReturn
from app.releases.plan.plan import Plan
from app.releases.rehearsal import contents, probes
from app.releases.rehearsal.contents import Columns, Contents
from app.releases.rehearsal.copies import Copy, Progress, Say
from app.releases.rehearsal.probes import Failures, Probe
from app.releases.rehearsal.statement_recorder import StatementRecorder, StepRecord, lock_name
from app.releases.schema.comparison.compare_snapshots import compare
from app.releases.schema.introspection.introspect import read_snapshot as whole
from app.releases.schema.snapshot import Snapshot
from app.releases.verdict import MigrationError

# A table of this size takes about a tenth of a second to be written anew.
LARGE: Final = 10_000_000  # bytes

_SIZES: Final = """SELECT quote_ident(relname) AS name, pg_table_size(oid) AS size FROM pg_class
  WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'm')"""

# What a copy has otherwise than the live database: nobody carries it over.
_NOT_CARRIED: Final = (
    "owner", "owner_privilege", "privilege", "system_privilege", "public_grant", "setting",
    "search_path", "shadow", "storage_parameter", "tablespace", "subscription",
)  # fmt: skip

Statements = Mapping[str, Sequence[str]]
# Given the schema before the release, the probes of other programs, by the program's name.
OtherClients = Callable[[Snapshot], Awaitable[Mapping[str, Probe]]]


class ClientTrial(Protocol):
    """What the product's own clients do, tried on the migrated copy.

    ``findings`` say what went wrong, ``errors`` are behind them; ``as_json`` has steps and times.
    """

    @property
    def findings(self) -> list[str]: ...
    @property
    def errors(self) -> list[Exception]: ...
    def as_json(self) -> dict[str, Any]: ...
    async def look_before(self, url: str) -> None: ...
    async def run(self, url: str) -> None: ...


class RehearsalChecks:
    """The checks of one rehearsal: the state before it, and the findings since.

    ``_same`` are the columns that a release and its way back leave as they were, ``_shared`` those
    of them that are still there after it; each with what they held before.
    """

    _before: Snapshot
    _after: Snapshot
    _all: Columns
    _shared: tuple[Columns, Contents]
    _same: tuple[Columns, Contents]
    _sizes: Mapping[str, int]
    _failed: Mapping[str, Failures]

    def __init__(
        self, connection: asyncpg.Connection, copy: Copy, plan: Plan, should: Snapshot, say: Say,
        progress: Progress,
    ) -> None:  # fmt: skip
        self.findings: list[str] = []
        self.evidence: dict[str, Any] = {"copy": copy.as_json(), "contents": {}}
        self.url, self._plan, self._should = copy.url, plan, should
        self._connection = connection
        self._say, self._progress = say, progress
        self._others: Mapping[str, Probe] = {}
        self._previous: Statements = {}

    async def look_before(
        self, previous: Statements, clean: Snapshot | None, others: OtherClients | None
    ) -> None:
        """Store the schema, the tables' contents, and which statements fail already.

        ``clean`` is what should be there where the copy is of a release that was begun and not
        finished. ``others`` makes the probes of other programs that use the database.
        """
        self._say("Looking at the copy as it is now.")
        self._previous = previous
        there = await self._snapshot()
        self._before = _without_work(there, clean, self._should) if clean else there
        self._all = {name: list(table.columns) for name, table in self._before.tables.items()}
        self._sizes = {r["name"]: r["size"] for r in await self._connection.fetch(_SIZES)}
        await self._hold_contents()
        if others and not self._plan.is_final:
            self._others = await others(self._before)
        self._failed = await self._probe(self._all)
        self.evidence["failed_before"] = [
            f"{whose}: {what} on {table}: {error}"
            for whose, failed in self._failed.items()
            for (table, what), error in failed.items()
        ]

    async def apply(self, stall_budget: float) -> bool:
        """Apply the revisions one by one; return whether all of them succeeded."""
        recorder = StatementRecorder(self._progress)
        try:
            for revision in self._plan.revisions:
                self._say(f"Rehearsing {revision}.")
                async with recorder.revision(self._connection, revision):
                    await alembic_runner.upgrade(self.url, revision, self._say, recorder)
        except Exception as failed:  # noqa: BLE001  # whatever a revision raises is a finding
            raise_if_server_fault(failed)
            self.findings.append(f"{revision} fails on the copy: {_error_words(failed)}")
            return False
        finally:
            self.evidence["statements"] = [step.as_json() for step in recorder.recorded]
            for step in recorder.recorded:
                self.findings += self._too_heavy(step, stall_budget)
        return True

    async def compare_schema(self) -> Snapshot:
        """Compare the copy with what the revisions build, and return its schema."""
        self._after = await self._snapshot()
        # Settings of a role hold in every database, and are the live one's to tell.
        there = replace(self._after.beside(self._should), replication={})
        for finding in compare(self._should, there, there.others):
            self.findings.append(f"After {self._plan.target}: {finding.words}")
        return self._after

    async def try_statements(self, own: Statements) -> None:
        """Try the statements of every version that uses the database before, during or after it."""
        self._say("Trying the statements of the versions that serve meanwhile.")
        # What was prepared before may have other columns by now.
        await self._connection.reload_schema_state()
        final = self._plan.is_final
        columns = contents.standing(self._all, self._after) if final else self._all
        after = await self._probe(columns)
        after["A write of the previous version"] = await probes.narrowed(
            self._connection, self._before, self._after
        )
        if _serves(self._plan.target):
            after["This image's own statements"] = await probes.prepared(self._connection, own)
        for whose, failed in after.items():
            before = self._failed.get(whose, {})
            self.findings += [
                f"After {self._plan.target}, on table {table}: {what} fails ({whose}): {error}"
                for (table, what), error in failed.items()
                if (table, what) not in before
            ]

    async def try_sync(self, trip: ClientTrial) -> None:
        """Make a sync round trip as this image's clients do, if it serves there."""
        if not _serves(self._plan.target):
            return
        self._say("Trying a sync round trip: offline work, a conflict, the feed.")
        await trip.run(self.url)
        for error in trip.errors:
            raise_if_server_fault(error)
        self.evidence["sync_round_trip"] = trip.as_json()
        for words in trip.findings:
            self.findings.append(f"After {self._plan.target}, a sync round trip fails: {words}")

    async def compare_contents(
        self, words: str, when: str = "after", schema: Snapshot | None = None
    ) -> None:
        """Compare what the tables hold, by the schema as it is now, with what they held."""
        columns, before = self._shared if when == "after" else self._same
        now = (schema or await self._snapshot()).tables
        there = {
            table: names
            for table, names in columns.items()
            if table in now and now[table].columns.keys() >= set(names)
        }
        after = await contents.read_contents(self._connection, there)
        self.evidence["contents"][when] = contents.as_json(after)
        for table in columns.keys() - now.keys():
            if not any(s.destroys and table in s.tables for s in self._plan.statements):
                self.findings.append(f"{words}, table {table} is gone with all its rows.")
        for table, difference in contents.describe_changes(before, after).items():
            self.findings.append(f"{words}, table {table} {difference}.")

    async def go_back(self) -> None:
        """Downgrade, and compare with what was before."""
        plan, to = self._plan, self._plan.before or "base"
        self._say(f"Rehearsing the way back to {to}.")
        began = time.monotonic()
        try:
            await alembic_runner.downgrade(self.url, to, self._say)
        except PointOfNoReturn as no_return:
            self.evidence["downgrade"] = "no way back"
            if not plan.is_final:
                self.findings.append(
                    f"{plan.target} has no way back, and is no contract: {no_return}"
                )
            return
        except Exception as failed:  # noqa: BLE001  # whatever a revision raises is a finding
            raise_if_server_fault(failed)
            self.findings.append(f"The way back from {plan.target} fails: {_error_words(failed)}")
            return
        self.evidence["downgrade"] = {"seconds": round(time.monotonic() - began, 3)}
        back, words = await self._snapshot(), f"After the way back from {plan.target} to {to}"
        self.findings += [f"{words}: {finding.words}" for finding in compare(self._before, back)]
        leftovers = _leftovers(self._before, back)
        self.findings += [f"{words}: {leftover} is left behind." for leftover in leftovers]
        await self.compare_contents(words, "back", back)

    async def _snapshot(self) -> Snapshot:
        return await read_copy_snapshot(self._connection)

    async def _probe(self, columns: Columns) -> dict[str, Failures]:
        return {
            "the previous version's columns": await probes.every_table(
                self._connection, self._before, columns
            ),
            **{whose: await probe(self._connection) for whose, probe in self._others.items()},
            "a statement of the image that serves now": await probes.prepared(
                self._connection, self._previous
            ),
        }

    def _too_heavy(self, step: StepRecord, stall_budget: float) -> Iterator[str]:
        """Yield words where a step makes others wait too long, or would on the live database."""
        for table in step.rewrote:
            if (size := self._sizes.get(table, 0)) > LARGE:
                yield (
                    f"{step.revision} writes table {table} ({size / 1e6:.0f} MB) anew under "
                    f"ACCESS EXCLUSIVE, and nobody can read it meanwhile: {step.sql}"
                )
        for table, seconds in step.seconds_held.items():
            if table in self._before.tables and seconds > stall_budget:
                yield (
                    f"{step.revision} holds {lock_name(step.locks[table])} on table {table} for "
                    f"{seconds:.2f} s, and others may wait {stall_budget} s at most: {step.sql}"
                )

    async def _hold_contents(self) -> None:
        """Store what the tables hold, each set of columns once."""
        same = contents.lasting(self._all, self._before, contents.changed_on_purpose(self._plan))
        shared = contents.lasting(same, self._should, {})
        values = await contents.read_contents(self._connection, same)
        fewer = {table: names for table, names in shared.items() if names != same[table]}
        self._same = same, values
        self._shared = shared, values | await contents.read_contents(self._connection, fewer)
        self.evidence["contents"]["before"] = contents.as_json(values)


async def read_copy_snapshot(connection: asyncpg.Connection) -> Snapshot:
    """Read the copy's schema, without what a copy never has as the live database."""
    return (await whole(connection)).without(*_NOT_CARRIED)


def _serves(revision: str) -> bool:
    """Return whether this image serves at the revision."""
    return revisions.state(revision) in {"ready", "head"}


def _leftovers(before: Snapshot, back: Snapshot) -> Iterator[str]:
    """Yield what a downgrade should have dropped and ``compare`` does not report."""
    yield from (f"function {name}" for name in back.functions if name not in before.functions)
    yield from (f"enum {name}" for name in back.enums if name not in before.enums)
    yield from (f"view {name}" for name in back.views if name not in before.views)


def _error_words(failed: Exception) -> str:
    words = str(failed) or "it gives no reason"
    return words if isinstance(failed, MigrationError) else f"{type(failed).__name__}: {words}"


def _without_work(there: Snapshot, clean: Snapshot, should: Snapshot) -> Snapshot:
    """Return what was there before a release was begun: our tables as they should be."""
    unfinished = should.functions.keys() - clean.functions.keys()
    return replace(
        there,
        tables={**there.tables, **clean.tables},
        functions={name: f for name, f in there.functions.items() if name not in unfinished},
        traits={
            kind: {n: t for n, t in traits.items() if n not in should.traits.get(kind, {})}
            | dict(clean.traits.get(kind, {}))
            for kind, traits in there.traits.items()
        },
    )

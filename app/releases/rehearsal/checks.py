"""The checks of one rehearsal, on its copy."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import asyncpg

from app.releases.connection.open_connection import open_connection
from app.releases.connection.server_faults import raise_if_server_fault
from app.releases.migrations import alembic_runner, revisions
from app.releases.migrations.phased_change import PointOfNoReturn
from app.releases.plan.plan import Plan
from app.releases.rehearsal import contents, probes
from app.releases.rehearsal.client_trials import ClientTrial, OtherClients, Probe
from app.releases.rehearsal.compared_columns import Columns, changed_on_purpose, lasting, standing
from app.releases.rehearsal.copies import Copy, Progress, Say
from app.releases.rehearsal.probes import Failures
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


class RehearsalChecks:
    """The checks of one rehearsal: the state before it, and the findings since."""

    before: Snapshot
    after: Snapshot
    shared: Columns
    _all: Columns
    _same: Columns

    def __init__(
        self, copy: Copy, plan: Plan, should: Snapshot, say: Say, progress: Progress
    ) -> None:
        self.findings: list[str] = []
        self.evidence: dict[str, Any] = {"copy": copy.as_json(), "contents": {}}
        self.url, self._plan, self._should = copy.url, plan, should
        self._say, self._progress = say, progress
        self._contents: dict[tuple[str, ...], contents.Contents] = {}
        self._sizes: dict[str, int] = {}
        self._others: Mapping[str, Probe] = {}
        self._previous: Statements = {}
        self._failed: dict[str, Failures] = {}

    async def look_before(
        self,
        previous: Statements,
        clean: Snapshot | None = None,
        others: OtherClients | None = None,
    ) -> None:
        """Store the schema, the tables' contents, and which statements fail already.

        ``clean`` is what should be there where the copy is of a release that was begun and not
        finished. ``others`` makes the probes of other programs that use the database.
        """
        self._say("Looking at the copy as it is now.")
        changing = changed_on_purpose(self._plan)
        async with open_connection(self.url) as connection:
            there = await read_copy_snapshot(connection)
            self.before = self.after = _without_work(there, clean, self._should) if clean else there
            self._all = {name: list(table.columns) for name, table in self.before.tables.items()}
            self._same = lasting(self._all, self.before, changing)
            self.shared = lasting(self._same, self._should, {})
            self._sizes = {r["name"]: r["size"] for r in await connection.fetch(_SIZES)}
            for columns in (self.shared, self._same):
                await self._hold(connection, columns)
            if others and self._plan.phase != "contract":
                self._others = await others(self.before)
            self._previous = previous
            self._failed = await self._probe(connection, self._all)
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
                async with recorder.revision(self.url, revision):
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

    async def compare_schema(self) -> None:
        """Compare the copy with what the revisions build."""
        async with open_connection(self.url) as connection:
            self.after = await read_copy_snapshot(connection)
        # Settings of a role hold in every database, and are the live one's to tell.
        there = replace(self.after.beside(self._should), replication={})
        for finding in compare(self._should, there, there.others):
            self.findings.append(f"After {self._plan.target}: {finding.words}")

    async def try_statements(self, own: Statements) -> None:
        """Try the statements of every version that uses the database before, during or after it."""
        self._say("Trying the statements of the versions that serve meanwhile.")
        columns = self._all
        if self._plan.phase == "contract":
            columns = standing(columns, self.after)
        async with open_connection(self.url) as connection:
            after = await self._probe(connection, columns)
            after["A write of the previous version"] = await probes.narrowed(
                connection, self.before, self.after
            )
            if _serves(self._plan.target):
                after["This image's own statements"] = await probes.prepared(connection, own)
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

    async def compare_contents(self, when: str, words: str, columns: Columns) -> None:
        """Compare what the tables hold with what they held."""
        async with open_connection(self.url) as connection:
            now = await read_copy_snapshot(connection)
            lost_tables = columns.keys() - now.tables.keys()
            for table in lost_tables - {
                t for t in lost_tables if _is_dropped_on_purpose(self._plan, t)
            }:
                self.findings.append(f"{words}, table {table} is gone with all its rows.")
            there = {
                table: names
                for table, names in columns.items()
                if table in now.tables and now.tables[table].columns.keys() >= set(names)
            }
            after = await contents.read_contents(connection, there)
        self.evidence["contents"][when] = contents.as_json(after)
        for table, difference in contents.describe_changes(self._before(columns), after).items():
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
            if plan.phase != "contract":
                self.findings.append(
                    f"{plan.target} has no way back, and is no contract: {no_return}"
                )
            return
        except Exception as failed:  # noqa: BLE001  # whatever a revision raises is a finding
            raise_if_server_fault(failed)
            self.findings.append(f"The way back from {plan.target} fails: {_error_words(failed)}")
            return
        self.evidence["downgrade"] = {"seconds": round(time.monotonic() - began, 3)}
        async with open_connection(self.url) as connection:
            back = await read_copy_snapshot(connection)
        words = f"After the way back from {plan.target} to {to}"
        self.findings += [f"{words}: {finding.words}" for finding in compare(self.before, back)]
        leftovers = _leftovers(self.before, back)
        self.findings += [f"{words}: {leftover} is left behind." for leftover in leftovers]
        await self.compare_contents("back", words, self._same)

    async def _probe(self, connection: asyncpg.Connection, columns: Columns) -> dict[str, Failures]:
        return {
            "the previous version's columns": await probes.every_table(
                connection, self.before, columns
            ),
            **{whose: await probe(connection) for whose, probe in self._others.items()},
            "a statement of the image that serves now": await probes.prepared(
                connection, self._previous
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
            if table in self.before.tables and seconds > stall_budget:
                yield (
                    f"{step.revision} holds {lock_name(step.locks[table])} on table {table} for "
                    f"{seconds:.2f} s, and others may wait {stall_budget} s at most: {step.sql}"
                )

    async def _hold(self, connection: asyncpg.Connection, columns: Columns) -> None:
        """Store the contents of tables, each set of columns once."""
        pending = {t: names for t, names in columns.items() if (t, *names) not in self._contents}
        for table, content in (await contents.read_contents(connection, pending)).items():
            self._contents[table, *pending[table]] = {table: content}
        self.evidence["contents"]["before"] = contents.as_json(self._before(columns))

    def _before(self, columns: Columns) -> contents.Contents:
        return {t: self._contents[t, *names][t] for t, names in columns.items()}


async def read_copy_snapshot(connection: asyncpg.Connection) -> Snapshot:
    """Read the copy's schema, without what a copy never has as the live database."""
    return (await whole(connection)).without(*_NOT_CARRIED)


def _is_dropped_on_purpose(plan: Plan, table: str) -> bool:
    return any(step.destroys and table in step.tables for step in plan.statements)


def _serves(revision: str) -> bool:
    """Return whether this image serves at the revision."""
    return revisions.state(revision) in {"ready", "head"}


def _leftovers(before: Snapshot, back: Snapshot) -> Iterator[str]:
    """Yield what a downgrade should have dropped and ``compare`` does not report."""
    kinds: list[tuple[str, Mapping[str, Any], Mapping[str, Any]]] = [
        ("function", before.functions, back.functions),
        ("enum", before.enums, back.enums),
        ("view", before.views, back.views),
    ]
    for kind, was, now in kinds:
        yield from (f"{kind} {name}" for name in now if name not in was)


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

"""The gate's memory: runs, stages, plans, rehearsals, decisions and looks, in its own tables.

Its one connection also holds the gate's lock: while it is open, nobody else runs the gate. Several
tasks may call it at once.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg

from app.releases.ledger import ledger_tables
from app.releases.migrations.migration_session import GATE_LOCK
from app.releases.migrations.revisions import head, needed
from app.releases.plan.plan import Plan, from_json
from app.releases.schema.comparison.finding import Finding
from app.releases.verdict import Verdict

Row = dict[str, Any]

# Who looks at the live schema: the gate's run, a serving app, or whoever asks for the status.
GATE: Final = "gate"
APP: Final = "app"
QUESTION: Final = "question"

_THERE: Final = """SELECT name FROM unnest($1::text[]) AS name
  WHERE to_regclass('public.' || name) IS NOT NULL"""
_STATE: Final = """UPDATE release_plans SET state = $2, changed_at = clock_timestamp()
  WHERE digest = $1"""
_KEEP: Final = """INSERT INTO {} (name, value) VALUES ($1, $2)
  ON CONFLICT (name) DO UPDATE SET value = excluded.value, at = clock_timestamp()"""
_VALUE: Final = "SELECT value FROM {} WHERE name = $1"
_LAST: Final = "SELECT * FROM {} WHERE digest = $1 ORDER BY id DESC LIMIT 1"


class Ledger:
    """Reads and writes the gate's tables on the live database."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection
        self._lock = asyncio.Lock()
        self.run = 0
        self._position = 0

    async def try_lock(self) -> bool:
        """Take the gate's lock; return whether nobody else has it."""
        return bool(await self.fetch_value("SELECT pg_try_advisory_lock($1)", GATE_LOCK))

    async def pid(self) -> int:
        """Return the process id of our connection, which holds the gate's lock."""
        return int(await self.fetch_value("SELECT pg_backend_pid()"))

    async def prepare(self, service_role: str | None = None) -> None:
        """Create missing tables, and grant the service's role what it needs of them."""
        async with self._lock, self.connection.transaction():
            for statement in ledger_tables.TABLES:
                await self.connection.execute(statement)
            for table, column, add in ledger_tables.ADDED:
                if await self.connection.fetchval(ledger_tables.LACKING, table, column):
                    await self.connection.execute(add)
            for statement in ledger_tables.grants(service_role) if service_role else ():
                await self.connection.execute(statement)

    async def exists(self) -> bool:
        """Return whether the gate ever ran on this database, so that its tables are there."""
        return bool(await self.fetch_value("SELECT to_regclass('release_facts') IS NOT NULL"))

    async def are_empty(self, tables: Mapping[str, str]) -> bool:
        """Return whether none of these tables holds a row for which its SQL condition is true.

        Deleted rows count.
        """
        for row in await self.fetch_rows(_THERE, [*tables]):
            rows = f'SELECT FROM public."{row["name"]}" WHERE {tables[row["name"]]}'
            if await self.fetch_value(f"SELECT EXISTS ({rows})"):
                return False
        return True

    async def turned_away(self, word: str, who: str, why: str | None, words: str) -> None:
        """Store a run that did not get the lock, if the ledger's tables are there."""
        if await self.exists():
            await self.execute(
                "INSERT INTO release_runs (word, who, why, head, needed, finished_at, verdict,"
                " exit_code, words) VALUES ($1, $2, $3, $4, $5, clock_timestamp(), $6, $7, $8)",
                word, who, why, head(), needed(), Verdict.CONTENDED.name,
                int(Verdict.CONTENDED), words,
            )  # fmt: skip

    async def begin(self, word: str, who: str, why: str | None, before: str | None) -> int:
        """Open a run; earlier ones that never finished were killed, as we hold the lock."""
        await self.execute(
            "UPDATE release_runs SET finished_at = clock_timestamp(), verdict = 'KILLED',"
            " words = 'The process ended in the middle.' WHERE finished_at IS NULL"
        )
        self.run = await self.fetch_value(
            "INSERT INTO release_runs (word, who, why, head, needed, before)"
            " VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
            word, who, why, head(), needed(), before,
        )  # fmt: skip
        return self.run

    async def end(self, verdict: str, exit_code: int, words: str, after: str | None) -> None:
        """Close the run."""
        await self.execute(
            "UPDATE release_runs SET finished_at = clock_timestamp(), verdict = $2,"
            " exit_code = $3, words = $4, after = $5 WHERE id = $1",
            self.run, verdict, exit_code, words, after,
        )  # fmt: skip

    async def stage_begins(self, stage: str) -> int:
        """Open the run's next stage and return its position."""
        self._position += 1
        await self.execute(
            "INSERT INTO release_stages (run, position, stage) VALUES ($1, $2, $3)",
            self.run, self._position, stage,
        )  # fmt: skip
        return self._position

    async def stage_ends(
        self, position: int, outcome: str, words: str, evidence: Mapping[str, Any]
    ) -> None:
        """Close a stage: "done", "skipped" or "stopped"."""
        await self.execute(
            "UPDATE release_stages SET finished_at = clock_timestamp(), outcome = $3, words = $4,"
            " evidence = $5 WHERE run = $1 AND position = $2",
            self.run, position, outcome, words, encoded(evidence),
        )  # fmt: skip

    async def propose(self, proposed: Plan, offline_hash: str) -> None:
        """Store a plan, and that this run is about it.

        One that was done is pending again when the database was taken back or restored. Its
        earlier approval is then void.
        """
        again = await self.fetch_value(
            "INSERT INTO release_plans (digest, plan, offline_hash) VALUES ($1, $2, $3)"
            " ON CONFLICT (digest) DO UPDATE SET state = 'proposed', changed_at = clock_timestamp()"
            " WHERE release_plans.state <> 'proposed' RETURNING xmax <> 0",
            proposed.digest, encoded(proposed.as_json()), offline_hash,
        )  # fmt: skip
        if again:
            await self.withhold(proposed.digest, "gate", "it was done before and is pending again")
        await self.concerns(proposed.digest)

    async def withhold(self, digest: str, who: str, why: str) -> None:
        """Void the approval of a plan, unless somebody has withheld it already."""
        await self.execute(
            "INSERT INTO release_decisions (digest, decision, who, why)"
            " SELECT $1, 'withheld', $2, $3 WHERE 'approved' = (SELECT decision"
            " FROM release_decisions WHERE digest = $1 ORDER BY id DESC LIMIT 1)",
            digest, who, why,
        )  # fmt: skip

    async def apply_begins(self, digest: str, decision: int | None) -> bool:
        """Move a plan to applying, if ``decision`` is still the last about it."""
        async with self._lock, self.connection.transaction():
            # Decisions take this lock too: one that is made after this comes too late.
            await self.connection.execute(
                "SELECT FROM release_plans WHERE digest = $1 FOR UPDATE", digest
            )
            result = await self.connection.execute(
                f"{_STATE} AND $3 IS NOT DISTINCT FROM"
                " (SELECT max(id) FROM release_decisions WHERE digest = $1)",
                digest, "applying", decision,
            )  # fmt: skip
        return bool(result == "UPDATE 1")

    async def taken_back(self, digest: str, revisions: Sequence[str], words: str) -> None:
        """Store that a release was taken back, in one transaction."""
        async with self._lock, self.connection.transaction():
            await self.connection.execute(_STATE, digest, "rolled back")
            await self.connection.execute(
                "UPDATE release_soaks SET ended_at = clock_timestamp(), ended = $2"
                " WHERE digest = $1",
                digest, words,
            )  # fmt: skip
            await self.connection.execute(
                "DELETE FROM release_revisions WHERE revision = ANY($1::text[])", list(revisions)
            )

    async def revision_applied(self, revision: str, hashed: str) -> None:
        """Store the hash of a revision as it was when it was applied."""
        await self.execute(
            "INSERT INTO release_revisions (revision, hash, run) VALUES ($1, $2, $3)"
            " ON CONFLICT (revision) DO UPDATE SET hash = excluded.hash, run = excluded.run,"
            " applied_at = clock_timestamp()",
            revision, hashed, self.run or None,
        )  # fmt: skip

    async def plan_is(self, digest: str, state: str) -> None:
        """Set the state of a plan: applied, verified, taking back, superseded."""
        await self.execute(_STATE, digest, state)

    async def concerns(self, digest: str) -> None:
        """Store which plan this run is about."""
        await self.execute("UPDATE release_runs SET digest = $2 WHERE id = $1", self.run, digest)

    async def unfinished(self) -> tuple[Plan, str, str] | None:
        """Return the plan that was begun and not verified, its state and its offline hash."""
        row = await self.fetch_row(
            "SELECT plan, state, offline_hash FROM release_plans"
            " WHERE state IN ('applying', 'applied', 'taking back')"
            " ORDER BY changed_at DESC LIMIT 1"
        )
        return (from_json(row["plan"]), row["state"], row["offline_hash"]) if row else None

    async def rehearsed(self, digest: str, *, passed: bool, evidence: Mapping[str, Any]) -> int:
        """Store a rehearsal and return its number."""
        return int(await self.fetch_value(
            "INSERT INTO release_rehearsals (run, digest, passed, evidence)"
            " VALUES ($1, $2, $3, $4) RETURNING id",
            self.run, digest, passed, encoded(evidence),
        ))  # fmt: skip

    async def rehearsal(self, digest: str) -> Row | None:
        """Return the last rehearsal of a plan."""
        return await self.fetch_row(_LAST.format("release_rehearsals"), digest)

    async def decision(self, digest: str) -> Row | None:
        """Return the last decision about a plan."""
        return await self.fetch_row(_LAST.format("release_decisions"), digest)

    async def is_whole_approved(self, before: str | None) -> bool:
        """Return whether a plan of several tables from there is approved and not begun."""
        return bool(await self.fetch_value(
            "SELECT EXISTS (SELECT FROM release_plans p WHERE state = 'proposed'"
            " AND plan ->> 'before' IS NOT DISTINCT FROM $1"
            " AND jsonb_array_length(plan -> 'tables') > 0"
            " AND 'approved' = (SELECT decision FROM release_decisions d"
            " WHERE d.digest = p.digest ORDER BY id DESC LIMIT 1))",
            before,
        ))  # fmt: skip

    async def get_fact(self, name: str) -> Any:
        """Return the fact of this name, None for none."""
        row = await self.fetch_row(_VALUE.format("release_facts"), name)
        return row and row["value"]

    async def set_fact(self, name: str, value: Any) -> None:
        """Store a fact, in place of an earlier one of that name."""
        await self.execute(_KEEP.format("release_facts"), name, encoded(value))

    async def keep_look(
        self, revision: str, findings: Sequence[Finding], at: datetime, by: str = GATE
    ) -> None:
        """Store what a look at the live schema found, and who looked."""
        differences = [finding.as_json() for finding in findings]
        look = {"at": at.isoformat(), "by": by, "revision": revision, "findings": differences}
        await self.execute(_KEEP.format("release_looks"), "drift", encoded(look))

    async def last_look(self) -> dict[str, Any] | None:
        """Return {at, by, revision, findings} of the last look; an older image stored no ``by``."""
        row = await self.fetch_row(_VALUE.format("release_looks"), "drift")
        return row and row["value"]

    async def overridden(self, rule: str, who: str, why: str) -> None:
        """Store the reason for which a rule was overridden."""
        await self.execute(
            "INSERT INTO release_overrides (run, rule, who, why) VALUES ($1, $2, $3, $4)",
            self.run, rule, who, why,
        )  # fmt: skip

    async def execute(self, sql: str, *values: object) -> None:
        """Run one statement."""
        async with self._lock:
            await self.connection.execute(sql, *values)

    async def fetch_value(self, sql: str, *values: object) -> Any:
        """Return one value."""
        async with self._lock:
            return await self.connection.fetchval(sql, *values)

    async def fetch_row(self, sql: str, *values: object) -> Row | None:
        """Return one row, its JSON decoded."""
        return next(iter(await self.fetch_rows(sql, *values)), None)

    async def fetch_rows(self, sql: str, *values: object) -> list[Row]:
        """Return rows, their JSON decoded."""
        async with self._lock:
            rows = await self.connection.fetch(sql, *values)
        return [
            {name: json.loads(v) if name in _JSON_COLUMNS and v else v for name, v in row.items()}
            for row in rows
        ]


_JSON_COLUMNS: Final = frozenset({"plan", "evidence", "value", "blocker"})


def encoded(value: Any) -> str:
    """Return JSON for a jsonb parameter; PostgreSQL's text takes no NUL."""
    return json.dumps(value, default=str).replace("\\u0000", "\\\\u0000")

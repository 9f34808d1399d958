"""The gate's memory: runs, stages, plans, rehearsals, decisions and soaks, in its own tables.

One connection, which also holds the gate's lock: while it lives, nobody else runs the gate. Calls
may come from several tasks at once.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

import asyncpg

from app.releases import ledger_schema, plan
from app.releases.plan import Plan
from app.releases.revisions import head, needed

# Any number that nothing else in the database uses as an advisory lock.
GATE_LOCK: Final = 5_316_947_270_318

Row = dict[str, Any]


class Ledger:
    """Reads and writes the gate's tables on the live database."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._turn = asyncio.Lock()
        self.run = 0
        self._position = 0

    async def try_lock(self) -> bool:
        """Become the only gate, if nobody is."""
        return bool(await self.value("SELECT pg_try_advisory_lock($1)", GATE_LOCK))

    async def prepare(self, service_role: str | None = None) -> None:
        """Make the tables that are missing; let another role of the service at them."""
        async with self._turn, self._connection.transaction():
            for statement in ledger_schema.TABLES:
                await self._connection.execute(statement)
            if service_role:
                for statement in ledger_schema.grants(service_role):
                    await self._connection.execute(statement)

    async def begin(self, word: str, who: str, why: str | None, before: str | None) -> int:
        """Open a run; earlier ones that never finished were killed, since we hold the lock."""
        await self.do(
            "UPDATE release_runs SET finished_at = clock_timestamp(), verdict = 'KILLED',"
            " words = 'The process ended in the middle.' WHERE finished_at IS NULL"
        )
        self.run = await self.value(
            "INSERT INTO release_runs (word, who, why, head, needed, before)"
            " VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
            word, who, why, head(), needed(), before,
        )  # fmt: skip
        return self.run

    async def end(self, verdict: str, exit_code: int, words: str, after: str | None) -> None:
        """Close the run."""
        await self.do(
            "UPDATE release_runs SET finished_at = clock_timestamp(), verdict = $2,"
            " exit_code = $3, words = $4, after = $5 WHERE id = $1",
            self.run, verdict, exit_code, words, after,
        )  # fmt: skip

    async def stage_begins(self, stage: str) -> int:
        """Open the run's next stage and give its position."""
        self._position += 1
        await self.do(
            "INSERT INTO release_stages (run, position, stage) VALUES ($1, $2, $3)",
            self.run, self._position, stage,
        )  # fmt: skip
        return self._position

    async def stage_ends(
        self, position: int, outcome: str, words: str, evidence: Mapping[str, Any]
    ) -> None:
        """Close a stage: "done", "skipped" or "stopped"."""
        await self.do(
            "UPDATE release_stages SET finished_at = clock_timestamp(), outcome = $3, words = $4,"
            " evidence = $5 WHERE run = $1 AND position = $2",
            self.run, position, outcome, words, encoded(evidence),
        )  # fmt: skip

    async def propose(self, proposed: Plan, offline_hash: str) -> None:
        """Note a plan and that this run is about it; one that was taken back is new again."""
        await self.do(
            "INSERT INTO release_plans (digest, plan, offline_hash) VALUES ($1, $2, $3)"
            " ON CONFLICT (digest) DO UPDATE SET state = 'proposed', changed_at = clock_timestamp()"
            " WHERE release_plans.state = 'rolled back'",
            proposed.digest, encoded(proposed.as_json()), offline_hash,
        )  # fmt: skip
        await self.concerns(proposed.digest)

    async def concerns(self, digest: str) -> None:
        """Note which plan this run is about."""
        await self.do("UPDATE release_runs SET digest = $2 WHERE id = $1", self.run, digest)

    async def plan_is(self, digest: str, state: str) -> None:
        """Move a plan on: proposed, applying, applied, verified, rolled back."""
        await self.do(
            "UPDATE release_plans SET state = $2, changed_at = clock_timestamp()"
            " WHERE digest = $1",
            digest, state,
        )  # fmt: skip

    async def unfinished(self) -> tuple[Plan, str, str] | None:
        """Give the plan that was begun and not verified, its state and its offline hash."""
        row = await self.row(
            "SELECT plan, state, offline_hash FROM release_plans"
            " WHERE state IN ('applying', 'applied') ORDER BY changed_at DESC LIMIT 1"
        )
        if row is None:
            return None
        return plan.from_json(row["plan"]), row["state"], row["offline_hash"]

    async def rehearsed(self, digest: str, *, passed: bool, evidence: Mapping[str, Any]) -> int:
        """Note a rehearsal and give its number."""
        number: int = await self.value(
            "INSERT INTO release_rehearsals (run, digest, passed, evidence)"
            " VALUES ($1, $2, $3, $4) RETURNING id",
            self.run, digest, passed, encoded(evidence),
        )  # fmt: skip
        return number

    async def rehearsal(self, digest: str) -> Row | None:
        """Give the last rehearsal of a plan."""
        return await self.row(
            "SELECT * FROM release_rehearsals WHERE digest = $1 ORDER BY id DESC LIMIT 1", digest
        )

    async def decision(self, digest: str) -> Row | None:
        """Give the last decision about a plan."""
        return await self.row(
            "SELECT * FROM release_decisions WHERE digest = $1 ORDER BY id DESC LIMIT 1", digest
        )

    async def fact(self, name: str) -> Any:
        """Give what is noted under a name; None for nothing."""
        row = await self.row("SELECT value FROM release_facts WHERE name = $1", name)
        return row and row["value"]

    async def note(self, name: str, value: Any) -> None:
        """Note a fact, in place of an earlier one of that name."""
        await self.do(
            "INSERT INTO release_facts (name, value) VALUES ($1, $2) ON CONFLICT (name)"
            " DO UPDATE SET value = excluded.value, at = clock_timestamp()",
            name, encoded(value),
        )  # fmt: skip

    async def overridden(self, rule: str, who: str, why: str) -> None:
        """Keep the reason for which a rule was overridden."""
        await self.do(
            "INSERT INTO release_overrides (run, rule, who, why) VALUES ($1, $2, $3, $4)",
            self.run, rule, who, why,
        )  # fmt: skip

    async def do(self, sql: str, *values: object) -> None:
        """Run one statement."""
        async with self._turn:
            await self._connection.execute(sql, *values)

    async def value(self, sql: str, *values: object) -> Any:
        """Give one value."""
        async with self._turn:
            return await self._connection.fetchval(sql, *values)

    async def row(self, sql: str, *values: object) -> Row | None:
        """Give one row, its JSON decoded."""
        return next(iter(await self.rows(sql, *values)), None)

    async def rows(self, sql: str, *values: object) -> list[Row]:
        """Give rows, their JSON decoded."""
        async with self._turn:
            return decoded(await self._connection.fetch(sql, *values))


_JSON_COLUMNS: Final = frozenset({"plan", "evidence", "value"})


def encoded(value: Any) -> str:
    """Write JSON for a jsonb parameter; PostgreSQL's text takes no NUL."""
    return json.dumps(value, default=str).replace("\\u0000", "\\\\u0000")


def decoded(rows: list[asyncpg.Record]) -> list[Row]:
    """Read rows of the ledger, their JSON decoded."""
    return [
        {name: json.loads(v) if name in _JSON_COLUMNS and v else v for name, v in row.items()}
        for row in rows
    ]

"""Reads runs, plans and what was decided about them out of the gate's own tables."""

from typing import Any, Final

from app.errors import NotFound
from app.releases.apply.foreign_sessions import foreign_sessions, in_words
from app.releases.ledger import decisions
from app.releases.ledger.ledger import Ledger, Row
from app.releases.plan.plan import from_json
from app.releases.status.schemas import (
    Decision,
    Lint,
    Override,
    PlannedStatement,
    Rehearsal,
    Release,
    Run,
    RunEvidence,
    Stage,
    StageEvidence,
    StatementRun,
)

KILLED: Final = {"verdict": "KILLED", "words": "The process ended in the middle."}
_RUNS: Final = "SELECT * FROM release_runs ORDER BY id DESC LIMIT $1"
_SECONDS: Final = "extract(epoch FROM finished_at - started_at)::float8 AS seconds"
_STAGES: Final = (
    f"SELECT run, stage, outcome, words, {_SECONDS} FROM release_stages"
    " WHERE run = ANY($1::bigint[]) ORDER BY run, position"
)
_EVIDENCE: Final = f"SELECT *, {_SECONDS} FROM release_stages WHERE run = $1 ORDER BY position"
_LINT: Final = """SELECT evidence FROM release_stages JOIN release_runs ON id = run
  WHERE digest = $1 AND stage = 'plan' AND evidence ? 'lint' ORDER BY id DESC LIMIT 1"""


async def runs(ledger: Ledger, limit: int, living: int | None) -> list[Run]:
    """Give the last runs, newest first; ``living`` is the one that is still running."""
    rows = await ledger.fetch_rows(_RUNS, limit)
    stages = await ledger.fetch_rows(_STAGES, [row["id"] for row in rows])
    return [
        Run(
            **_ended(row, living),
            stages=[Stage(**stage) for stage in stages if stage["run"] == row["id"]],
        )
        for row in rows
    ]


async def run(ledger: Ledger, number: int, living: int | None) -> RunEvidence:
    """Give one run with the evidence of its stages and its statements. Raises NotFound."""
    row = await ledger.fetch_row("SELECT * FROM release_runs WHERE id = $1", number)
    if row is None:
        raise no_such_run(number)
    statements = await ledger.fetch_rows(
        "SELECT * FROM release_statements WHERE run = $1 ORDER BY position", number
    )
    return RunEvidence(
        **_ended(row, living),
        stages=[StageEvidence(**stage) for stage in await ledger.fetch_rows(_EVIDENCE, number)],
        statements=[StatementRun(**statement) for statement in statements],
    )


def no_such_run(number: int) -> NotFound:
    """Give the error for a run that is not there."""
    return NotFound(f"No run of the release gate has the number {number}.", error="Run not found")


async def plan(ledger: Ledger, digest: str) -> Release:
    """Give a plan by its digest or the beginning of it. Raises as ``decisions.find`` does."""
    return await described(ledger, await decisions.find(ledger, digest))


async def described(ledger: Ledger, row: Row) -> Release:
    """Give a row of ``release_plans`` with everything that is known of the plan."""
    made = from_json(row["plan"])
    rehearsal = await ledger.rehearsal(made.digest)
    found = await ledger.fetch_row(_LINT, made.digest)
    return Release(
        digest=made.digest,
        before=made.before,
        revisions=list(made.revisions),
        phase=made.phase,
        table=made.table,
        state=row["state"],
        proposed_at=row["proposed_at"],
        changed_at=row["changed_at"],
        sql=made.sql,
        destroys=made.destroys,
        destroyed=made.destroyed,
        tables=list(made.tables),
        no_way_back=made.is_final,
        connected=in_words(await foreign_sessions(ledger)) if made.is_final else [],
        statements=[PlannedStatement.model_validate(_fields(s)) for s in made.statements],
        lint=[Lint(**finding) for finding in (found["evidence"]["lint"] if found else [])],
        rehearsal=_rehearsal(rehearsal),
        decision=_decision(await ledger.decision(made.digest), rehearsal),
    )


async def overrides(ledger: Ledger) -> list[Override]:
    """Give the last rules that were passed over, newest first."""
    rows = await ledger.fetch_rows("SELECT * FROM release_overrides ORDER BY id DESC LIMIT 20")
    return [Override(**row) for row in rows]


def _ended(row: Row, living: int | None) -> Row:
    """Say of a run that nobody closed, and that no longer lives, that it was killed."""
    return row | KILLED if row["finished_at"] is None and row["id"] != living else row


def _rehearsal(row: Row | None) -> Rehearsal | None:
    return Rehearsal(**row, findings=row["evidence"].get("findings") or []) if row else None


def _decision(row: Row | None, rehearsal: Row | None) -> Decision | None:
    passed = rehearsal["id"] if rehearsal and rehearsal["passed"] else None
    return Decision(**row, valid=decisions.valid(row, passed)) if row else None


def _fields(statement: Any) -> dict[str, Any]:
    return {name: getattr(statement, name) for name in PlannedStatement.model_fields}

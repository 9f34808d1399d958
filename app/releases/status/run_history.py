"""Reads runs, plans and the decisions about them out of the gate's own tables."""

from typing import Final

from app.errors import NotFound
from app.releases.apply.backends import foreign_sessions
from app.releases.ledger import decisions
from app.releases.ledger.ledger import Ledger, Row
from app.releases.plan.plan import from_json
from app.releases.status import plan_schemas, schemas
from app.releases.status.plan_schemas import Release
from app.releases.status.schemas import Run, RunEvidence

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


async def read_runs(ledger: Ledger, limit: int, running_id: int | None) -> list[Run]:
    """Return the last runs, newest first; ``running_id`` is the one that still runs."""
    rows = await ledger.fetch_rows(_RUNS, limit)
    stages = await ledger.fetch_rows(_STAGES, [row["id"] for row in rows])
    return [
        Run(
            **_with_verdict(row, running_id),
            stages=[schemas.Stage(**stage) for stage in stages if stage["run"] == row["id"]],
        )
        for row in rows
    ]


async def read_run(ledger: Ledger, number: int, running_id: int | None) -> RunEvidence:
    """Return one run with its stages' evidence and its statements. Raise NotFound."""
    row = await ledger.fetch_row("SELECT * FROM release_runs WHERE id = $1", number)
    if row is None:
        raise no_such_run(number)
    statements = await ledger.fetch_rows(
        "SELECT * FROM release_statements WHERE run = $1 ORDER BY position", number
    )
    stages = await ledger.fetch_rows(_EVIDENCE, number)
    with_verdict = _with_verdict(row, running_id)
    return RunEvidence.model_validate(with_verdict | {"stages": stages, "statements": statements})


def no_such_run(number: int) -> NotFound:
    """Return the error for a run that is not there."""
    return NotFound(f"No run of the release gate has the number {number}.", error="Run not found")


async def read_plan(ledger: Ledger, digest: str) -> Release:
    """Return a plan by its digest or the beginning of it. Raise as ``decisions.find`` does."""
    return await describe_plan(ledger, await decisions.find(ledger, digest))


async def describe_plan(ledger: Ledger, row: Row) -> Release:
    """Return the plan in a row of ``release_plans``, with its rehearsal and decision."""
    plan = from_json(row["plan"])
    rehearsal = await ledger.rehearsal(plan.digest)
    lint_row = await ledger.fetch_row(_LINT, plan.digest)
    lint = lint_row["evidence"]["lint"] if lint_row else []
    return Release.model_validate(plan).model_copy(update={
        "state": row["state"],
        "proposed_at": row["proposed_at"],
        "changed_at": row["changed_at"],
        "no_way_back": plan.is_final,
        "connected": list(map(str, await foreign_sessions(ledger))) if plan.is_final else [],
        "lint": [plan_schemas.Lint(**finding) for finding in lint],
        "rehearsal": _rehearsal(rehearsal),
        "decision": _decision(await ledger.decision(plan.digest), rehearsal),
    })  # fmt: skip


async def read_overrides(ledger: Ledger) -> list[schemas.Override]:
    """Return the last rules that were overridden, newest first."""
    rows = await ledger.fetch_rows("SELECT * FROM release_overrides ORDER BY id DESC LIMIT 20")
    return [schemas.Override(**row) for row in rows]


def _with_verdict(row: Row, running_id: int | None) -> Row:
    """Set the verdict of a run that nobody closed and that no longer runs: it was killed."""
    return row | KILLED if row["finished_at"] is None and row["id"] != running_id else row


def _rehearsal(row: Row | None) -> plan_schemas.Rehearsal | None:
    return (
        plan_schemas.Rehearsal(**row, findings=row["evidence"].get("findings") or [])
        if row
        else None
    )


def _decision(row: Row | None, rehearsal: Row | None) -> plan_schemas.Decision | None:
    passed = rehearsal["id"] if rehearsal and rehearsal["passed"] else None
    return plan_schemas.Decision(**row, valid=decisions.valid(row, passed)) if row else None

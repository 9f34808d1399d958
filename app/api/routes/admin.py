"""The routes of operators: the migration status, the gate's runs, its plans and decisions."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Annotated, Any, Final, Literal, cast

import asyncpg
from fastapi import Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import to_json

from app.access.audit.audit_entries import note_in, of_request
from app.api.dependencies import DatabaseUrlDep, IdempotentWriterDep, Limit, SettingsDep
from app.api.idempotent import IDEMPOTENCY_KEY
from app.api.openapi import answers, documented
from app.api.responses import json_response
from app.api.routes.routers import api_router
from app.errors import Conflict, Forbidden, Invalid, KeyReused, NotFound
from app.model.fields import NO_NUL
from app.releases.ledger.decisions import decide
from app.releases.ledger.ledger import Ledger, Row
from app.releases.status import run_history
from app.releases.status.plan_schemas import Decision, Release
from app.releases.status.running import living_run
from app.releases.status.running_schemas import WireModel
from app.releases.status.schemas import Run, RunEvidence, Status
from app.releases.status.status import reading, status
from app.store.write_context import WriteContext

OpenLedger = Callable[[], AbstractAsyncContextManager[Ledger]]
router: Final = api_router("/admin", "Releases")
Look = Annotated[bool, Query(
    description="Look at the live schema now, instead of giving the last look at it. Where that "
    "cannot be done within the second, `drift` is null and named in `unread`."
)]  # fmt: skip
Number = Annotated[int, Path(ge=1, le=2**63 - 1, description="The run's number.")]
Digest = Annotated[str, Path(description="The plan's digest, or its first 8 characters or more.")]
_WITHIN: Final = 0.8  # seconds for the status, so that its caller has it within one
_Text = StringConstraints(strip_whitespace=True, min_length=1, pattern=NO_NUL)


class DecisionBody(BaseModel):
    """Who decides what, and why. All of it is stored."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {
        "decision": "approve", "who": "Ann", "why": "rehearsed, read, and the crew is told",
    }})  # fmt: skip

    decision: Literal["approve", "withhold"]
    """Whether the plan may be carried out."""
    who: Annotated[str, _Text, Field(max_length=200)]
    """Who decides."""
    why: Annotated[str, _Text, Field(max_length=2_000)]
    """The reason, for those who read it later."""
    destroys: Annotated[str, StringConstraints(max_length=200, pattern=NO_NUL)] | None = Field(
        default=None, description="The table that the plan takes something from."
    )


class Decided(Decision):
    """The decision as it was stored."""

    id: int
    """The number of the decision."""
    digest: str
    """The digest of the plan that it is about."""


def _answer(content: WireModel | list[Run] | dict[str, Any], status: int = 200) -> Response:
    response = json_response(to_json(content, by_alias=True), status=status)
    response.headers["cache-control"] = "no-store"
    return response


async def _ledger_reader(url: DatabaseUrlDep, settings: SettingsDep) -> OpenLedger:
    return partial(reading, url, settings.health_timeout)


OpenLedgerDep = Annotated[OpenLedger, Depends(_ledger_reader)]


@router.get("/migration-status", operation_id="get_migration_status",
            summary="Tell where the migrations stand",
            responses=answers(Status, Forbidden, Invalid))  # fmt: skip
async def migration_status(url: DatabaseUrlDep, *, look: Look = False) -> Response:
    """Return where the schema stands, what is pending, and what runs now and may be cancelled.

    The answer comes within a second, also while a migration runs, waits or hangs. What is locked,
    or came too late, is null and named in ``unread``. ``drift`` is the last look at the live
    schema, with its time and who looked; ``look=true`` looks now.
    """
    return _answer(await status(url, within=_WITHIN, look=look))


@router.get("/releases", operation_id="list_releases", summary="List the runs of the release gate",
            responses=answers(list[Run], Forbidden, Invalid))  # fmt: skip
async def releases(open_ledger: OpenLedgerDep, limit: Limit = 20) -> Response:
    """List the runs of the release gate, newest first."""
    async with open_ledger() as ledger:
        if not await ledger.exists():
            return _answer([])
        return _answer(await run_history.read_runs(ledger, limit, await living_run(ledger)))


@router.get("/releases/{run}", operation_id="get_release", summary="Get one run with its evidence",
            responses=answers(RunEvidence, Forbidden, NotFound, Invalid))  # fmt: skip
async def release(open_ledger: OpenLedgerDep, run: Number) -> Response:
    """Return one run with the evidence of each stage and every statement."""
    async with open_ledger() as ledger:
        if not await ledger.exists():
            raise run_history.no_such_run(run)
        return _answer(await run_history.read_run(ledger, run, await living_run(ledger)))


@router.get("/releases/plans/{digest}", operation_id="get_release_plan",
            summary="Get a plan, statement by statement",
            responses=answers(Release, Forbidden, NotFound, Conflict, Invalid))  # fmt: skip
async def plan(open_ledger: OpenLedgerDep, digest: Digest) -> Response:
    """Return a plan: every statement with its lock, its last rehearsal, and the decisions."""
    async with open_ledger() as ledger:
        return _answer(await run_history.read_plan(ledger, digest))


@router.post("/releases/plans/{digest}/decisions", operation_id="decide_release_plan",
            summary="Approve or withhold a plan",
             status_code=201,
             responses={201: {"model": Decided},
                        **documented(Forbidden, NotFound, Conflict, Invalid, KeyReused)},
             openapi_extra={"parameters": [IDEMPOTENCY_KEY]})  # fmt: skip
async def decision(
    request: Request, writer: IdempotentWriterDep, digest: Digest, body: DecisionBody
) -> Response:
    """Approve the plan after its last rehearsal, or withhold it. The gate's next run obeys."""

    async def work(context: WriteContext) -> Row:
        connection = cast("asyncpg.Connection", context.connection)
        async with connection.transaction():
            stored = await decide(
                connection, digest, body.decision,
                who=body.who, why=body.why, destroys=body.destroys,
            )  # fmt: skip
            details = {"plan": stored["digest"], "who": body.who, "why": body.why}
            event = f"release.{stored['decision']}"
            await note_in(context.connection, of_request(request.scope, event, **details))
        return stored

    def respond(stored: Row) -> Response:
        return _answer(Decided(**stored, valid=stored["decision"] == "approved"), 201)

    return await writer.write(digest, work, respond)

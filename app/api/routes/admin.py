"""What operators ask and decide: the migration status, the gate's runs, and its plans."""

from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, Final, Literal, cast

import asyncpg
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import to_json

from app.api.errors import documented
from app.api.idempotent import IDEMPOTENCY_KEY, written
from app.api.operator_auth import OperatorRoute
from app.api.requests import answer
from app.errors import Conflict, Forbidden, Invalid, NotFound
from app.model.fields import NO_NUL
from app.releases.ledger.decisions import decide
from app.releases.ledger.ledger import Ledger, Row
from app.releases.status import run_history as status_runs
from app.releases.status.running import living_run
from app.releases.status.schemas import Decision, Release, Run, RunEvidence, Status
from app.releases.status.status import reading, status
from app.releases.status.wire_model import WireModel
from app.store.write_context import WriteContext

router: Final = APIRouter(prefix="/admin", tags=["Releases"], route_class=OperatorRoute)
Limit = Annotated[int, Query(ge=1, le=1_000, description="How many at most.")]
Look = Annotated[bool, Query(
    description="Look at the live schema now, instead of giving the last look at it. Where that "
    "cannot be done within the second, `drift` is null and named in `unread`."
)]  # fmt: skip
Number = Annotated[int, Path(ge=1, le=2**63 - 1, description="The run's number.")]
Digest = Annotated[str, Path(description="The plan's digest, or its first 8 characters or more.")]
_WITHIN: Final = 0.8  # seconds for the status, so that its caller has it within one
_Said = StringConstraints(strip_whitespace=True, min_length=1, pattern=NO_NUL)


class DecisionBody(BaseModel):
    """Who decides what, and why; all of it is kept."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {
        "decision": "approve", "who": "Ann", "why": "rehearsed, read, and the crew is told",
    }})  # fmt: skip

    decision: Literal["approve", "withhold"]
    who: Annotated[str, _Said, Field(max_length=200)]
    why: Annotated[str, _Said, Field(max_length=2_000)]
    destroys: Annotated[str, StringConstraints(max_length=200, pattern=NO_NUL)] | None = Field(
        default=None, description="The table that the plan takes something from."
    )


class Decided(Decision):
    """The decision as it was stored."""

    id: int
    digest: str


def _answers(model: Any, *errors: Any) -> dict[int | str, dict[str, Any]]:
    return {200: {"model": model}, **documented(Forbidden, *errors)}


def _answer(shown: WireModel | list[Run] | dict[str, Any], status: int = 200) -> Response:
    response = answer(to_json(shown, by_alias=True), status=status)
    response.headers["cache-control"] = "no-store"
    return response


def _reading(request: Request) -> AbstractAsyncContextManager[Ledger]:
    return reading(request.app.state.url, request.app.state.settings.health_timeout)


@router.get("/migration-status", operation_id="migration_status", response_model=None,
            responses=_answers(Status, Invalid))  # fmt: skip
async def migration_status(request: Request, *, look: Look = False) -> Response:
    """Where the schema stands, what is pending, what runs now, and whether it may be cancelled.
    It answers within a second, also while a migration runs, waits or hangs; what is locked, or
    came too late, is null and named in ``unread``. ``drift`` is the last look at the live schema,
    with its time and who looked; ``look=true`` looks now."""
    state = request.app.state
    return _answer(await status(state.url, within=_WITHIN, look=look))


@router.get("/releases", operation_id="list_releases", response_model=None,
            responses=_answers(list[Run], Invalid))  # fmt: skip
async def releases(request: Request, limit: Limit = 20) -> Response:
    """The runs of the release gate, newest first."""
    async with _reading(request) as ledger:
        if not await ledger.exists():
            return _answer([])
        return _answer(await status_runs.read_runs(ledger, limit, await living_run(ledger)))


@router.get("/releases/{run}", operation_id="get_release", response_model=None,
            responses=_answers(RunEvidence, NotFound, Invalid))  # fmt: skip
async def release(request: Request, run: Number) -> Response:
    """One run with the evidence of each stage and every statement."""
    async with _reading(request) as ledger:
        if not await ledger.exists():
            raise status_runs.no_such_run(run)
        return _answer(await status_runs.read_run(ledger, run, await living_run(ledger)))


@router.get("/releases/plans/{digest}", operation_id="get_release_plan", response_model=None,
            responses=_answers(Release, NotFound, Conflict, Invalid))  # fmt: skip
async def plan(request: Request, digest: Digest) -> Response:
    """A plan: every statement with its lock, its last rehearsal, and what was decided."""
    async with _reading(request) as ledger:
        return _answer(await status_runs.read_plan(ledger, digest))


@router.post("/releases/plans/{digest}/decisions", operation_id="decide_release_plan",
             response_model=None, status_code=201,
             responses={201: {"model": Decided},
                        **documented(Forbidden, NotFound, Conflict, Invalid)},
             openapi_extra={"parameters": [IDEMPOTENCY_KEY]})  # fmt: skip
async def decision(request: Request, digest: Digest, body: DecisionBody) -> Response:
    """Approve the plan after its last rehearsal, or withhold it; the gate asks on its next run."""

    def decided(context: WriteContext) -> Awaitable[Row]:
        return decide(
            cast("asyncpg.Connection", context.connection), digest, body.decision,
            who=body.who, why=body.why, destroys=body.destroys,
        )  # fmt: skip

    def shown(stored: Row) -> Response:
        return _answer(Decided(**stored, valid=stored["decision"] == "approved"), 201)

    return await written(request, digest, decided, shown)

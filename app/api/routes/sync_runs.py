"""Which batches of offline work came, and what became of them."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict

from app.api.errors import documented
from app.api.requests import JsonRoute, answer, database
from app.changelog.events import production_of
from app.entities import root
from app.errors import Invalid, NotFound
from app.model.fields import NO_NUL
from app.model.schemas import WireMoment
from app.sync import records
from app.sync.applier import Status

router: Final = APIRouter(
    prefix=f"/{root().collection}/{{production}}/sync", tags=["Sync"], route_class=JsonRoute
)
Key = Annotated[str, Path(pattern=NO_NUL, description="The production's uuid or label.")]
Limit = Annotated[int, Query(ge=1, le=100, description="How many at most.")]
Before = Annotated[UUID | None, Query(description="The last answer's `next`.")]
_ANSWER: Final = ConfigDict(extra="forbid")


class SyncFate(BaseModel):
    """What became of a mutation; ``version`` is the one that it made of its row, if it did."""

    model_config = _ANSWER

    mutationId: str | None
    status: Status
    collection: str | None
    entityUuid: str | None
    version: int | None
    code: str | None
    message: str | None


class SyncRun(BaseModel):
    """A batch that came, and how many of its mutations met each status."""

    model_config = _ANSWER

    uuid: str
    timestamp: WireMoment
    clientId: str | None
    since: int | None
    latest: int
    atomic: bool
    dryRun: bool
    userId: str
    userName: str
    counts: dict[Status, int]


class SyncRunEvidence(SyncRun):
    """A batch with what became of each of its mutations."""

    requestId: str | None
    results: list[SyncFate]


class SyncRuns(BaseModel):
    """Batches, newest first. ``next`` is null where no older ones are held."""

    model_config = _ANSWER

    runs: list[SyncRun]
    next: str | None


@router.get(
    "/runs",
    operation_id="list_sync_runs",
    summary="Tell which batches of offline work came",
    response_model=None,
    responses={200: {"model": SyncRuns}, **documented(NotFound, Invalid)},
)
async def list_runs(
    request: Request, production: Key, limit: Limit = 20, before: Before = None
) -> Response:
    """The last batches, newest first, those that only tried and those that were repeats too."""
    uuid = await production_of(database(request), production)
    return answer(await records.read_runs(database(request), uuid, before, limit))


@router.get(
    "/runs/{run}",
    operation_id="get_sync_run",
    summary="Tell what became of one batch",
    response_model=None,
    responses={200: {"model": SyncRunEvidence}, **documented(NotFound, Invalid)},
)
async def get_run(request: Request, production: Key, run: UUID) -> Response:
    """One batch with what became of each mutation."""
    uuid = await production_of(database(request), production)
    found = await records.read_run(database(request), uuid, run)
    if found is None:
        raise NotFound(f"No sync run of this production has the uuid {run}.")
    return answer(found)

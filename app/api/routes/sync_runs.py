"""The routes that list batches of offline work and what became of each mutation."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict

from app.api.dependencies import DatabaseDep, ProductionKey
from app.api.json_requests import JsonRoute
from app.api.openapi import documented
from app.api.responses import json_response
from app.changelog.events import production_of
from app.entities import root
from app.errors import Invalid, NotFound
from app.model.schemas import WireMoment
from app.sync import runs
from app.sync.apply import Status

router: Final = APIRouter(
    prefix=f"/{root().collection}/{{production}}/sync", tags=["Sync"], route_class=JsonRoute
)
Limit = Annotated[int, Query(ge=1, le=100, description="How many at most.")]
Before = Annotated[UUID | None, Query(description="The last answer's `next`.")]


class SyncModel(BaseModel):
    """A model of an answer, which has no members beside its own."""

    model_config = ConfigDict(extra="forbid")


class SyncFate(SyncModel):
    """What became of a mutation; ``version`` is the one that it made of its row, if it did."""

    mutationId: str | None
    status: Status
    collection: str | None
    entityUuid: str | None
    version: int | None
    code: str | None
    message: str | None


class SyncRun(SyncModel):
    """A batch that came, and how many of its mutations met each status."""

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


class SyncRuns(SyncModel):
    """Batches, newest first. ``next`` is null where no older ones are held."""

    runs: list[SyncRun]
    next: str | None


@router.get(
    "/runs",
    operation_id="list_sync_runs",
    summary="Tell which batches of offline work came",
    responses={200: {"model": SyncRuns}, **documented(NotFound, Invalid)},
)
async def list_runs(
    database: DatabaseDep, production: ProductionKey, limit: Limit = 20, before: Before = None
) -> Response:
    """List the last batches, newest first, dry runs and repeated ones included."""
    uuid = await production_of(database, production)
    return json_response(await runs.read_runs(database, uuid, before, limit))


@router.get(
    "/runs/{run}",
    operation_id="get_sync_run",
    summary="Tell what became of one batch",
    responses={200: {"model": SyncRunEvidence}, **documented(NotFound, Invalid)},
)
async def get_run(database: DatabaseDep, production: ProductionKey, run: UUID) -> Response:
    """Return one batch with what became of each mutation."""
    uuid = await production_of(database, production)
    run_json = await runs.read_run(database, uuid, run)
    if run_json is None:
        raise NotFound(f"No sync run of this production has the uuid {run}.")
    return json_response(run_json)

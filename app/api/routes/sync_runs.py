"""The routes that list batches of offline work and what became of each mutation."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import Query, Response

from app.api.dependencies import DatabaseDep, ProductionKey
from app.api.openapi import AnswerModel, documented
from app.api.responses import json_response
from app.api.routes.routers import production_router
from app.changelog.events import production_of
from app.errors import Invalid, NotFound
from app.model.schemas import WireMoment
from app.sync import records
from app.sync.applier import Status

router: Final = production_router("/sync", "Sync")
Limit = Annotated[int, Query(ge=1, le=100, description="How many at most.")]
Before = Annotated[UUID | None, Query(description="The last answer's `next`.")]


class SyncFate(AnswerModel):
    """What became of a mutation; ``version`` is the one that it made of its row, if it did."""

    mutationId: str | None
    status: Status
    collection: str | None
    entityUuid: str | None
    version: int | None
    code: str | None
    message: str | None


class SyncRun(AnswerModel):
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


class SyncRuns(AnswerModel):
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
    return json_response(await records.read_runs(database, uuid, before, limit))


@router.get(
    "/runs/{run}",
    operation_id="get_sync_run",
    summary="Tell what became of one batch",
    responses={200: {"model": SyncRunEvidence}, **documented(NotFound, Invalid)},
)
async def get_run(database: DatabaseDep, production: ProductionKey, run: UUID) -> Response:
    """Return one batch with what became of each mutation."""
    uuid = await production_of(database, production)
    run_json = await records.read_run(database, uuid, run)
    if run_json is None:
        raise NotFound(f"No sync run of this production has the uuid {run}.")
    return json_response(run_json)

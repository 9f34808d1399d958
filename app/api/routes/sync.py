"""The routes of offline work: a batch is answered with outcomes and the feed, and listed later."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Final, Union
from uuid import UUID

from fastapi import Path, Query, Response
from pydantic import Field, create_model
from pydantic_core import from_json, to_json

from app.api.dependencies import (
    DatabaseDep,
    IdempotentWriterDep,
    ProductionKey,
    SenderDep,
    UrlPathDep,
)
from app.api.error_responses import problem_response
from app.api.idempotent import IDEMPOTENCY_KEY
from app.api.json_requests import actor_in
from app.api.openapi import AnswerModel, answers, result_members
from app.api.responses import json_response, outcome_json
from app.api.routes.changes import Change
from app.api.routes.routers import production_router
from app.changelog.events import production_of
from app.entities import discovered
from app.errors import Conflict, Invalid, KeyReused, NotFound, SignalbookError, SyncFailed
from app.model.schemas import WireMoment
from app.model.secret_fields import public_json, public_schema
from app.store.many_writes import first_error
from app.sync import batch, records
from app.sync.mutations import MutationOutcome, MutationStep, Status, Sync, read_steps
from app.sync.records import BatchResult

router: Final = production_router("Sync")
Limit = Annotated[int, Query(ge=1, le=100, description="How many at most.")]
Before = Annotated[UUID | None, Query(description="The last answer's `next`.")]
Run = Annotated[UUID, Path(description="The `runUuid` of the batch's answer.")]
_BATCH: Final = (
    "Does each mutation once, in the order given, in one transaction; a batch that is sent again "
    "changes nothing more. One that is refused spoils no other, unless the batch is `atomic`: then "
    "nothing is done, and the answer is a 409 `SYNC_FAILED` with the `results`. With `dryRun` "
    "nothing is done either, and the results are what they would be."
)


class Resync(AnswerModel):
    """The log does not hold what followed ``since``: load the show, then go on from ``latest``."""

    message: str
    """What happened, and what to do."""
    oldest: int
    """The number of the first change that the log holds."""
    latest: int
    """The number to go on from once the show is loaded."""
    show: str
    """The path to load the show from."""


_ENTITY: Final[Any] = Union[  # noqa: UP007  # made at run time
    tuple(public_schema(entity) for entity in discovered().values())
]
_MUTATION: Final[dict[str, Any]] = {
    "mutationId": (Annotated[str | None, Field(description="The name of the mutation.")], ...)
}
Result: Final = create_model(
    "SyncResult", __base__=AnswerModel,
    __doc__="What became of one mutation: its row as it is now, or why it was refused.",
    **result_members(_ENTITY, Status), **_MUTATION,
)  # fmt: skip


class SyncAnswer(AnswerModel):
    """The results in the order of the mutations, and the feed since the client's number.

    ``next`` is null where there is no feed: no ``since`` was sent, or ``resync`` says why.
    """

    runUuid: str
    """The key under which the batch can be looked up later."""
    dryRun: bool
    """Whether nothing was done."""
    results: list[Result]
    """What became of each mutation, in their order."""
    changes: list[Change]
    """What was changed since the number that the client knew, this batch included."""
    next: int | None
    """The number to send as `since` next time; null where no changes are returned."""
    latest: int
    """The number of the newest change of the show."""
    more: bool
    """Whether there are more changes: ask the feed."""
    resync: Resync = Field(default=None)  # type: ignore[assignment]  # absent, never null
    """Where to begin anew, if the log does not hold what followed."""


@router.post("/sync", operation_id="sync_production", description=_BATCH,
             summary="Bring in what was done offline, and tell what others did",
             responses=answers(SyncAnswer, NotFound, Conflict, Invalid, KeyReused),
             openapi_extra={"parameters": [IDEMPOTENCY_KEY]})  # fmt: skip
async def sync(
    production: ProductionKey, body: Sync, writer: IdempotentWriterDep, sender: SenderDep,
    path: UrlPathDep,
) -> Response:  # fmt: skip
    """Run a batch."""
    actor = actor_in(body, sender)
    mutations = read_steps(production, body, actor)
    return await writer.write(
        production,
        lambda context: batch.run(context, production, body, mutations, actor),
        lambda report: _answer(path, body, mutations, report),
    )


def _answer(
    path: str, body: Sync, mutations: Sequence[MutationStep], report: BatchResult
) -> Response:
    results = [_result(step, o) for step, o in zip(mutations, report.outcomes, strict=True)]
    if body.atomic and not body.dry_run and (failure := first_error(report.outcomes)):
        return problem_response(_failure(*failure, results, report), path)
    last = report.latest if report.next is None else report.next
    members = {
        "runUuid": to_json(report.run),
        "dryRun": to_json(body.dry_run),
        "results": b"[%b]" % b",".join(results),
        "changes": report.changes,
        "next": to_json(report.next),
        "latest": to_json(report.latest),
        "more": to_json(last < report.latest),
    }
    if report.resync:
        words, gap = report.resync.message, dict(report.resync.members)
        members["resync"] = to_json({"message": words, "show": gap.pop("resync"), **gap})
    encoded = b",".join(b'"%b":%b' % (name.encode(), value) for name, value in members.items())
    ignored = [name for step in mutations for name in step.ignored]
    return json_response(b"{%b}" % encoded, request_body=body, ignored=ignored)


def _result(step: MutationStep, outcome: MutationOutcome) -> bytes:
    name = b'"index":%d,"mutationId":%b' % (step.number, to_json(step.mutation_id))
    key = f"/{step.key}" if step.key and step.op != "create" else ""
    path = f"/api/{step.collection}{key}" if step.collection else "/api"
    if outcome.entity:
        outcome = replace(outcome, entity=public_json(step.entity, outcome.entity))
    return outcome_json(name, outcome, path)


def _failure(
    number: int, error: SignalbookError, results: Sequence[bytes], report: BatchResult
) -> SyncFailed:
    return SyncFailed(
        f"Mutation {number} (counted from 0) was refused, so nothing was done: {error.message}",
        results=[from_json(result) for result in results],
        runUuid=str(report.run),
        latest=report.latest,
    )


class SyncFate(AnswerModel):
    """What became of a mutation; ``version`` is the one that it made of its row, if it did."""

    mutationId: str | None
    """The name of the mutation."""
    status: Status
    """What became of it."""
    collection: str | None
    """The collection of its row."""
    entityUuid: str | None
    """The uuid of its row."""
    version: int | None
    """The version of the row afterwards."""
    code: str | None
    """The code of the error, if it was refused."""
    message: str | None
    """What was wrong, if it was refused."""


class SyncRun(AnswerModel):
    """A batch that came, and how many of its mutations met each status."""

    uuid: str
    """The key of the batch."""
    timestamp: WireMoment
    """When it came, in UTC."""
    clientId: str | None
    """Which client sent it."""
    since: int | None
    """The number up to which the client knew the show."""
    latest: int
    """The number of the newest change afterwards."""
    atomic: bool
    """Whether it was all or nothing."""
    dryRun: bool
    """Whether it only asked what would happen."""
    userId: str
    """Who did it, by the id that the client has for people."""
    userName: str
    """Who did it, by name."""
    counts: dict[Status, int]
    """How many mutations came to each status."""


class SyncRunEvidence(SyncRun):
    """A batch with what became of each of its mutations."""

    requestId: str | None
    """The id of the request that brought it."""
    results: list[SyncFate]
    """What became of each mutation."""


class SyncRuns(AnswerModel):
    """Batches, newest first. ``next`` is null where no older ones are held."""

    runs: list[SyncRun]
    """The batches, newest first."""
    next: str | None
    """What to send as `before` for older ones; null where there are none."""


@router.get("/sync/runs", operation_id="list_sync_runs",
            summary="Tell which batches of offline work came",
            responses=answers(SyncRuns, NotFound, Invalid))  # fmt: skip
async def list_runs(
    database: DatabaseDep, production: ProductionKey, limit: Limit = 20, before: Before = None
) -> Response:
    """List the last batches, newest first, dry runs and repeated ones included."""
    uuid = await production_of(database, production)
    return json_response(await records.read_runs(database, uuid, before, limit))


@router.get("/sync/runs/{run}", operation_id="get_sync_run",
            summary="Tell what became of one batch",
            responses=answers(SyncRunEvidence, NotFound, Invalid))  # fmt: skip
async def get_run(database: DatabaseDep, production: ProductionKey, run: Run) -> Response:
    """Return one batch with what became of each mutation."""
    uuid = await production_of(database, production)
    run_json = await records.read_run(database, uuid, run)
    if run_json is None:
        raise NotFound(f"No sync run of this production has the uuid {run}.")
    return json_response(run_json)

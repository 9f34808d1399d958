"""Offline work: a batch of mutations in, what became of each and what others did out."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final, Union

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic_core import from_json, to_json

from app.api.errors import Problem, documented, encoded, response
from app.api.idempotent import IDEMPOTENCY_KEY, written
from app.api.requests import JsonRoute, answer, name_ignored, request_id
from app.api.routes.feed import Change
from app.entities import discovered, root
from app.errors import Conflict, Invalid, NotFound, SignalbookError, SyncFailed
from app.model.fields import NO_NUL
from app.model.schemas import read_shape, unknown_members
from app.store.edit import actor_of
from app.sync import batch
from app.sync.applier import MutationOutcome, Status
from app.sync.batch import BatchResult
from app.sync.mutations import MutationStep, Sync, read_steps

router: Final = APIRouter(
    prefix=f"/{root().collection}/{{production}}/sync", tags=["Sync"], route_class=JsonRoute
)
Key = Annotated[str, Path(pattern=NO_NUL, description="The production's uuid or label.")]
_WHO: Final = ("user_id", "user_name", "last_modified_by")
_ANSWER: Final = ConfigDict(extra="forbid")
_BATCH: Final = (
    "Does each mutation once, in the order given, in one transaction; a batch that is sent again "
    "changes nothing more. One that is refused spoils no other, unless the batch is `atomic`: then "
    "nothing is done, and the answer is a 409 `SYNC_FAILED` with the `results`. With `dryRun` "
    "nothing is done either, and the results are what they would be."
)


class Resync(BaseModel):
    """The log does not hold what followed ``since``: load the show, then go on from ``latest``."""

    model_config = _ANSWER

    message: str
    oldest: int
    latest: int
    show: str


_ENTITY: Final[Any] = Union[tuple(read_shape(entity) for entity in discovered().values())]  # noqa: UP007  # made at run time
Result: Final = create_model(
    "SyncResult",
    __config__=_ANSWER,
    __doc__="What became of one mutation: its row as it is now, or why it was refused.",
    index=(int, ...),
    mutationId=(str | None, ...),
    status=(Status, ...),
    entity=(_ENTITY, None),
    error=(Problem, None),
)


class SyncAnswer(BaseModel):
    """The results in the order of the mutations, and the feed since the client's number.

    ``next`` is null where there is no feed: no ``since`` was sent, or ``resync`` says why.
    """

    model_config = _ANSWER

    runUuid: str
    dryRun: bool
    results: list[Result]
    changes: list[Change]
    next: int | None
    latest: int
    more: bool
    resync: Resync = Field(default=None)  # type: ignore[assignment]  # absent, never null


@router.post(
    "",
    operation_id="sync",
    summary="Bring in what was done offline, and tell what others did",
    description=_BATCH,
    response_model=None,
    responses={200: {"model": SyncAnswer}, **documented(NotFound, Conflict, Invalid)},
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
async def work(production: Key, body: Sync, request: Request) -> Response:
    """Do a batch."""
    actor = actor_of({name: getattr(body, name) for name in _WHO}, request_id(request))
    todo = read_steps(production, body, actor)
    return await written(
        request,
        production,
        lambda unit: batch.run(unit, production, body, todo, actor),
        lambda done: _answer(request, body, todo, done),
    )


def _answer(
    request: Request, body: Sync, todo: Sequence[MutationStep], done: BatchResult
) -> Response:
    results = [_result(step, o) for step, o in zip(todo, done.outcomes, strict=True)]
    if body.atomic and not body.dry_run and (refusal := done.first_error()):
        return response(_failure(*refusal, results, done), request.url.path)
    last = done.latest if done.next is None else done.next
    members = {
        "runUuid": to_json(done.run),
        "dryRun": to_json(body.dry_run),
        "results": b"[%b]" % b",".join(results),
        "changes": done.changes,
        "next": to_json(done.next),
        "latest": to_json(done.latest),
        "more": to_json(last < done.latest),
    }
    if done.resync:
        members["resync"] = to_json(_resync(done.resync))
    made = answer(b"{%b}" % b",".join(b'"%b":%b' % (k.encode(), v) for k, v in members.items()))
    name_ignored(made, _ignored(body, todo))
    return made


def _result(step: MutationStep, outcome: MutationOutcome) -> bytes:
    """Give one result as JSON: the row in the very bytes that PostgreSQL made."""
    parts = [
        b'"index":%d,"mutationId":%b' % (step.number, to_json(step.mutation_id)),
        b'"status":"%b"' % outcome.status.encode(),
    ]
    if outcome.entity is not None:
        parts.append(b'"entity":' + outcome.entity)
    if outcome.error is not None:
        key = f"/{step.key}" if step.key and step.op != "create" else ""
        where = f"/api/{step.collection}{key}" if step.collection else "/api"
        parts.append(b'"error":' + encoded(outcome.error, where))
    return b"{%b}" % b",".join(parts)


def _failure(
    number: int, error: SignalbookError, results: Iterable[bytes], done: BatchResult
) -> SyncFailed:
    return SyncFailed(
        f"Mutation {number} (counted from 0) was refused, so nothing was done: {error.message}",
        results=[from_json(result) for result in results],
        runUuid=str(done.run),
        latest=done.latest,
    )


def _resync(trimmed: Any) -> dict[str, Any]:
    said = dict(trimmed.members)
    return {"message": trimmed.message, "show": said.pop("resync"), **said}


def _ignored(body: Sync, todo: Iterable[MutationStep]) -> list[str]:
    names = [*unknown_members(body), *(name for step in todo for name in step.ignored)]
    return list(dict.fromkeys(names))

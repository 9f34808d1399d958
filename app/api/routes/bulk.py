"""Many rows of one collection in one request: written in bulk, or renumbered."""

from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any, Final

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field, create_model
from pydantic_core import from_json, to_json

from app.api.dependencies import IdempotentWriterDep, ProductionKey, RequestIdDep
from app.api.idempotent import IDEMPOTENCY_KEY
from app.api.json_requests import actor_in
from app.api.openapi import AnswerModel, answers, result_members
from app.api.responses import json_response, outcome_json
from app.api.routes.routers import production_router
from app.entities import discovered
from app.errors import BulkFailed, Conflict, Invalid, KeyReused, NotFound
from app.model.entity import Entity, Row
from app.model.operation_names import names_of
from app.model.schemas import read_schema
from app.store import bulk
from app.store.bulk import Bulk, BulkOutcome, BulkStep, Status, Undone
from app.store.renumber import Renumber, renumber, summary
from app.store.write_context import WriteContext

_OPERATIONS = (
    "Creates, updates, deletes and restores rows in one transaction; the order given is the order "
    "logged, and an operation sees what those before it did. Where one is refused, nothing is "
    "done: 409 `BULK_FAILED`, whose `results` tell which and why. With `atomic: false` the others "
    "are done all the same, and each result tells its own."
)
_LABELS = (
    "The rows are called by the prefix and a number that counts on. Labels may be swapped. A new "
    "label that another row holds is a 409 `DUPLICATE_ID` with its `holders`, and nothing is done."
)


_RESULTS: Final = "What became of each operation, in their order."


class Relabelled(AnswerModel):
    """A row that was listed, with its label before and after."""

    uuid: str
    """The key of the row."""
    before: str = Field(alias="from")
    """Its label before."""
    to: str
    """Its label now."""


class Renumbered(AnswerModel):
    """The rows in their order; ``renamed`` counts those whose label changed."""

    results: list[Relabelled]
    """The rows in their order."""
    renamed: int
    """How many of them got another label."""


def router() -> APIRouter:
    """Return the router of ``/productions/{production}/{collection}/bulk`` and ``/renumber``."""
    router = production_router()
    for entity in discovered().values():
        if issubclass(entity, Entity):
            for path in (entity.collection, *entity.path_aliases):
                _add_bulk(router, entity, path)
                _add_renumber(router, entity, path)
    return router


def _add_bulk(router: APIRouter, entity: type[Row], path: str) -> None:
    name = names_of(entity, path)

    @router.post(f"/{path}/bulk", operation_id=f"bulk_{name.many}",
                 summary=f"Create, change, delete and restore many of: {entity.noun}",
                 description=_OPERATIONS, tags=[entity.noun],
                 responses=answers(_answer_model(entity), NotFound, Conflict, Invalid, KeyReused),
                 openapi_extra={"parameters": [IDEMPOTENCY_KEY], **name.extra})  # fmt: skip
    async def edit_rows(
        production: ProductionKey, body: Bulk, writer: IdempotentWriterDep, request_id: RequestIdDep
    ) -> Response:
        actor = actor_in(body, request_id)
        steps = [bulk.read_step(entity, production, each, actor) for each in body.operations]

        async def work(context: WriteContext) -> list[BulkOutcome]:
            try:
                return await bulk.run(context, entity, production, steps, atomic=body.atomic)
            except Undone as undone:
                raise _failure(undone.outcomes, _results(path, undone.outcomes, steps)) from None

        return await writer.write(
            production, work, lambda outcomes: _answer(path, outcomes, body, steps)
        )


def _answer(
    path: str, outcomes: Sequence[BulkOutcome], body: Bulk, steps: Sequence[BulkStep]
) -> Response:
    failed = sum(outcome.status == "failed" for outcome in outcomes)
    results = b",".join(_results(path, outcomes, steps))
    content = b'{"results":[%b],"failed":%d}' % (results, failed)
    ignored = [name for step in steps for name in step.ignored]
    return json_response(content, request_body=body, ignored=ignored)


def _results(path: str, outcomes: Sequence[BulkOutcome], steps: Sequence[BulkStep]) -> list[bytes]:
    results = []
    for index, (outcome, step) in enumerate(zip(outcomes, steps, strict=True)):
        key = getattr(step.operation, "key", "")
        end = "/restore" if step.restore else ""
        instance = f"/api/{path}{key and f'/{key}'}{end}"
        results.append(outcome_json(b'"index":%d' % index, outcome, instance))
    return results


def _failure(outcomes: Sequence[BulkOutcome], results: Sequence[bytes]) -> BulkFailed:
    index, error = next((i, outcome.error) for i, outcome in enumerate(outcomes) if outcome.error)
    return BulkFailed(
        f"Operation {index} (counted from 0) was refused, so nothing was done: {error.message}",
        results=[from_json(result) for result in results],
    )


@cache
def _answer_model(entity: type[Row]) -> type[BaseModel]:
    """Return the model of a bulk answer."""
    result = create_model(
        f"{entity.__name__}BulkResult", __base__=AnswerModel,
        __doc__="What became of one operation: the row as it is now, or why it was refused.",
        **result_members(read_schema(entity), Status),
    )  # fmt: skip
    members: dict[str, Any] = {
        "results": (Annotated[list[result], Field(description=_RESULTS)], ...),
        "failed": (Annotated[int, Field(description="How many were refused.")], ...),
    }
    return create_model(
        f"{entity.__name__}BulkAnswer", __base__=AnswerModel,
        __doc__="The results in the order of the operations, and how many of them failed.",
        **members,
    )  # fmt: skip


def _add_renumber(router: APIRouter, entity: type[Row], path: str) -> None:
    name = names_of(entity, path)

    @router.post(f"/{path}/renumber", operation_id=f"renumber_{name.many}",
                 summary=f"Give new labels that count on to many of: {entity.noun}",
                 description=_LABELS, tags=[entity.noun],
                 responses=answers(Renumbered, NotFound, Conflict, Invalid, KeyReused),
                 openapi_extra={"parameters": [IDEMPOTENCY_KEY], **name.extra})  # fmt: skip
    async def renumber_rows(
        production: ProductionKey, body: Renumber, writer: IdempotentWriterDep,
        request_id: RequestIdDep,
    ) -> Response:  # fmt: skip
        actor = actor_in(body, request_id)
        return await writer.write(
            production,
            lambda context: renumber(context, entity, production, body, actor),
            lambda renamed: json_response(to_json(summary(renamed)), request_body=body),
        )

"""Many rows of one collection in one request: written in bulk, or renumbered."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic_core import from_json, to_json

from app.api.errors import Problem, documented, encoded
from app.api.idempotent import IDEMPOTENCY_KEY, written
from app.api.requests import JsonRoute, answer, name_ignored, request_id
from app.entities import discovered, root
from app.errors import BulkFailed, Conflict, Invalid, NotFound
from app.model.entity import Entity, Row
from app.model.fields import NO_NUL
from app.model.schemas import read_shape, unknown_members
from app.store import bulk
from app.store.bulk import Bulk, BulkCreate, BulkOutcome, BulkStep, Status, Undone
from app.store.edit import actor_of
from app.store.renumber import Renumber, renumber, summary
from app.store.write_context import WriteContext

Production = Annotated[str, Path(pattern=NO_NUL, description="The production's uuid or label.")]
_WHO = ("user_id", "user_name", "last_modified_by")
_OPERATIONS = (
    "Creates, updates and deletes rows in one transaction; the order given is the order logged, "
    "and an operation sees what those before it did. Where one is refused, nothing is done: 409 "
    "`BULK_FAILED`, whose `results` tell which and why. With `atomic: false` the others are done "
    "all the same, and each result tells its own."
)
_LABELS = (
    "The rows are called by the prefix and a number that counts on. Labels may be swapped. A new "
    "label that another row holds is a 409 `DUPLICATE_ID` with its `holders`, and nothing is done."
)


class Relabelled(BaseModel):
    """A row that was named, with its label before and after."""

    model_config = ConfigDict(extra="forbid")

    uuid: str
    before: str = Field(alias="from")
    to: str


class Renumbered(BaseModel):
    """The rows in their order; ``renamed`` of them have another label than before."""

    model_config = ConfigDict(extra="forbid")

    results: list[Relabelled]
    renamed: int


def router() -> APIRouter:
    """Give the router of ``/productions/{production}/{collection}/bulk`` and ``/renumber``."""
    made = APIRouter(prefix=f"/{root().collection}/{{production}}", route_class=JsonRoute)
    for entity in discovered().values():
        if issubclass(entity, Entity):
            for mount in (entity.collection, *entity.path_aliases):
                _add_bulk(made, entity, mount)
                _add_renumber(made, entity, mount)
    return made


def _add_bulk(router: APIRouter, entity: type[Row], mount: str) -> None:
    async def edit_rows(production: Production, body: Bulk, request: Request) -> Response:
        actor = actor_of({name: getattr(body, name) for name in _WHO}, request_id(request))
        steps = bulk.read_steps(entity, production, body, actor)

        async def work(context: WriteContext) -> list[BulkOutcome]:
            try:
                return await bulk.run(context, entity, production, steps, atomic=body.atomic)
            except Undone as undone:
                results = _results(mount, undone.outcomes, steps)
                raise _failure(undone.outcomes, results) from None

        return await written(
            request, production, work, lambda made: _answer(mount, made, body, steps)
        )

    router.add_api_route(
        f"/{mount}/bulk",
        edit_rows,
        methods=["POST"],
        tags=[entity.noun],
        operation_id=f"bulk_{mount.replace('-', '_')}",
        summary=f"Create, change and delete many of: {entity.noun}",
        description=_OPERATIONS,
        response_model=None,
        responses={200: {"model": _answered(entity)}, **documented(NotFound, Conflict, Invalid)},
        openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
    )


def _answer(
    mount: str, made: Sequence[BulkOutcome], body: Bulk, steps: Sequence[BulkStep]
) -> Response:
    failed = sum(outcome.status == "failed" for outcome in made)
    results = b",".join(_results(mount, made, steps))
    response = answer(b'{"results":[%b],"failed":%d}' % (results, failed))
    name_ignored(response, _ignored(body, steps))
    return response


def _results(mount: str, made: Sequence[BulkOutcome], steps: Sequence[BulkStep]) -> list[bytes]:
    return [
        _result(mount, number, outcome, step)
        for number, (outcome, step) in enumerate(zip(made, steps, strict=True))
    ]


def _result(mount: str, number: int, outcome: BulkOutcome, step: BulkStep) -> bytes:
    """Give one result as JSON: the row in the very bytes that PostgreSQL made."""
    parts = [b'"index":%d,"status":"%b"' % (number, outcome.status.encode())]
    if outcome.entity is not None:
        parts.append(b'"entity":' + outcome.entity)
    if outcome.error is not None:
        operation = step.operation
        key = "" if isinstance(operation, BulkCreate) else f"/{operation.key}"
        parts.append(b'"error":' + encoded(outcome.error, f"/api/{mount}{key}"))
    return b"{%b}" % b",".join(parts)


def _failure(made: Sequence[BulkOutcome], results: Iterable[bytes]) -> BulkFailed:
    number, error = next((n, o.error) for n, o in enumerate(made) if o.error)
    return BulkFailed(
        f"Operation {number} (counted from 0) was refused, so nothing was done: {error.message}",
        results=[from_json(result) for result in results],
    )


def _ignored(body: Bulk, steps: Iterable[BulkStep]) -> list[str]:
    names = [*unknown_members(body), *(name for step in steps for name in step.ignored)]
    return list(dict.fromkeys(names))


@cache
def _answered(entity: type[Row]) -> type[BaseModel]:
    """Give the shape of a bulk answer."""
    row: Any = read_shape(entity)
    result = create_model(
        f"{entity.__name__}BulkResult",
        __config__=ConfigDict(extra="forbid"),
        __doc__="What became of one operation: the row as it is now, or why it was refused.",
        index=(int, ...),
        status=(Status, ...),
        entity=(row, None),
        error=(Problem, None),
    )
    return create_model(
        f"{entity.__name__}BulkAnswer",
        __config__=ConfigDict(extra="forbid"),
        __doc__="The results in the order of the operations, and how many of them failed.",
        results=(list[result], ...),
        failed=(int, ...),
    )


def _add_renumber(router: APIRouter, entity: type[Row], mount: str) -> None:
    async def renumber_rows(production: Production, body: Renumber, request: Request) -> Response:
        actor = actor_of({name: getattr(body, name) for name in _WHO}, request_id(request))
        return await written(
            request,
            production,
            lambda context: renumber(context, entity, production, body, actor),
            lambda renamed: answer(to_json(summary(renamed)), request_body=body),
        )

    router.add_api_route(
        f"/{mount}/renumber",
        renumber_rows,
        methods=["POST"],
        tags=[entity.noun],
        operation_id=f"renumber_{mount.replace('-', '_')}",
        summary=f"Give new labels that count on to many of: {entity.noun}",
        description=_LABELS,
        response_model=None,
        responses={200: {"model": Renumbered}, **documented(NotFound, Conflict, Invalid)},
        openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
    )

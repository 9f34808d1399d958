"""The routes that tell a row's history and bring it back, for every entity type."""

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field

from app.api.errors import documented
from app.api.idempotent import IDEMPOTENCY_KEY, written
from app.api.requests import answer, database, entity_routers, request_id
from app.errors import AmbiguousId, Conflict, Invalid, LogTrimmed, NotFound
from app.model.entity import Row
from app.model.fields import NO_NUL
from app.model.schemas import DeleteBody, WireMoment, read_shape
from app.store import history
from app.store.edit import actor_of
from app.store.restore import RestoreRequest, restore

_WORDS: Final = "The row's uuid, also of a deleted one, or the label of exactly one live row."
Key = Annotated[str, Path(pattern=NO_NUL, description=_WORDS)]
Limit = Annotated[int, Query(ge=1, le=1_000, description="How many at most.")]
Before = Annotated[int, Query(ge=1, le=history.NEWEST, description="The last answer's `next`.")]
Full = Annotated[bool, Query(description="Whether to add the row as it was, as `entity`.")]


class HistoryEntry(BaseModel):
    """One write of the row. ``entity`` is there only where it was asked for; a ``blind`` update
    did not say what it started from."""

    seq: int
    version: int
    operation: Literal["CREATE", "UPDATE", "DELETE"]
    timestamp: WireMoment
    userId: str
    userName: str
    blind: bool
    changes: dict[str, list[Any]]
    entity: Any = None


class History(BaseModel):
    """Writes of a row, newest first. ``next`` is null where no older ones are held."""

    history: list[HistoryEntry]
    next: int | None


class RestoreBody(DeleteBody):
    """What to bring back, and who does. Without ``version`` a deleted row comes back as it was."""

    version: Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)] | None = None
    fields: Annotated[list[str], Field(min_length=1, max_length=1_000)] | None = None


def routers() -> list[APIRouter]:
    """Give the routers of all entity types."""
    return entity_routers("/{key}", _add)


def _add(router: APIRouter, entity: type[Row], name: str) -> None:
    _add_history(router, entity, name)
    _add_restore(router, entity, name)


def _add_history(router: APIRouter, entity: type[Row], name: str) -> None:
    async def list_history(
        request: Request,
        key: Key,
        limit: Limit = 100,
        before: Before = history.NEWEST,
        full: Full = False,  # noqa: FBT002  # a member of the query
    ) -> Response:
        found = await history.of_row(
            database(request), entity, key, before=before, limit=limit, full=full
        )
        return answer(found)

    router.add_api_route(
        "/history",
        list_history,
        methods=["GET"],
        operation_id=f"list_{name}_history",
        summary=f"Tell who changed what of a {entity.noun}",
        description="Newest first, as far as the change log goes back.",
        response_model=None,
        responses={200: {"model": History}, **documented(NotFound, AmbiguousId, Invalid)},
    )


def _add_restore(router: APIRouter, entity: type[Row], name: str) -> None:
    async def restore_row(request: Request, key: Key, body: RestoreBody | None = None) -> Response:
        said = body or RestoreBody()
        actor = actor_of(said.model_dump(), request_id(request))
        wish = RestoreRequest(said.version, said.fields, actor)
        return await written(
            request,
            key,
            lambda unit: restore(unit, entity, key, wish),
            lambda back: answer(back, request_body=body),
        )

    router.add_api_route(
        "/restore",
        restore_row,
        methods=["POST"],
        operation_id=f"restore_{name}",
        summary=f"Bring a {entity.noun} back",
        description="Writes what differs from an earlier version, as any edit; a deleted row comes "
        "back to life. Where nothing differs, nothing is written.",
        response_model=None,
        responses={200: {"model": read_shape(entity)}, **documented(*_ERRORS)},
        openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
    )


_ERRORS: Final = (NotFound, Conflict, LogTrimmed, Invalid)

"""The routes of a row's history and of its restoration, for every entity type."""

from functools import partial
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from app.access.audit import of_request
from app.api.dependencies import (
    AuditDep,
    DatabaseDep,
    IdempotentWriterDep,
    KeyDep,
    Limit,
    RequestIdDep,
)
from app.api.idempotent import IDEMPOTENCY_KEY
from app.api.json_requests import actor_in
from app.api.openapi import IN_SHOW, answers, path_parameter
from app.api.responses import json_response
from app.api.routes.routers import entity_routers
from app.errors import AmbiguousId, Conflict, Invalid, KeyReused, LogTrimmed, NotFound
from app.model.entity import Entity, Row
from app.model.operation_names import Names
from app.model.schemas import WireMoment, read_schema
from app.store import history
from app.store.history import RestoreBody, restore

_KEY: Final = "The row's uuid, also of a deleted one, or the label of exactly one live row."
_RESTORE: Final = (
    "Writes what differs from an earlier version, as any edit; a deleted row comes back to life. "
    "Where nothing differs, nothing is written."
)
Before = Annotated[int, Query(ge=1, le=history.NEWEST, description="The last answer's `next`.")]
Full = Annotated[bool, Query(description="Whether to add the row as it was, as `entity`.")]


class HistoryEntry(BaseModel):
    """One write of the row. ``entity`` is there only where it was asked for.

    A ``blind`` update did not name the version that it started from.
    """

    seq: int
    """The number of the change within its show; numbers have no gap."""
    version: int
    """The version of the row after the change."""
    operation: Literal["CREATE", "UPDATE", "DELETE"]
    """What was done."""
    timestamp: WireMoment
    """When it was done, in UTC."""
    userId: str
    """Who did it, by the id that the client has for people."""
    userName: str
    """Who did it, by name."""
    blind: bool
    """Whether the writer did not say which version the edit started from."""
    changes: dict[str, list[Any]]
    """For each member that changed its value before and after; of a secret neither."""
    entity: Any = None
    """The row as it was after the change, where it was asked for."""


class RowHistory(BaseModel):
    """Writes of a row, newest first. ``next`` is null where no older ones are held."""

    history: list[HistoryEntry]
    """The writes, newest first."""
    next: int | None
    """The number to send as `before` for older ones; null where none are held."""


def routers() -> list[APIRouter]:
    """Return the routers of all entity types."""
    return entity_routers("/{key}", _add_routes)


def _key_of(entity: type[Row]) -> list[dict[str, Any]]:
    key = path_parameter("key", _KEY)
    return [key, IN_SHOW] if issubclass(entity, Entity) else [key]


def _add_routes(router: APIRouter, entity: type[Row], name: Names) -> None:
    _add_history(router, entity, name)
    _add_restore(router, entity, name)


def _add_history(router: APIRouter, entity: type[Row], name: Names) -> None:
    @router.get("/history", operation_id=f"list_{name.one}_history",
                summary=f"Tell who changed what of a {entity.noun}",
                description="Newest first, as far as the change log goes back.",
                responses=answers(RowHistory, NotFound, AmbiguousId, Invalid),
                openapi_extra={"parameters": _key_of(entity), **name.extra})  # fmt: skip
    async def list_history(
        database: DatabaseDep,
        key: KeyDep,
        limit: Limit = 100,
        before: Before = history.NEWEST,
        full: Full = False,  # noqa: FBT002  # a member of the query
    ) -> Response:
        entries = await history.of_row(database, entity, key, before=before, limit=limit, full=full)
        return json_response(entries)


def _add_restore(router: APIRouter, entity: type[Row], name: Names) -> None:
    @router.post("/restore", operation_id=f"restore_{name.one}", description=_RESTORE,
                 summary=f"Bring a {entity.noun} back",
                 responses=answers(read_schema(entity), NotFound, Conflict, LogTrimmed, Invalid,
                                   KeyReused),
                 openapi_extra={
                     "parameters": [*_key_of(entity), IDEMPOTENCY_KEY], **name.extra,
                 })  # fmt: skip
    async def restore_row(
        http: Request, writer: IdempotentWriterDep, request_id: RequestIdDep, key: KeyDep,
        audit: AuditDep, body: RestoreBody | None = None,
    ) -> Response:  # fmt: skip
        request = body or RestoreBody()
        actor = actor_in(request, request_id)
        response = await writer.write(
            key,
            partial(restore, entity=entity, key=key, request=request, actor=actor),
            lambda row: json_response(row, request_body=body),
        )
        if response.status_code == 200:
            audit.note(of_request(http.scope, "row.restored", type=entity.collection, key=key))
        return response

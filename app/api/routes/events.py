"""The routes of a production's events: its log in the form that older clients read."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import Path, Response
from pydantic import BaseModel

from app.api.dependencies import DatabaseDep, Limit, ProductionKey
from app.api.openapi import documented
from app.api.responses import json_response
from app.api.routes.routers import production_router
from app.changelog import events
from app.errors import Invalid, InvalidTimestamp, NotFound
from app.model.fields import EPOCH_MS_MAX, NO_NUL
from app.model.schemas import WireMoment

router: Final = production_router("/events", "Events")
Key = Annotated[str, Path(pattern=NO_NUL, description="The row's uuid or label.")]


class Event(BaseModel):
    """One write, as it was logged. ``seq`` is null for what the older service logged."""

    uuid: str
    seq: int | None
    productionId: str
    productionUuid: str
    eventType: str
    operation: str
    entityId: str
    entityData: Any
    changes: Any
    userId: str
    userName: str | None
    version: int
    timestamp: WireMoment


_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": list[Event]}, **documented(NotFound, Invalid)
}  # fmt: skip


@router.get("", operation_id="list_events", responses=_ANSWERS)
async def newest(database: DatabaseDep, production: ProductionKey, limit: Limit = 100) -> Response:
    """List the last events, newest first."""
    return json_response(await events.newest(database, production, limit))


@router.get("/entity/{key}", operation_id="list_entity_events",
            responses=_ANSWERS)  # fmt: skip
async def of_entity(
    database: DatabaseDep, production: ProductionKey, key: Key, limit: Limit = 100
) -> Response:
    """List the events of one entity, deleted or not, newest first."""
    return json_response(await events.of_entity(database, production, key, limit))


@router.get("/since/{milliseconds}", operation_id="list_events_since",
            responses={**_ANSWERS, **documented(InvalidTimestamp)})  # fmt: skip
async def since(
    database: DatabaseDep, production: ProductionKey, milliseconds: str, limit: Limit = 1_000
) -> Response:
    """List the events after a time in milliseconds since 1970-01-01 UTC, oldest first."""
    if not (milliseconds.isascii() and milliseconds.isdigit() and len(milliseconds) < 16):
        raise InvalidTimestamp("Send the time as milliseconds since 1970-01-01 UTC.")
    moment = datetime.fromtimestamp(min(int(milliseconds), EPOCH_MS_MAX) / 1_000, UTC)
    return json_response(await events.since(database, production, moment, limit))

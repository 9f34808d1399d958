"""The historic event endpoints of a production."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel

from app.api.errors import documented
from app.api.requests import JsonRoute, answer, database
from app.changelog import events
from app.errors import Invalid, InvalidTimestamp, NotFound
from app.model.fields import EPOCH_MS_MAX, NO_NUL
from app.model.schemas import WireMoment

router: Final = APIRouter(
    prefix="/productions/{production}/events", tags=["Events"], route_class=JsonRoute
)
Key = Annotated[str, Path(pattern=NO_NUL, description="A uuid or a label.")]
Limit = Annotated[int, Query(ge=1, le=1_000, description="How many at most.")]


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


@router.get("", operation_id="list_events", response_model=None, responses=_ANSWERS)
async def newest(request: Request, production: Key, limit: Limit = 100) -> Response:
    """The last events, newest first."""
    return answer(await events.newest(database(request), production, limit))


@router.get("/entity/{key}", operation_id="list_entity_events", response_model=None,
            responses=_ANSWERS)  # fmt: skip
async def of_entity(request: Request, production: Key, key: Key, limit: Limit = 100) -> Response:
    """The events of one entity, deleted or not, newest first."""
    return answer(await events.of_entity(database(request), production, key, limit))


@router.get("/since/{milliseconds}", operation_id="list_events_since", response_model=None,
            responses={**_ANSWERS, **documented(InvalidTimestamp)})  # fmt: skip
async def since(
    request: Request, production: Key, milliseconds: str, limit: Limit = 1_000
) -> Response:
    """The events after a time in milliseconds since 1970-01-01 UTC, oldest first."""
    if not (milliseconds.isascii() and milliseconds.isdigit() and len(milliseconds) < 16):
        raise InvalidTimestamp("Send the time as milliseconds since 1970-01-01 UTC.")
    moment = datetime.fromtimestamp(min(int(milliseconds), EPOCH_MS_MAX) / 1_000, UTC)
    return answer(await events.since(database(request), production, moment, limit))

"""The route of a production's feed: its change log, by number."""

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel

from app.api.errors import documented
from app.api.requests import JsonRoute, answer, database
from app.changelog import feed
from app.errors import Invalid, LogTrimmed, NotFound
from app.model.fields import NO_NUL
from app.model.schemas import WireMoment

router: Final = APIRouter(
    prefix="/productions/{production}/changes", tags=["Events"], route_class=JsonRoute
)
Key = Annotated[str, Path(pattern=NO_NUL, description="A uuid or a label.")]
Since = Annotated[int, Query(ge=0, le=2**63 - 1, description="The last answer's `next`.")]
Limit = Annotated[int, Query(ge=1, le=1_000, description="How many at most.")]


class Change(BaseModel):
    """One write, as it was logged; a ``blind`` one did not say what it started from."""

    uuid: str
    seq: int
    productionId: str
    productionUuid: str
    eventType: str
    collection: str
    entityType: str
    operation: Literal["CREATE", "UPDATE", "DELETE"]
    entityId: str
    entityData: Any
    changes: dict[str, list[Any]]
    blind: bool
    userId: str
    userName: str
    version: int
    timestamp: WireMoment


class Feed(BaseModel):
    """Changes in the order of their numbers; ``next`` is what to ask for next time."""

    changes: list[Change]
    next: int
    latest: int
    more: bool


@router.get(
    "",
    operation_id="list_changes",
    summary="Tell what changed in a production",
    response_model=None,
    responses={200: {"model": Feed}, **documented(NotFound, LogTrimmed, Invalid)},
)
async def changes(
    request: Request, production: Key, since: Since = 0, limit: Limit = 500
) -> Response:
    """The changes after a number, oldest first and without a gap, deletes included."""
    return answer(await feed.page(database(request), production, since, limit))

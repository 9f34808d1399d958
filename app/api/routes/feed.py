"""The route of a production's feed: its change log by number."""

from typing import Annotated, Any, Final, Literal

from fastapi import Query, Response
from pydantic import BaseModel

from app.api.dependencies import DatabaseDep, Limit, ProductionKey
from app.api.openapi import documented
from app.api.responses import json_response
from app.api.routes.routers import production_router
from app.changelog import feed
from app.errors import Invalid, LogTrimmed, NotFound
from app.model.schemas import WireMoment

router: Final = production_router("/changes", "Events")
Since = Annotated[int, Query(ge=0, le=2**63 - 1, description="The last answer's `next`.")]


class Change(BaseModel):
    """One write, as it was logged; a ``blind`` one did not name the version it started from."""

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
    responses={200: {"model": Feed}, **documented(NotFound, LogTrimmed, Invalid)},
)
async def list_changes(
    database: DatabaseDep, production: ProductionKey, since: Since = 0, limit: Limit = 500
) -> Response:
    """List the changes after a number, oldest first and without a gap, deletes included."""
    return json_response(await feed.page(database, production, since, limit))

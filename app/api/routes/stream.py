"""The route of a production's live changes: the feed as server-sent events."""

from typing import Annotated, Any, Final

from fastapi import Header, Query, Response

from app.api.dependencies import DatabaseDep, HubDep, ProductionKey, StreamsDep
from app.api.openapi import documented
from app.api.routes.routers import production_router
from app.changelog.events import production_of
from app.errors import Invalid, LogTrimmed, NotFound
from app.live.sse.event_stream import EventStream

router: Final = production_router("/changes", "Events")
_NEWEST: Final = 2**63 - 1
MaybeSince = Annotated[
    int | None,
    Query(ge=0, le=_NEWEST, description="Begin after this number; without it, from now on."),
]
LastEventId = Annotated[
    str | None, Header(description="The `id` of the last event that was read; before `since`.")
]
_DESCRIPTION: Final = """The changes after a number, or from now on, as they are committed.

`event: change` is an entry of the feed, its `seq` as the event's `id`. `event: derived` follows a
change and gives a row that was not written but reads differently since (`collection`, `entityType`,
`entityId`, `entityData`). `event: resync` means that the log no longer holds what was to follow:
load the show from `resync`; the stream goes on from `latest`. Comments keep the connection alive.
"""
_EVENT_STREAM: Final[dict[str, Any]] = {
    "description": "Server-sent events, without an end.",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}


@router.get(
    "/stream",
    operation_id="stream_changes",
    summary="Tell what changes in a production, live",
    description=_DESCRIPTION,
    response_class=Response,
    responses={200: _EVENT_STREAM, **documented(NotFound, LogTrimmed, Invalid)},
)
async def stream_changes(
    database: DatabaseDep,
    streams: StreamsDep,
    hub: HubDep,
    production: ProductionKey,
    since: MaybeSince = None,
    last_event_id: LastEventId = None,
) -> Response:
    """Open the stream. Raises NotFound where there is no such production."""
    uuid = await production_of(database, production)
    start = since if last_event_id is None else _parse_event_id(last_event_id)
    return EventStream(streams, hub, uuid, start)


def _parse_event_id(last_event_id: str) -> int:
    if last_event_id.isascii() and last_event_id.isdecimal() and len(last_event_id) < 20:
        number = int(last_event_id)
        if number <= _NEWEST:
            return number
    raise Invalid.at("Last-Event-ID", "expected the number of a change, as an event's id gives it")

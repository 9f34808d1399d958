"""The routes of a production's changes: its log by number, live, and as older clients read it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Final, Literal

from fastapi import Header, Path, Query, Response
from pydantic import BaseModel

from app.api.dependencies import (
    CallerDep,
    DatabaseDep,
    HubDep,
    IdempotentWriterDep,
    Limit,
    ProductionKey,
    SenderDep,
    StillSeesDep,
    StreamsDep,
)
from app.api.idempotent import IDEMPOTENCY_KEY
from app.api.json_requests import actor_in
from app.api.openapi import answers, documented
from app.api.responses import json_response, outcome_json
from app.api.routes.routers import production_router
from app.changelog import events, feed
from app.errors import Conflict, Invalid, InvalidTimestamp, KeyReused, LogTrimmed, NotFound
from app.live.sse.event_stream import EventStream
from app.model.fields import EPOCH_MS_MAX, NO_NUL
from app.model.schemas import DeleteBody, WireMoment
from app.store.undo import LoggedChange, UndoOutcome, undo, undo_request

router: Final = production_router("Changes")
_NEWEST: Final = 2**63 - 1
Key = Annotated[str, Path(pattern=NO_NUL, description="The row's uuid or label.")]
Milliseconds = Annotated[str, Path(description="Milliseconds since 1970-01-01 UTC.")]
Since = Annotated[int, Query(ge=0, le=_NEWEST, description="The last answer's `next`.")]
MaybeSince = Annotated[
    int | None,
    Query(ge=0, le=_NEWEST, description="Begin after this number; without it, from now on."),
]
LastEventId = Annotated[
    str | None, Header(description="The `id` of the last event that was read; before `since`.")
]


class Event(BaseModel):
    """One write, as it was logged. ``seq`` is null for what the older service logged."""

    uuid: str
    """The key of the entry."""
    seq: int | None
    """The number of the change within its show; null for what the older service logged."""
    productionId: str
    """The label of the show."""
    productionUuid: str
    """The uuid of the show."""
    eventType: str
    """The type of the row in capitals: "CAMERA"."""
    operation: str
    """What was done: "CREATE", "UPDATE" or "DELETE"."""
    entityId: str
    """The uuid of the row."""
    entityData: Any
    """The row as it was after the change, as it was logged."""
    changes: Any
    """What changed, as it was logged."""
    userId: str
    """Who did it, by the id that the client has for people."""
    userName: str | None
    """Who did it, by name."""
    version: int
    """The version of the row after the change."""
    timestamp: WireMoment
    """When it was done, in UTC."""


class Change(BaseModel):
    """One write, as it was logged; a ``blind`` one did not name the version it started from."""

    uuid: str
    """The key of the entry."""
    seq: int
    """The number of the change within its show; numbers have no gap."""
    productionId: str
    """The label of the show."""
    productionUuid: str
    """The uuid of the show."""
    eventType: str
    """The type of the row in capitals: "CAMERA"."""
    collection: str
    """The collection of the row, as in the paths."""
    entityType: str
    """The type of the row as pushed messages have it."""
    operation: Literal["CREATE", "UPDATE", "DELETE"]
    """What was done."""
    entityId: str
    """The uuid of the row."""
    entityData: Any
    """The row as it was after the change."""
    changes: dict[str, list[Any]]
    """For each member that changed its value before and after; of a secret neither."""
    blind: bool
    """Whether the writer did not say which version the edit started from."""
    userId: str
    """Who did it, by the id that the client has for people."""
    userName: str
    """Who did it, by name."""
    version: int
    """The version of the row after the change."""
    timestamp: WireMoment
    """When it was done, in UTC."""


class Feed(BaseModel):
    """Changes in the order of their numbers; ``next`` is what to ask for next time."""

    changes: list[Change]
    """The changes, oldest first."""
    next: int
    """The number to send as `since` next time."""
    latest: int
    """The number of the newest change of the show."""
    more: bool
    """Whether there are more: ask again at once."""


class UndoneRow(BaseModel):
    """A change that was undone, ``unchanged`` where nothing was left of it, and its row now."""

    seq: int
    """The number of the change that was undone."""
    collection: str
    """The collection of its row."""
    status: Literal["undone", "unchanged"]
    """Whether something was written."""
    entity: Any
    """The row as it is now."""


class UndoneRequest(BaseModel):
    """The changes of a request in the order in which they were undone: the last one first."""

    results: list[UndoneRow]
    """The changes in the order in which they were undone."""


_UNDO_ERRORS: Final = (NotFound, Conflict, LogTrimmed, Invalid, KeyReused)
_EVENTS: Final = answers(list[Event], NotFound, Invalid)


@router.get(
    "/events",
    operation_id="list_events",
    summary="List the newest events of a production",
    responses=_EVENTS,
)
async def newest(database: DatabaseDep, production: ProductionKey, limit: Limit = 100) -> Response:
    """List the last events, newest first."""
    return json_response(await events.newest(database, production, limit))


@router.get(
    "/events/entity/{key}",
    operation_id="list_entity_events",
    summary="List the events of one row",
    responses=_EVENTS,
)
async def of_entity(
    database: DatabaseDep, production: ProductionKey, key: Key, limit: Limit = 100
) -> Response:
    """List the events of one entity, deleted or not, newest first."""
    return json_response(await events.of_entity(database, production, key, limit))


@router.get("/events/since/{milliseconds}", operation_id="list_events_since",
            summary="List the events after a time",
            responses={**_EVENTS, **documented(InvalidTimestamp)})  # fmt: skip
async def since(
    database: DatabaseDep,
    production: ProductionKey,
    milliseconds: Milliseconds,
    limit: Limit = 1_000,
) -> Response:
    """List the events after a time in milliseconds since 1970-01-01 UTC, oldest first."""
    if not (milliseconds.isascii() and milliseconds.isdigit() and len(milliseconds) < 16):
        raise InvalidTimestamp("Send the time as milliseconds since 1970-01-01 UTC.")
    moment = datetime.fromtimestamp(min(int(milliseconds), EPOCH_MS_MAX) / 1_000, UTC)
    return json_response(await events.since(database, production, moment, limit))


@router.get("/changes", operation_id="list_changes", summary="Tell what changed in a production",
            responses=answers(Feed, NotFound, LogTrimmed, Invalid))  # fmt: skip
async def list_changes(
    database: DatabaseDep, production: ProductionKey, since: Since = 0, limit: Limit = 500
) -> Response:
    """List the changes after a number, oldest first and without a gap, deletes included."""
    return json_response(await feed.page(database, production, since, limit))


_STREAM: Final = """The changes after a number, or from now on, as they are committed.

`event: change` is an entry of the feed, its `seq` as the event's `id`. `event: derived` follows a
change and gives a row that was not written but reads differently since (`collection`, `entityType`,
`entityId`, `entityData`). `event: resync` means that the log no longer holds what was to follow:
load the show from `resync`; the stream goes on from `latest`. Comments keep the connection alive.
"""
_EVENT_STREAM: Final[dict[str, Any]] = {
    "description": "Server-sent events, without an end.",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}
_TICKET: Final = {
    "name": "ticket", "in": "query", "required": False, "schema": {"type": "string"},
    "description": "In place of a token: what `POST /api/access/tickets` gave.",
}  # fmt: skip


@router.get("/changes/stream", operation_id="stream_changes",
            summary="Tell what changes in a production, live", description=_STREAM,
            responses={200: _EVENT_STREAM, **documented(NotFound, LogTrimmed, Invalid)},
            response_class=Response, openapi_extra={"parameters": [_TICKET]})  # fmt: skip
async def stream_changes(
    database: DatabaseDep, streams: StreamsDep, hub: HubDep, production: ProductionKey,
    caller: CallerDep, still_sees: StillSeesDep, since: MaybeSince = None,
    last_event_id: LastEventId = None,
) -> Response:  # fmt: skip
    """Open the stream. Raises NotFound where there is no such production."""
    uuid = await events.production_of(database, production)
    start = since if last_event_id is None else _parse_event_id(last_event_id)
    return EventStream(streams, hub, uuid, start, caller, partial(still_sees, uuid))


def _parse_event_id(last_event_id: str) -> int:
    if last_event_id.isascii() and last_event_id.isdecimal() and len(last_event_id) < 20:
        number = int(last_event_id)
        if number <= _NEWEST:
            return number
    raise Invalid.at("Last-Event-ID", "expected the number of a change, as an event's id gives it")


Seq = Annotated[int, Path(ge=1, le=_NEWEST, description="The number of the change.")]
_Row = dict[str, Any]
_UNDO: Final = """Takes a change back by one more edit, which merges and conflicts like any other.

An update's fields go back where nobody has changed them since; a row that was made is deleted, one
that was deleted is restored. Where nothing is left of the change, nothing is written. The answer is
the row as it is now.
"""
_UNDO_REQUEST: Final = """Undoes every change that was written by the request of this one, such as a
bulk or a renumbering, the last one first: all of them, or none (409 `BULK_FAILED`).
"""


@router.post("/changes/{seq}/undo", operation_id="undo_change", summary="Undo a change",
             description=_UNDO, openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
             responses=answers(_Row, *_UNDO_ERRORS))  # fmt: skip
async def undo_change(
    writer: IdempotentWriterDep, sender: SenderDep, production: ProductionKey, seq: Seq,
    body: DeleteBody | None = None,
) -> Response:  # fmt: skip
    """Undo one change."""
    actor = actor_in(body or DeleteBody(), sender)
    return await writer.write(
        production,
        partial(undo, production=production, seq=seq, actor=actor),
        lambda row: json_response(row, request_body=body),
    )


@router.post("/changes/{seq}/undo-request", operation_id="undo_request_of_change",
             summary="Undo all changes of a request", description=_UNDO_REQUEST,
             openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
             responses=answers(UndoneRequest, *_UNDO_ERRORS))  # fmt: skip
async def undo_whole_request(
    writer: IdempotentWriterDep, sender: SenderDep, production: ProductionKey, seq: Seq,
    body: DeleteBody | None = None,
) -> Response:  # fmt: skip
    """Undo every change of the request that wrote this one."""
    actor = actor_in(body or DeleteBody(), sender)
    return await writer.write(
        production,
        partial(undo_request, production=production, seq=seq, actor=actor),
        lambda undone: json_response(_undone(undone), request_body=body),
    )


def _undone(results: Sequence[tuple[LoggedChange, UndoOutcome]]) -> bytes:
    each = []
    for change, outcome in results:
        collection = change.entity.collection
        name = b'"seq":%d,"collection":"%b"' % (change.seq, collection.encode())
        each.append(outcome_json(name, outcome, f"/api/{collection}/{change.uuid}"))
    return b'{"results":[%b]}' % b",".join(each)

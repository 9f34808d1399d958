"""What an entry of the log becomes on the wire of Socket.IO."""

import json
from typing import Any
from uuid import UUID

import pytest

from app.entities import root
from app.live.feed.entries import Derived, FeedEntry
from app.live.sockets.messages import Message, of_list, of_room
from app.live.sockets.send_queue import event
from app.live.sse.event_stream import change_event
from app.model.entity import Entity, Row
from app.model.row_size import LARGEST_PUSH
from tests.support.bodies import ALL, SCOPED, named

PLACE = UUID(int=7)
BODY = {"uuid": "u-1", "id": "LABEL 1", "name": 'Ünïcode "quoted"', "note": None, "n": 1.5}
CHANGES = {"name": ["before", "after"]}


def entry(entity: type[Row], operation: str, **more: Any) -> FeedEntry:
    given: dict[str, Any] = {
        "seq": 12, "production": PLACE, "label": "SHOW 1", "collection": entity.collection,
        "operation": operation, "entity_type": entity.entity_type, "entity": "u-1",
        "body": BODY, "changes": CHANGES, "user_id": "ann", "user_name": "Ann", "raw": {}, **more,
    }  # fmt: skip
    return FeedEntry(**given)


def told(messages: Any) -> list[tuple[str, Any]]:
    return [(message.name, json.loads(message.payload)) for message in messages]


@pytest.mark.parametrize("entity", SCOPED, ids=named)
def test_a_row_is_told_with_the_words_of_the_contract(entity: type[Entity]) -> None:
    who = {"userId": "ann", "userName": "Ann", "seq": 12}
    whole = {"entityType": entity.entity_type, "entityId": "u-1", "entity": BODY, **who}
    assert told(of_room(entry(entity, "CREATE"))) == [("entity:created", whole)]
    updated = [("entity:updated", whole | {"changes": CHANGES})]
    assert told(of_room(entry(entity, "UPDATE"))) == updated
    key = "LABEL 1" if entity.entity_type == "ccu" else "u-1"
    gone = {"entityType": entity.entity_type, "entityId": key, **who}
    assert told(of_room(entry(entity, "DELETE"))) == [("entity:deleted", gone)]
    assert told(of_list(entry(entity, "UPDATE"))) == []


def test_a_deleted_row_of_which_the_log_kept_no_body_is_told_by_its_uuid() -> None:
    ccu = next(entity for entity in SCOPED if entity.deleted_by_label)
    ((_, payload),) = told(of_room(entry(ccu, "DELETE", body=None)))
    assert payload["entityId"] == "u-1"


def test_a_production_is_flat_in_its_room_and_wrapped_in_the_list() -> None:
    who = {"userId": "ann", "userName": "Ann", "seq": 12}
    flat, wrapped = BODY | {"seq": 12}, {"production": BODY, **who}
    for operation, word in (("CREATE", "created"), ("UPDATE", "updated")):
        assert told(of_room(entry(root(), operation))) == [("production:updated", flat)]
        assert told(of_list(entry(root(), operation))) == [(f"production:{word}", wrapped)]
    gone = {"productionId": "SHOW 1", "productionUuid": str(PLACE), **who}
    for of in (of_room, of_list):
        assert told(of(entry(root(), "DELETE"))) == [("production:deleted", gone)]


@pytest.mark.parametrize("entity", ALL, ids=named)
def test_rows_that_read_differently_bear_the_number_of_what_caused_it(entity: type[Row]) -> None:
    other = SCOPED[0]
    derived = Derived(other.collection, other.entity_type, "u-2", {"uuid": "u-2"})
    messages = told(of_room(entry(entity, "UPDATE", derived=(derived,))))
    assert len(messages) == 2
    assert messages[1] == ("entity:updated", {
        "entityType": other.entity_type, "entityId": "u-2", "entity": {"uuid": "u-2"},
        "userId": "ann", "userName": "Ann", "seq": 12, "derived": True,
    })  # fmt: skip


def test_a_row_too_large_to_be_pushed_is_announced_with_its_version_and_path() -> None:
    large = {"uuid": "u-1", "version": 3, "note": "x" * (LARGEST_PUSH + 1)}
    camera, who = SCOPED[0], {"userId": "ann", "userName": "Ann", "seq": 12}
    where = {"version": 3, "fetch": f"/api/{camera.collection}/u-1"}
    raw = {"collection": camera.collection, "entityData": large, "changes": {"note": ["", "x"]}}
    derived = Derived(camera.collection, camera.entity_type, "u-1", large)
    written = entry(camera, "UPDATE", body=large, raw=raw, derived=(derived,))
    own = {"entityType": camera.entity_type, "entityId": "u-1", "entity": None, **who, **where}
    assert told(of_room(written)) == [
        ("entity:updated", own), ("entity:updated", own | {"derived": True})
    ]  # fmt: skip
    show = entry(root(), "UPDATE", body=large)
    ((_, flat),), ((_, wrapped),) = told(of_room(show)), told(of_list(show))
    for event_ in (flat, wrapped):
        assert (event_["version"], event_["fetch"]) == (3, "/api/productions/u-1")
    assert (flat["entity"], wrapped["production"]) == (None, None)
    streamed = [
        json.loads(line.removeprefix("data: "))
        for line in change_event(written).decode().splitlines()
        if line.startswith("data: ")
    ]
    assert [each["entityData"] for each in streamed] == [None, None]
    assert [each["fetch"] for each in streamed] == [where["fetch"]] * 2


def test_an_event_is_written_as_socket_io_has_it() -> None:
    packet = event(*Message("entity:created", '{"a":"é"}'))
    assert packet.encode() == '42["entity:created",{"a":"é"}]'

"""The Socket.IO events of an entry of the change log.

One entry may make several events: for the row that was written, and for each row that reads
differently since. All of them carry the entry's number, ``seq``.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from pydantic_core import to_json

from app.entities import discovered, root
from app.live.feed.entries import Derived, FeedEntry
from app.model.row_size import LARGEST_PUSH

_VERBS: Final = {"CREATE": "created", "UPDATE": "updated", "DELETE": "deleted"}


class Message(NamedTuple):
    """An event's name, and its argument as JSON."""

    name: str
    payload: str


def _message(name: str, /, **members: Any) -> Message:
    return Message(name, to_json(members).decode())


def _with_row(source: FeedEntry | Derived, whole: Message, **members: Any) -> Message:
    """Return the event with the whole row, or else with these members and where the row is."""
    if len(whole.payload) <= LARGEST_PUSH:
        return whole
    return _message(whole.name, **members, **source.announcement)


def of_room(entry: FeedEntry) -> Iterator[Message]:
    """Yield the events for those who watch the entry's production."""
    if entry.collection == root().collection:
        yield _of_production(entry)
    else:
        yield _of_entity(entry)
    for derived in entry.derived:
        yield _of_derived(entry, derived)


def of_list(entry: FeedEntry) -> Iterator[Message]:
    """Yield the events for those who watch the list of productions."""
    if entry.collection != root().collection:
        return
    name = f"production:{_VERBS[entry.operation]}"
    if entry.operation == "DELETE":
        yield _message(name, **_production(entry))
    else:
        whole = _message(name, production=entry.body, **_author(entry))
        yield _with_row(entry, whole, production=None, **_production(entry))


def _of_production(entry: FeedEntry) -> Message:
    """Return the production's event; those who watch see a restored one as updated."""
    if entry.operation == "DELETE":
        return _message("production:deleted", **_production(entry))
    whole = _message("production:updated", **{**(entry.body or {}), "seq": entry.seq})
    own = {"uuid": entry.entity, "id": entry.label, "entity": None, "seq": entry.seq}
    return _with_row(entry, whole, **own)


def _of_entity(entry: FeedEntry) -> Message:
    name = f"entity:{_VERBS[entry.operation]}"
    if entry.operation == "DELETE":
        return _message(name, entityType=entry.entity_type, entityId=_key(entry), **_author(entry))
    more: Mapping[str, Any] = {"changes": entry.changes} if entry.operation == "UPDATE" else {}
    own = {"entityType": entry.entity_type, "entityId": entry.entity, **_author(entry)}
    return _with_row(entry, _message(name, entity=entry.body, **own, **more), entity=None, **own)


def _of_derived(entry: FeedEntry, derived: Derived) -> Message:
    own = {"entityType": derived.entity_type, "entityId": derived.uuid, **_author(entry)}
    whole = _message("entity:updated", entity=derived.body, **own, derived=True)
    return _with_row(derived, whole, entity=None, **own, derived=True)


def _key(entry: FeedEntry) -> str:
    """Return the key by which the frontend finds a deleted row."""
    entity = discovered().get(entry.collection)
    if entity is None or not entity.deleted_by_label:
        return entry.entity
    return str((entry.body or {}).get("id") or entry.entity)


def _production(entry: FeedEntry) -> dict[str, Any]:
    return {"productionId": entry.label, "productionUuid": str(entry.production), **_author(entry)}


def _author(entry: FeedEntry) -> dict[str, Any]:
    return {"userId": entry.user_id, "userName": entry.user_name, "seq": entry.seq}

"""What the frontend is told of an entry of the change log, as Socket.IO events.

One entry may be several events: of the row that was written, and of each that reads differently
since. Each bears the entry's number ``seq``; those of the same entry have the same.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from pydantic_core import to_json

from app.entities import discovered, root
from app.live.feed.entries import Derived, FeedEntry

_WORDS: Final = {"CREATE": "created", "UPDATE": "updated", "DELETE": "deleted"}


class Message(NamedTuple):
    """An event's name, and its argument as JSON."""

    name: str
    payload: str


def _message(name: str, /, **members: Any) -> Message:
    return Message(name, to_json(members).decode())


def of_room(entry: FeedEntry) -> Iterator[Message]:
    """Give what those who watch the entry's production are told."""
    if entry.collection == root().collection:
        yield _of_production(entry)
    else:
        yield _of_entity(entry)
    for derived in entry.derived:
        yield _of_derived(entry, derived)


def of_list(entry: FeedEntry) -> Iterator[Message]:
    """Give what those who watch the list of productions are told."""
    if entry.collection != root().collection:
        return
    name = f"production:{_WORDS[entry.operation]}"
    if entry.operation == "DELETE":
        yield _message(name, **_named(entry))
    else:
        yield _message(name, production=entry.body, **_who(entry))


def _of_production(entry: FeedEntry) -> Message:
    """Give the production itself; one that is back reads as changed to those who watched it."""
    if entry.operation == "DELETE":
        return _message("production:deleted", **_named(entry))
    return _message("production:updated", **{**(entry.body or {}), "seq": entry.seq})


def _of_entity(entry: FeedEntry) -> Message:
    name = f"entity:{_WORDS[entry.operation]}"
    if entry.operation == "DELETE":
        return _message(name, entityType=entry.entity_type, entityId=_key(entry), **_who(entry))
    more: Mapping[str, Any] = {"changes": entry.changes} if entry.operation == "UPDATE" else {}
    return _message(name, entityType=entry.entity_type, entityId=entry.entity,
                    entity=entry.body, **_who(entry), **more)  # fmt: skip


def _of_derived(entry: FeedEntry, derived: Derived) -> Message:
    return _message("entity:updated", entityType=derived.entity_type, entityId=derived.uuid,
                    entity=derived.body, **_who(entry), derived=True)  # fmt: skip


def _key(entry: FeedEntry) -> str:
    """Give what the frontend knows a deleted row by."""
    entity = discovered().get(entry.collection)
    if entity is None or not entity.deleted_by_label:
        return entry.entity
    return str((entry.body or {}).get("id") or entry.entity)


def _named(entry: FeedEntry) -> dict[str, Any]:
    return {"productionId": entry.label, "productionUuid": str(entry.production), **_who(entry)}


def _who(entry: FeedEntry) -> dict[str, Any]:
    return {"userId": entry.user_id, "userName": entry.user_name, "seq": entry.seq}

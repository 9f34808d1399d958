"""Streams: what leaves the venue, and where it goes."""

from collections.abc import Mapping
from typing import Any, ClassVar

from app.model.entity import Entity
from app.model.fields import MaybeLine, MaybeUuid, Name
from app.rules.signal_roles import SignalRole


class Stream(Entity, table=True):
    """A stream to a platform."""

    collection: ClassVar[str] = "streams"
    noun: ClassVar[str] = "Stream"
    entity_type: ClassVar[str] = "stream"
    event_type: ClassVar[str] = "STREAM"
    prefix: ClassVar[str] = "STREAM"
    signal_role: ClassVar[SignalRole] = "SINK"
    is_rare: ClassVar[bool] = True
    allow_duplicate_labels: ClassVar[bool] = True
    secrets: ClassVar[tuple[str, ...]] = ("stream_key",)
    example: ClassVar[Mapping[str, Any]] = {
        "name": "MAIN STREAM", "platform": "YouTube", "url": "rtmp://a.rtmp.example.com/live2",
    }  # fmt: skip

    name: Name
    """What it is called: "MAIN STREAM"."""
    platform: MaybeLine = None
    """Where it goes: "YouTube", "Vimeo"."""
    url: MaybeLine = None
    """The address that it is sent to."""
    stream_key: MaybeLine = None
    """The key that lets a sender in at the address: a secret, which only the row itself shows."""
    equipment_uuid: MaybeUuid = None
    """The uuid of the device in the catalogue of equipment, where it was chosen from there."""

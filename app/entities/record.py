"""Records: what is recorded, on which device, in which format."""

from collections.abc import Mapping
from typing import Any, ClassVar

from app.model.entity import Entity
from app.model.fields import MaybeLine, MaybeUuid, Name
from app.rules.signal_roles import SignalRole


class Record(Entity, table=True):
    """A recording."""

    collection: ClassVar[str] = "records"
    noun: ClassVar[str] = "Record"
    entity_type: ClassVar[str] = "record"
    event_type: ClassVar[str] = "RECORD"
    prefix: ClassVar[str] = "REC"
    signal_role: ClassVar[SignalRole] = "SINK"
    is_rare: ClassVar[bool] = True
    allow_duplicate_labels: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"name": "PROGRAM", "format": "ProRes 422"}

    name: Name
    """What it is called: "PROGRAM"."""
    manufacturer: MaybeLine = None
    """Who makes the device: "AJA"."""
    model: MaybeLine = None
    """The maker's name for the device: "Ki Pro Ultra 12G"."""
    format: MaybeLine = None
    """What it records: a codec, a format."""
    equipment_uuid: MaybeUuid = None
    """The uuid of the device in the catalogue of equipment, where it was chosen from there."""

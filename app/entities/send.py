"""Sends: where signals end up: walls, projectors, monitors, records, streams."""

from collections.abc import Mapping
from typing import Any, ClassVar

from app.model.entity import Entity
from app.model.fields import MaybeLine, MaybeNumber, MaybeUuid, MaybeWhole, Name
from app.rules.signal_roles import SignalRole


class Send(Entity, table=True):
    """A destination. Rates are in Hz, rasters in pixels.

    A label already in use is accepted on create: the frontend numbers monitors by counting
    rows, so after a delete it proposes a taken label and cannot ask its user for another.
    """

    collection: ClassVar[str] = "sends"
    noun: ClassVar[str] = "Send"
    entity_type: ClassVar[str] = "send"
    event_type: ClassVar[str] = "SEND"
    prefix: ClassVar[str] = "SEND"
    signal_role: ClassVar[SignalRole] = "SINK"
    conflict_error: ClassVar[str] = "Conflict detected"
    allow_duplicate_labels: ClassVar[bool] = True
    synonyms: ClassVar[Mapping[str, str]] = {"output": "output_connector"}
    example: ClassVar[Mapping[str, Any]] = {
        "type": "VIDEO SWITCH", "name": "SCREEN 1A", "rate": 59.94, "outputConnector": "HDMI",
    }  # fmt: skip

    type: Name
    """The kind of destination: "PROJECTOR", "MONITOR", "RECORD"."""
    name: Name
    """What it is called: "SCREEN 1A"."""
    h_res: MaybeWhole = None
    """The width of the picture in pixels."""
    v_res: MaybeWhole = None
    """The height of the picture in pixels."""
    rate: MaybeNumber = None
    """Frames a second, of an interlaced format fields a second, in Hz."""
    standard: MaybeLine = None
    """The standard of the signal by name: "SMPTE 274M"."""
    secondary_device: MaybeLine = None
    """The device between the signal and the destination, as people call it."""
    output_connector: MaybeLine = None
    """The connector that feeds it: "HDMI", "SDI"."""
    equipment_uuid: MaybeUuid = None
    """The uuid of the device in the catalogue of equipment, where it was chosen from there."""

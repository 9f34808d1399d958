"""Sends: where signals end up: walls, projectors, monitors, records, streams."""

from collections.abc import Mapping
from typing import Any, ClassVar

from app.model.entity import Entity
from app.model.fields import MaybeLine, MaybeNumber, MaybeUuid, MaybeWhole, Name


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
    conflict_error: ClassVar[str] = "Conflict detected"
    allow_duplicate_labels: ClassVar[bool] = True
    synonyms: ClassVar[Mapping[str, str]] = {"output": "output_connector"}
    example: ClassVar[Mapping[str, Any]] = {
        "type": "VIDEO SWITCH", "name": "SCREEN 1A", "rate": 59.94, "outputConnector": "HDMI",
    }  # fmt: skip

    type: Name
    name: Name
    h_res: MaybeWhole = None
    v_res: MaybeWhole = None
    rate: MaybeNumber = None
    standard: MaybeLine = None
    secondary_device: MaybeLine = None
    output_connector: MaybeLine = None
    equipment_uuid: MaybeUuid = None

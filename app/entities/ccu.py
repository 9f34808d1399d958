"""CCUs: camera control units, where a camera's fibre becomes SDI."""

from collections.abc import Mapping
from typing import Any, ClassVar

import sqlalchemy as sa

from app.model.entity import Entity, defaulted
from app.model.fields import MaybeLine, MaybeRows, MaybeUuid, Name, Whole
from app.rules.signal_roles import SignalRole


class Ccu(Entity, table=True):
    """A camera control unit with its reference input and its outputs."""

    collection: ClassVar[str] = "ccus"
    noun: ClassVar[str] = "CCU"
    entity_type: ClassVar[str] = "ccu"
    event_type: ClassVar[str] = "CCU"
    prefix: ClassVar[str] = "CCU"
    signal_role: ClassVar[SignalRole] = "CONTROL_UNIT"
    conflict_error: ClassVar[str] = "Conflict detected"
    deleted_by_label: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {
        "name": "CCU 1",
        "formatMode": "1080p59.94",
        "outputs": [{"id": "CCU 1-OUT1", "type": "3G-SDI", "label": "SDI 1"}],
    }

    name: Name
    """What the CCU is called."""
    manufacturer: MaybeLine = None
    """Who makes the device: "Sony"."""
    model: MaybeLine = None
    """The maker's name for the device: "HDC-3500"."""
    format_mode: MaybeLine = None
    """The format that it works in, as the trade writes it: "1080p59.94"."""
    fiber_input: MaybeLine = None
    """What the cable of the camera ends at: "SMPTE 311M"."""
    reference_input: MaybeLine = None
    """The sync signal that it locks to: "BLACKBURST", "TRI-LEVEL"."""
    outputs: MaybeRows = None
    """Its outputs, an object each: "id", "type", "label" and "format" are what the frontend keeps.
    """
    equipment_uuid: MaybeUuid = None
    """The uuid of the device in the catalogue of equipment, where it was chosen from there."""
    sort_order: Whole = defaulted(0, sa.Integer)
    """The position in lists that people order by hand, from 0."""

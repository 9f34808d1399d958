"""Projectors: what throws a picture on a surface."""

from collections.abc import Mapping
from typing import Any, ClassVar

from app.model.entity import Entity
from app.model.fields import MaybeLine, MaybeNumber, MaybeUuid, MaybeWhole, Name
from app.rules.signal_roles import SignalRole


class ProjectionScreen(Entity, table=True):
    """A projector of the show with the raster that it gets."""

    collection: ClassVar[str] = "projection-screens"
    noun: ClassVar[str] = "Projector"
    entity_type: ClassVar[str] = "projectionScreen"
    event_type: ClassVar[str] = "PROJECTION_SCREEN"
    prefix: ClassVar[str] = "PROJECTOR"
    signal_role: ClassVar[SignalRole] = "SINK"
    is_rare: ClassVar[bool] = True
    allow_duplicate_labels: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {
        "name": "MAIN PROJECTOR", "manufacturer": "Barco", "model": "UDX-4K32",
        "hRes": 1920, "vRes": 1200,
    }  # fmt: skip

    name: Name
    """What it is called: "MAIN PROJECTOR"."""
    manufacturer: MaybeLine = None
    """Who makes the device: "Barco"."""
    model: MaybeLine = None
    """The maker's name for the device: "UDX-4K32"."""
    h_res: MaybeWhole = None
    """The width of the picture in pixels."""
    v_res: MaybeWhole = None
    """The height of the picture in pixels."""
    rate: MaybeNumber = None
    """Frames a second, of an interlaced format fields a second, in Hz."""
    equipment_uuid: MaybeUuid = None
    """The uuid of the device in the catalogue of equipment, where it was chosen from there."""

"""Camera switchers: what cuts the cameras to one programme."""

from collections.abc import Mapping
from typing import Any, ClassVar

from app.model.entity import Entity
from app.model.fields import MaybeLine, MaybeUuid, MaybeWhole, Name


class CamSwitcher(Entity, table=True):
    """A camera switcher with its numbers of inputs and outputs."""

    collection: ClassVar[str] = "cam-switchers"
    noun: ClassVar[str] = "Camera switcher"
    entity_type: ClassVar[str] = "camSwitcher"
    event_type: ClassVar[str] = "CAM_SWITCHER"
    prefix: ClassVar[str] = "CAMSW"
    is_rare: ClassVar[bool] = True
    allow_duplicate_labels: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"name": "CAMERA SWITCHER"}

    name: Name
    """What it is called: "CAMERA SWITCHER"."""
    manufacturer: MaybeLine = None
    """Who makes the device: "Ross"."""
    model: MaybeLine = None
    """The maker's name for the device: "Carbonite Ultra"."""
    inputs: MaybeWhole = None
    """How many inputs it has."""
    outputs: MaybeWhole = None
    """How many outputs it has."""
    equipment_uuid: MaybeUuid = None
    """The uuid of the device in the catalogue of equipment, where it was chosen from there."""

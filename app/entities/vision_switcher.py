"""Vision switchers: what composes the pictures of the screens."""

from collections.abc import Mapping
from typing import Any, ClassVar

from app.model.entity import Entity
from app.model.fields import MaybeLine, MaybeUuid, MaybeWhole, Name
from app.rules.signal_roles import SignalRole


class VisionSwitcher(Entity, table=True):
    """A vision switcher with its inputs, outputs and mix effects."""

    collection: ClassVar[str] = "vision-switchers"
    noun: ClassVar[str] = "Vision switcher"
    entity_type: ClassVar[str] = "visionSwitcher"
    event_type: ClassVar[str] = "VISION_SWITCHER"
    prefix: ClassVar[str] = "VSW"
    signal_role: ClassVar[SignalRole] = "PROCESSING"
    is_rare: ClassVar[bool] = True
    allow_duplicate_labels: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"name": "SCREENS", "inputs": 16, "outputs": 8, "mes": 4}

    name: Name
    """What it is called: "SCREENS"."""
    manufacturer: MaybeLine = None
    """Who makes the device: "Barco"."""
    model: MaybeLine = None
    """The maker's name for the device: "E2"."""
    inputs: MaybeWhole = None
    """How many inputs it has."""
    outputs: MaybeWhole = None
    """How many outputs it has."""
    mes: MaybeWhole = None
    """How many mix effects it has."""
    equipment_uuid: MaybeUuid = None
    """The uuid of the device in the catalogue of equipment, where it was chosen from there."""

"""Cable snakes: multi-channel trunks between positions."""

from collections.abc import Mapping
from typing import Any, ClassVar

from app.model.entity import Entity
from app.model.fields import MaybeLine, MaybeUuid, Name
from app.rules.signal_roles import SignalRole


class CableSnake(Entity, table=True):
    """A multi-channel trunk, named as the crew names it ("FIBER SNAKE 01")."""

    collection: ClassVar[str] = "cable-snakes"
    noun: ClassVar[str] = "Cable snake"
    entity_type: ClassVar[str] = "cableSnake"
    event_type: ClassVar[str] = "CABLE_SNAKE"
    prefix: ClassVar[str] = "SNAKE"
    signal_role: ClassVar[SignalRole] = "TRUNK"
    example: ClassVar[Mapping[str, Any]] = {"name": "FIBER SNAKE 01", "model": "LC x 12"}

    name: Name
    """What the crew calls it: "FIBER SNAKE 01"."""
    manufacturer: MaybeLine = None
    """Who makes the device: "Sony"."""
    model: MaybeLine = None
    """The kind of trunk: "LC x 12"."""
    equipment_uuid: MaybeUuid = None
    """The uuid of the device in the catalogue of equipment, where it was chosen from there."""

"""Routers: matrices that lead any input to any output."""

from collections.abc import Mapping
from typing import Any, ClassVar

from app.model.entity import Entity
from app.model.fields import MaybeLine, MaybeUuid, MaybeWhole, Name


class Router(Entity, table=True):
    """A router with its numbers of inputs and outputs."""

    collection: ClassVar[str] = "routers"
    noun: ClassVar[str] = "Router"
    entity_type: ClassVar[str] = "router"
    event_type: ClassVar[str] = "ROUTER"
    prefix: ClassVar[str] = "RTR"
    is_rare: ClassVar[bool] = True
    allow_duplicate_labels: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"name": "MAIN ROUTER"}

    name: Name
    """What it is called: "MAIN ROUTER"."""
    manufacturer: MaybeLine = None
    """Who makes the device: "Blackmagic Design"."""
    model: MaybeLine = None
    """The maker's name for the device: "Smart Videohub 20x20"."""
    inputs: MaybeWhole = None
    """How many inputs it has."""
    outputs: MaybeWhole = None
    """How many outputs it has."""
    equipment_uuid: MaybeUuid = None
    """The uuid of the device in the catalogue of equipment, where it was chosen from there."""

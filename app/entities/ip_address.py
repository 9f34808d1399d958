"""IP addresses: which device has which address."""

from collections.abc import Mapping
from typing import Any, ClassVar

from app.model.entity import Entity
from app.model.fields import MaybeLine, Name


class IpAddress(Entity, table=True):
    """An address in one of the networks of the show; nobody else in the show has it."""

    collection: ClassVar[str] = "ip-addresses"
    noun: ClassVar[str] = "IP address"
    entity_type: ClassVar[str] = "ipAddress"
    event_type: ClassVar[str] = "IP_ADDRESS"
    prefix: ClassVar[str] = "IP"
    is_device: ClassVar[bool] = False
    is_rare: ClassVar[bool] = True
    allow_duplicate_labels: ClassVar[bool] = True
    unique: ClassVar[tuple[str, ...]] = ("ip",)
    example: ClassVar[Mapping[str, Any]] = {
        "ip": "10.0.10.21", "deviceName": "CCU 1", "category": "CAMERAS", "subnet": "255.255.255.0",
    }  # fmt: skip

    ip: Name
    """The address: "10.0.10.21"."""
    device_name: Name
    """What has it: "CCU 1"."""
    category: Name
    """The group that it stands in: "CAMERAS"."""
    subnet: MaybeLine = None
    """The mask of its network: "255.255.255.0"."""
    gateway: MaybeLine = None
    """The way out of its network: "10.0.10.1"."""

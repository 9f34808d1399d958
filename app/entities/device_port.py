"""Device ports: the connectors of the devices of a show, which signals enter and leave by."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field

from app.model.entity import DeviceReference, Entity, defaulted
from app.model.fields import Flag, MaybeLine, MaybeUuid, MaybeWhole, Name
from app.rules.signal_roles import SignalRole

_Direction = Annotated[Literal["INPUT", "OUTPUT"], Field(sa_type=sa.Text)]


class DevicePort(Entity, table=True):
    """A connector of a device of any type. It lives, dies and is restored with its device.

    A label that the service made begins with that of the device, and follows it.
    """

    collection: ClassVar[str] = "device-ports"
    noun: ClassVar[str] = "Device port"
    entity_type: ClassVar[str] = "devicePort"
    event_type: ClassVar[str] = "DEVICE_PORT"
    prefix: ClassVar[str] = "PORT"
    signal_role: ClassVar[SignalRole] = "PORT"
    is_device: ClassVar[bool] = False
    is_rare: ClassVar[bool] = True
    allow_duplicate_labels: ClassVar[bool] = True
    device_references: ClassVar[tuple[DeviceReference, ...]] = (
        DeviceReference(
            kind="device_type", label="device_id", uuid="device_uuid", likely="ccus", is_owner=True
        ),
    )
    same_by: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("spec_port_uuid",), ("direction", "port_label"),
    )  # fmt: skip
    hidden: ClassVar[frozenset[str]] = frozenset({"deleted_with_uuid"})
    example: ClassVar[Mapping[str, Any]] = {
        "deviceId": "CCU 1", "deviceType": "ccu", "portLabel": "SDI 1", "ioType": "SDI",
        "direction": "OUTPUT", "connector": "BNC", "linkClass": "3G",
    }  # fmt: skip

    device_type: MaybeLine = None
    """The type of the device that has it: an entity type."""
    device_id: MaybeLine = None
    """The label of that device."""
    device_uuid: MaybeUuid = None
    """The uuid of that device."""
    spec_port_uuid: MaybeUuid = None
    """The uuid of the port of the catalogue's device that it was made from."""
    port_label: Name
    """What stands beside it on the device: "SDI 1"."""
    io_type: Name
    """The kind of port as people choose it: "SDI", "HDMI", "12G-SDI"."""
    direction: _Direction
    """Whether signals enter by it or leave."""
    format_uuid: MaybeUuid = None
    """The uuid of the format that is on it."""
    card_slot: MaybeWhole = None
    """The slot of the card that it is on, from 1."""
    port_index: MaybeWhole = None
    """Its position among the ports of its device and direction, from 1."""
    connector: MaybeLine = None
    """The socket: "BNC", "HDMI", "LC"."""
    signal_family: MaybeLine = None
    """The kind of signal: a BNC may carry "SDI" or "REFERENCE"."""
    link_class: MaybeLine = None
    """The fastest link that it carries: "3G", "12G"; HDMI and DisplayPort by their version."""
    loop_uuid: MaybeUuid = None
    """The uuid of the port that it loops through."""
    is_unlisted: Flag = defaulted(False, sa.Boolean)
    """Whether the last list of the device's ports left it out while a connection used it."""
    deleted_with_uuid: UUID | None = None
    """The device with which it was deleted, and with which it comes back."""

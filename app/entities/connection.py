"""Connections: a signal's way from a source, perhaps through a device, to where it ends."""

from collections.abc import Mapping
from typing import Any, ClassVar

from app.model.entity import DeviceReference, Entity, PartReference, PortName, reference
from app.model.fields import MaybeJson, MaybeLine, MaybeUuid, Name
from app.rules.signal_roles import SignalRole


class Connection(Entity, table=True):
    """A path between devices of one production.

    A deleted source stays named, so that the show's checks can report the broken path. Devices and
    outputs are kept by uuid; their labels are stored only for what has none.
    """

    collection: ClassVar[str] = "connections"
    noun: ClassVar[str] = "Connection"
    entity_type: ClassVar[str] = "connection"
    event_type: ClassVar[str] = "CONNECTION"
    prefix: ClassVar[str] = "CON"
    signal_role: ClassVar[SignalRole] = "PATH"
    is_device: ClassVar[bool] = False
    part_references: ClassVar[Mapping[str, PartReference]] = {
        "source_output_uuid": PartReference(reference="source_uuid", parts="outputs")
    }
    device_references: ClassVar[tuple[DeviceReference, ...]] = (
        DeviceReference(
            kind="destination_type", label="destination_id", uuid="destination_uuid", likely="sends"
        ),
        DeviceReference(
            kind="intermediate_type", label="intermediate_id", uuid="intermediate_uuid",
            likely="cameras",
        ),
    )  # fmt: skip
    port_names: ClassVar[Mapping[str, PortName]] = {
        "source_output_id": PortName("source_uuid", "OUTPUT"),
        "intermediate_input": PortName("intermediate_uuid", "INPUT"),
        "intermediate_output": PortName("intermediate_uuid", "OUTPUT"),
    }
    example: ClassVar[Mapping[str, Any]] = {
        "sourceId": "SRC 1", "destinationType": "SEND", "destinationId": "DST 1",
    }  # fmt: skip

    name: MaybeLine = None
    """What the path is called."""
    source_uuid: MaybeUuid = reference("sources", on_delete="keep")
    """The uuid of the source that the signal comes from."""
    source_output_id: MaybeLine = None
    """The label of the output of the source: "SRC 1-OUT2"."""
    source_output_uuid: MaybeUuid = None
    """The uuid of that output."""
    intermediate_type: MaybeLine = None
    """The type of the device that the signal passes: an entity type, or free text."""
    intermediate_id: MaybeLine = None
    """The label of that device."""
    intermediate_uuid: MaybeUuid = None
    """The uuid of that device, where it is a row of the show."""
    intermediate_input: MaybeLine = None
    """The input at which the signal enters that device."""
    intermediate_output: MaybeLine = None
    """The output at which the signal leaves it."""
    destination_type: Name
    """The type of the device that the signal ends at: an entity type, or free text."""
    destination_id: MaybeLine = None
    """The label of that device."""
    destination_uuid: MaybeUuid = None
    """The uuid of that device, where it is a row of the show."""
    signal_path: MaybeJson = None
    """The way of the signal as the frontend draws it: free JSON."""

"""Connections: a signal's way from a source, perhaps through a device, to where it ends."""

from collections.abc import Mapping
from typing import Any, ClassVar

from app.model.entity import DeviceReference, Entity, PartReference, reference
from app.model.fields import MaybeJson, MaybeLine, MaybeUuid, Name


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
    example: ClassVar[Mapping[str, Any]] = {
        "sourceId": "SRC 1", "destinationType": "SEND", "destinationId": "SEND 1",
    }  # fmt: skip

    name: MaybeLine = None
    source_uuid: MaybeUuid = reference("sources", on_delete="keep")
    source_output_id: MaybeLine = None
    source_output_uuid: MaybeUuid = None
    intermediate_type: MaybeLine = None
    intermediate_id: MaybeLine = None
    intermediate_uuid: MaybeUuid = None
    intermediate_input: MaybeLine = None
    intermediate_output: MaybeLine = None
    destination_type: Name
    destination_id: MaybeLine = None
    destination_uuid: MaybeUuid = None
    signal_path: MaybeJson = None

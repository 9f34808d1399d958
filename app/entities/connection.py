"""Connections: a signal's way from a source, perhaps through a device, to where it ends."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, Literal
from uuid import UUID

import sqlalchemy as sa
from pydantic.alias_generators import to_camel
from sqlmodel import Field, SQLModel

from app.model.entity import (
    DeviceReference,
    Entity,
    PartList,
    PartReference,
    PortName,
    defaulted,
    reference,
)
from app.model.fields import (
    Label,
    LengthUnit,
    MaybeJson,
    MaybeLength,
    MaybeLine,
    MaybeText,
    MaybeUuid,
    MaybeWhole,
    Name,
    Whole,
    blank_or,
)
from app.rules.merge import same
from app.rules.path_legs import PathLegs, PathWords
from app.rules.signal_roles import SignalRole

_State = Literal["planned", "pulled", "patched", "verified", "failed"]
_MaybeState = Annotated[_State | None, blank_or(_State), Field(sa_type=sa.Text)]
_WORDS: Final = PathWords(source="source", snake="cableSnake")
_OLDER: Final = (
    "source_uuid", "source_output_id", "source_output_uuid", "intermediate_type",
    "intermediate_id", "intermediate_uuid", "intermediate_input", "intermediate_output",
    "destination_type", "destination_id", "destination_uuid",
)  # fmt: skip


class ConnectionLeg(SQLModel, table=True):
    """A cable of a connection: from a device's output to the next one's input."""

    __tablename__ = "connection_legs"

    uuid: UUID = Field(
        primary_key=True, sa_column_kwargs={"server_default": sa.text("gen_random_uuid()")}
    )
    """The key of the leg for ever."""
    id: Label
    """The label of the leg: "CON 1-LEG2". One that the server made follows its connection."""
    connection_uuid: UUID = Field(foreign_key="connections.uuid", ondelete="CASCADE", index=True)
    index: Whole = defaulted(1, sa.Integer)
    """Which leg of the path it is, from 1: the order of the signal."""
    from_device_type: MaybeLine = None
    """The type of the device that it leaves. Left out, it is where the leg before ends."""
    from_device_id: MaybeLine = None
    """The label of that device, where no row of the show is that device."""
    from_device_uuid: MaybeUuid = None
    """The uuid of that device."""
    from_port: MaybeLine = None
    """The output of that device: "OUT 3"."""
    from_port_uuid: MaybeUuid = None
    """The uuid of that output, a device port or an output of a source."""
    to_device_type: MaybeLine = None
    """The type of the device that it enters. The next leg leaves the same one."""
    to_device_id: MaybeLine = None
    """The label of that device, where no row of the show is that device."""
    to_device_uuid: MaybeUuid = Field(default=None, index=True)
    """The uuid of that device."""
    to_port: MaybeLine = None
    """The input of that device: "IN 1"."""
    to_port_uuid: MaybeUuid = None
    """The uuid of that input."""
    cable_type: MaybeLine = None
    """The kind of cable: "RG6", "SMPTE 311M"."""
    cable_label: MaybeLine = None
    """What stands on both ends of the cable."""
    length: MaybeLength = None
    """How long it is, in ``lengthUnit``. Unknown is null, not 0."""
    length_unit: LengthUnit = None
    """The unit of the length; without one it is feet."""
    snake_uuid: MaybeUuid = Field(default=None, index=True)
    """The uuid of the snake that it rides."""
    channel: MaybeWhole = None
    """The channel of that snake, from 1."""
    state: _MaybeState = None
    """How far the crew is with it."""
    note: MaybeText = None
    """Anything that people should know about it, as free text."""
    created_at: datetime = Field(
        sa_type=sa.DateTime(timezone=True),
        sa_column_kwargs={"server_default": sa.text("CURRENT_TIMESTAMP")},
    )
    version: int = defaulted(1, sa.Integer)


class Connection(Entity, table=True):
    """A path between devices of one production.

    A deleted source stays named, so that the show's checks can report the broken path. Devices and
    outputs are kept by uuid; their labels are stored only for what has none. The other members of
    the path are what ``legs`` say, if there are any.
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
    parts: ClassVar[Mapping[str, PartList]] = {
        "legs": PartList(
            ConnectionLeg, owner="connection_uuid", label="LEG", order="index", is_path=True
        )
    }
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

    @classmethod
    def before_write(cls, before: Mapping[str, Any] | None, values: dict[str, Any]) -> None:
        """Change the legs that an older member names, where the write says nothing of legs."""
        legs = (before or {}).get("legs")
        if not before or not legs or not _repeats(values.get("legs"), legs):
            return
        older = {name: values[name] for name in _OLDER if name in values}
        path = PathLegs.of(legs, _WORDS)
        members: dict[str, Any] = {name: before.get(name) for name in _OLDER}
        path.change(before, members | older)
        values["legs"] = path.legs()

    @classmethod
    def after_merge(cls, row: Mapping[str, Any], values: dict[str, Any]) -> None:
        """Add the older members as the legs that are written show them."""
        legs = values.get("legs")
        members = PathLegs.of(legs, _WORDS).older_members() if legs else {}
        for device in cls.device_references:
            if members.get(device.uuid) and members[device.uuid] == row.get(device.uuid):
                del members[device.label], members[device.kind]
        values |= members


def _repeats(submitted: Any, stored: Any) -> bool:
    """Return whether legs say nothing, or only what is stored: a form sends its row back."""
    if submitted is None:
        return True
    by_wire = [{to_camel(name): value for name, value in leg.items()} for leg in submitted]
    return len(by_wire) == len(stored) and all(
        same(value, before.get(name))
        for leg, before in zip(by_wire, stored, strict=True)
        for name, value in leg.items()
    )

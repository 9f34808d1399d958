"""Sources: laptops, desktops and servers that feed the show, with their outputs."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from app.model.entity import Entity, PartList, defaulted
from app.model.fields import Label, MaybeLine, MaybeNumber, MaybeUuid, MaybeWhole, Name, Whole
from app.rules.signal_roles import SignalRole


class SourceOutput(SQLModel, table=True):
    """One connector of a source and the raster it puts out."""

    __tablename__ = "source_outputs"

    uuid: UUID = Field(
        primary_key=True, sa_column_kwargs={"server_default": sa.text("gen_random_uuid()")}
    )
    """The key of the output for ever."""
    id: Label
    """The label of the output: "SRC 1-OUT2". One that the server made follows its source."""
    source_uuid: UUID = Field(foreign_key="sources.uuid", ondelete="CASCADE", index=True)
    connector: Name
    """The connector: "HDMI", "SDI", "DISPLAY PORT"."""
    output_index: Whole = defaulted(1, sa.Integer)
    """Which output of the source it is, from 1."""
    h_res: MaybeWhole = None
    """The width of the picture in pixels."""
    v_res: MaybeWhole = None
    """The height of the picture in pixels."""
    rate: MaybeNumber = None
    """Frames a second, of an interlaced format fields a second, in Hz."""
    standard: MaybeLine = None
    """The standard of the signal by name: "SMPTE 274M"."""
    created_at: datetime = Field(
        sa_type=sa.DateTime(timezone=True),
        sa_column_kwargs={"server_default": sa.text("CURRENT_TIMESTAMP")},
    )
    version: int = defaulted(1, sa.Integer)


class Source(Entity, table=True):
    """A machine that feeds the show. Rates are in Hz (frames or fields), rasters in pixels."""

    collection: ClassVar[str] = "sources"
    noun: ClassVar[str] = "Source"
    entity_type: ClassVar[str] = "source"
    event_type: ClassVar[str] = "SOURCE"
    prefix: ClassVar[str] = "SRC"
    signal_role: ClassVar[SignalRole] = "ORIGIN"
    conflict_error: ClassVar[str] = "Conflict"
    path_aliases: ClassVar[tuple[str, ...]] = ("computers",)
    parts: ClassVar[Mapping[str, PartList]] = {
        "outputs": PartList(SourceOutput, owner="source_uuid", label="OUT", order="output_index")
    }
    example: ClassVar[Mapping[str, Any]] = {
        "type": "LAPTOP", "name": "GFX A", "hRes": 1920, "vRes": 1080, "rate": 59.94,
        "outputs": [{"connector": "HDMI", "outputIndex": 1}],
    }  # fmt: skip

    type: Name
    """The kind of machine: "GRAPHICS LAPTOP", "MEDIA SERVER"."""
    name: Name
    """What it is called: "GFX A"."""
    category: Name = defaulted("COMPUTER", sa.Text)
    """The page of the frontend that it belongs to: "COMPUTER"."""
    format_assignment_mode: MaybeLine = defaulted("system-wide", sa.Text)
    """Whether all outputs have one format ("system-wide") or each its own ("per-io")."""
    h_res: MaybeWhole = None
    """The width of the picture in pixels."""
    v_res: MaybeWhole = None
    """The height of the picture in pixels."""
    rate: MaybeNumber = None
    """Frames a second, of an interlaced format fields a second, in Hz."""
    standard: MaybeLine = None
    """The standard of the signal by name: "SMPTE 274M"."""
    secondary_device: MaybeLine = None
    """The device that it feeds, as people call it: "VISION SWITCHER"."""
    secondary_device_port: MaybeLine = None
    """The input of that device: "IN 1"."""
    primary_device_port: MaybeLine = None
    """The port of the machine itself that is used."""
    blanking: MaybeLine = None
    """The blanking of a computer raster: "NONE", "RBv1", "RBv2" or "RBv3"."""
    equipment_uuid: MaybeUuid = None
    """The uuid of the device in the catalogue of equipment, where it was chosen from there."""

"""Sources: laptops, desktops and servers that feed the show, with their outputs."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from app.model.entity import Entity, PartList, defaulted
from app.model.fields import Label, MaybeLine, MaybeNumber, MaybeUuid, MaybeWhole, Name, Whole


class SourceOutput(SQLModel, table=True):
    """One connector of a source and the raster it puts out."""

    __tablename__ = "source_outputs"

    uuid: UUID = Field(
        primary_key=True, sa_column_kwargs={"server_default": sa.text("gen_random_uuid()")}
    )
    id: Label
    source_uuid: UUID = Field(foreign_key="sources.uuid", ondelete="CASCADE", index=True)
    connector: Name
    output_index: Whole = defaulted(1, sa.Integer)
    h_res: MaybeWhole = None
    v_res: MaybeWhole = None
    rate: MaybeNumber = None
    standard: MaybeLine = None
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
    name: Name
    category: Name = defaulted("COMPUTER", sa.Text)
    format_assignment_mode: MaybeLine = defaulted("system-wide", sa.Text)
    h_res: MaybeWhole = None
    v_res: MaybeWhole = None
    rate: MaybeNumber = None
    standard: MaybeLine = None
    secondary_device: MaybeLine = None
    secondary_device_port: MaybeLine = None
    primary_device_port: MaybeLine = None
    blanking: MaybeLine = None
    equipment_uuid: MaybeUuid = None

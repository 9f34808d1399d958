"""The textbook server's tables and answers, written as SQLModel's tutorials write them.

Its `type: ignore`s are those of any SQLModel class with aliases.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from pydantic import ConfigDict
from pydantic.alias_generators import to_camel
from sqlalchemy import DateTime
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, Relationship, SQLModel

_MOMENT: Any = DateTime(timezone=True)
CAMEL = ConfigDict(alias_generator=to_camel, populate_by_name=True)


def now() -> datetime:
    """Return the time of a write."""
    return datetime.now(UTC)


class Production(SQLModel, table=True):
    """A show, as far as its rows' answers need it."""

    __tablename__ = "productions"

    uuid: UUID = Field(primary_key=True)
    id: str
    is_deleted: bool


class Stored(SQLModel):
    """What every row has."""

    uuid: UUID = Field(default_factory=uuid4, primary_key=True)
    production_uuid: UUID = Field(foreign_key="productions.uuid")
    created_at: datetime = Field(default_factory=now, sa_type=_MOMENT)
    updated_at: datetime = Field(default_factory=now, sa_type=_MOMENT)
    synced_at: datetime | None = Field(default=None, sa_type=_MOMENT)
    version: int = 1
    field_versions: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    is_deleted: bool = False

    @property
    def production_id(self) -> str:
        """Return the label of the production, loaded with the row."""
        return str(self.production.id)  # type: ignore[attr-defined]  # each table has its own


class Answered(SQLModel):
    """What every answer has, in camel case."""

    model_config = CAMEL  # type: ignore[assignment]  # SQLModel's own

    uuid: UUID
    production_uuid: UUID
    created_at: datetime
    updated_at: datetime
    synced_at: datetime | None
    version: int
    field_versions: dict[str, Any]
    is_deleted: bool
    production_id: str


class Described(SQLModel):
    """Columns of every type of equipment."""

    id: str
    note: str | None = None
    last_modified_by: str | None = None


class Device(Described):
    """Columns of what has a name and may be in the catalogue."""

    name: str
    equipment_uuid: UUID | None = None


class CcuColumns(Device):
    """A CCU."""

    manufacturer: str | None = None
    model: str | None = None
    format_mode: str | None = None
    fiber_input: str | None = None
    reference_input: str | None = None
    outputs: list[dict[str, Any]] | None = Field(default=None, sa_type=JSONB)
    sort_order: int = 0


class Ccu(CcuColumns, Stored, table=True):
    """The table of CCUs."""

    __tablename__ = "ccus"

    production: Production = Relationship()


class CcuRead(CcuColumns, Answered):
    """The answer."""


class CameraColumns(Device):
    """A camera."""

    manufacturer: str | None = None
    model: str | None = None
    format_mode: str | None = None
    lens_type: str | None = None
    max_zoom: float | None = None
    shooting_distance: float | None = None
    calculated_zoom: float | None = None
    focal_length: float | None = None
    smpte_cable_length: float | None = None
    has_heavy_tripod: bool | None = None
    has_medium_tripod: bool | None = None
    has_tripod: bool | None = None
    has_short_tripod: bool | None = None
    has_dolly: bool | None = None
    has_jib: bool | None = None
    has_steadicam: bool | None = None
    has_magic_arm: bool | None = None


class Camera(CameraColumns, Stored, table=True):
    """The table of cameras."""

    __tablename__ = "cameras"

    ccu_uuid: UUID | None = Field(default=None, foreign_key="ccus.uuid")
    production: Production = Relationship()
    ccu: Ccu | None = Relationship()

    @property
    def ccu_id(self) -> str | None:
        """Return the label of the CCU."""
        return self.ccu.id if self.ccu else None


class CameraRead(CameraColumns, Answered):
    """The answer."""

    ccu_uuid: UUID | None
    ccu_id: str | None


class OutputColumns(SQLModel):
    """An output of a source."""

    uuid: UUID = Field(default_factory=uuid4, primary_key=True)
    id: str
    connector: str
    output_index: int
    h_res: int | None = None
    v_res: int | None = None
    rate: float | None = None
    standard: str | None = None


class Output(OutputColumns, table=True):
    """The table of outputs."""

    __tablename__ = "source_outputs"

    source_uuid: UUID = Field(foreign_key="sources.uuid")


class OutputRead(OutputColumns):
    """The answer's part."""

    model_config = CAMEL  # type: ignore[assignment]  # SQLModel's own


class SourceColumns(Device):
    """A source."""

    type: str
    category: str
    format_assignment_mode: str | None = None
    h_res: int | None = None
    v_res: int | None = None
    rate: float | None = None
    standard: str | None = None
    secondary_device: str | None = None
    secondary_device_port: str | None = None
    primary_device_port: str | None = None
    blanking: str | None = None


class Source(SourceColumns, Stored, table=True):
    """The table of sources."""

    __tablename__ = "sources"

    production: Production = Relationship()
    outputs: list[Output] = Relationship(
        sa_relationship_kwargs={"order_by": "Output.output_index, Output.uuid"}
    )


class SourceRead(SourceColumns, Answered):
    """The answer."""

    outputs: list[OutputRead]


class SendColumns(Device):
    """A send."""

    type: str
    h_res: int | None = None
    v_res: int | None = None
    rate: float | None = None
    standard: str | None = None
    secondary_device: str | None = None
    output_connector: str | None = None


class Send(SendColumns, Stored, table=True):
    """The table of sends."""

    __tablename__ = "sends"

    production: Production = Relationship()

    @property
    def output(self) -> str | None:
        """Return the connector under its second name."""
        return self.output_connector


class SendRead(SendColumns, Answered):
    """The answer."""

    output: str | None


class SnakeColumns(Device):
    """A cable snake."""

    manufacturer: str | None = None
    model: str | None = None


class CableSnake(SnakeColumns, Stored, table=True):
    """The table of cable snakes."""

    __tablename__ = "cable_snakes"

    production: Production = Relationship()


class CableSnakeRead(SnakeColumns, Answered):
    """The answer."""


class ConnectionColumns(Described):
    """A connection."""

    name: str | None = None
    source_uuid: UUID | None = Field(default=None, foreign_key="sources.uuid")
    source_output_id: str | None = None
    intermediate_type: str | None = None
    intermediate_id: str | None = None
    intermediate_input: str | None = None
    intermediate_output: str | None = None
    destination_type: str
    destination_id: str | None = None
    destination_uuid: UUID | None = None
    signal_path: Any = Field(default=None, sa_type=JSONB)


class Connection(ConnectionColumns, Stored, table=True):
    """The table of connections."""

    __tablename__ = "connections"

    production: Production = Relationship()
    source: Source | None = Relationship()

    @property
    def source_id(self) -> str | None:
        """Return the label of the source."""
        return self.source.id if self.source else None


class ConnectionRead(ConnectionColumns, Answered):
    """The answer."""

    source_id: str | None

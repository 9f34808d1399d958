"""Cable snakes: multi-channel trunks between positions."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

import sqlalchemy as sa
from pydantic import Field as Limits
from sqlmodel import Field, SQLModel

from app.model.entity import Entity, PartList, defaulted
from app.model.fields import (
    Label,
    LengthUnit,
    MaybeLength,
    MaybeLine,
    MaybeText,
    MaybeUuid,
    Name,
    blank_or,
)
from app.rules.signal_roles import SignalRole

_Number = Annotated[int, Limits(strict=True, ge=1, le=10_000), Field(sa_type=sa.Integer)]
_Direction = Literal["A>B", "B>A", "either"]
_MaybeDirection = Annotated[_Direction | None, blank_or(_Direction), Field(sa_type=sa.Text)]
_MaybeCount = Annotated[int | None, Limits(strict=True, ge=0, le=10_000), blank_or(int),
                        Field(sa_type=sa.Integer)]  # fmt: skip


class SnakeChannel(SQLModel, table=True):
    """A numbered channel of a snake, with the connectors of both ends."""

    __tablename__ = "snake_channels"

    uuid: UUID = Field(
        primary_key=True, sa_column_kwargs={"server_default": sa.text("gen_random_uuid()")}
    )
    """The key of the channel for ever."""
    id: Label
    """The label of the channel: "SNAKE 1-CH7". One that the server made follows its snake."""
    cable_snake_uuid: UUID = Field(foreign_key="cable_snakes.uuid", ondelete="CASCADE", index=True)
    number: _Number = defaulted(1, sa.Integer)
    """Which channel it is, from 1."""
    connector_a: MaybeLine = None
    """The connector at the end A: "SDI", "LC"."""
    connector_b: MaybeLine = None
    """The connector at the end B."""
    direction: _MaybeDirection = None
    """Which way signals run in it."""
    feed: MaybeLine = None
    """What feeds it, in the crew's words, where no leg rides it yet."""
    send: MaybeLine = None
    """What it feeds, in the crew's words, where no leg rides it yet."""
    note: MaybeText = None
    """Anything that people should know about it, as free text."""
    created_at: datetime = Field(
        sa_type=sa.DateTime(timezone=True),
        sa_column_kwargs={"server_default": sa.text("CURRENT_TIMESTAMP")},
    )
    version: int = defaulted(1, sa.Integer)


class CableSnake(Entity, table=True):
    """A multi-channel trunk, named as the crew names it ("FIBER SNAKE 01")."""

    collection: ClassVar[str] = "cable-snakes"
    noun: ClassVar[str] = "Cable snake"
    entity_type: ClassVar[str] = "cableSnake"
    event_type: ClassVar[str] = "CABLE_SNAKE"
    prefix: ClassVar[str] = "SNAKE"
    signal_role: ClassVar[SignalRole] = "TRUNK"
    parts: ClassVar[Mapping[str, PartList]] = {
        "channels": PartList(SnakeChannel, owner="cable_snake_uuid", label="CH", order="number")
    }
    example: ClassVar[Mapping[str, Any]] = {"name": "FIBER SNAKE 01", "model": "LC x 12"}

    name: Name
    """What the crew calls it: "FIBER SNAKE 01"."""
    manufacturer: MaybeLine = None
    """Who makes the device: "Sony"."""
    model: MaybeLine = None
    """The kind of trunk: "LC x 12"."""
    channel_count: _MaybeCount = None
    """How many channels it has. Left out, the model may say it: "SDI 16 x 16"."""
    connector: MaybeLine = None
    """The connector of its channels, where they do not say their own: "SDI"."""
    length: MaybeLength = None
    """How long it is, in ``lengthUnit``. Left out, the model may say it: "75' SDI"."""
    length_unit: LengthUnit = None
    """The unit of the length; without one it is feet."""
    equipment_uuid: MaybeUuid = None
    """The uuid of the device in the catalogue of equipment, where it was chosen from there."""

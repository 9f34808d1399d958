"""LED screens: walls of tiles, and how their data runs."""

from collections.abc import Mapping
from typing import Any, ClassVar

import sqlalchemy as sa

from app.model.entity import Entity, defaulted
from app.model.fields import MaybeJson, MaybeLine, MaybeNumber, MaybeUuid, MaybeWhole, Name, Whole
from app.rules.signal_roles import SignalRole


class LedScreen(Entity, table=True):
    """An LED wall: its raster, its place on the stage, and its tiles."""

    collection: ClassVar[str] = "led-screens"
    noun: ClassVar[str] = "LED screen"
    entity_type: ClassVar[str] = "ledScreen"
    event_type: ClassVar[str] = "LED_SCREEN"
    prefix: ClassVar[str] = "LED"
    signal_role: ClassVar[SignalRole] = "SINK"
    is_rare: ClassVar[bool] = True
    allow_duplicate_labels: ClassVar[bool] = True
    list_order: ClassVar[tuple[str, ...]] = ("sort_order",)
    example: ClassVar[Mapping[str, Any]] = {
        "name": "CENTER WALL", "hRes": 3840, "vRes": 1080, "sortOrder": 1,
    }  # fmt: skip

    name: Name
    """What it is called: "CENTER WALL"."""
    manufacturer: MaybeLine = None
    """Who makes the device: "ROE Visual"."""
    model: MaybeLine = None
    """The maker's name for the device: "Black Pearl BP2"."""
    h_res: MaybeWhole = None
    """The width of the picture in pixels."""
    v_res: MaybeWhole = None
    """The height of the picture in pixels."""
    rate: MaybeNumber = None
    """Frames a second, of an interlaced format fields a second, in Hz."""
    processor_uuid: MaybeUuid = None
    """The uuid of the processor that drives it, a device of the catalogue or of the show."""
    pos_ds_x_m: MaybeNumber = None
    """The place of its middle from the middle of the stage, to stage left, in metres."""
    pos_ds_y_m: MaybeNumber = None
    """The place of its lower edge above the stage, in metres."""
    rotation_deg: MaybeNumber = None
    """How far it is turned about its middle, in degrees."""
    tile_grid: MaybeJson = None
    """Its tiles as the frontend draws them: "cols", "rows" and "cells" of each row."""
    sort_order: Whole = defaulted(0, sa.Integer)
    """The position in lists that people order by hand, from 0."""
    equipment_uuid: MaybeUuid = None
    """The uuid of the device in the catalogue of equipment, where it was chosen from there."""

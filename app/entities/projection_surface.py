"""Projection surfaces: what projectors throw on, and from where."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import sqlalchemy as sa
from sqlmodel import Field

from app.model.entity import Entity
from app.model.fields import MaybeNumber, MaybeRows, Name, blank_or

_Type = Literal["FRONT", "REAR", "DUAL_VISION", "MAPPED"]
MaybeType = Annotated[_Type | None, blank_or(_Type), Field(sa_type=sa.Text)]


class ProjectionSurface(Entity, table=True):
    """A surface with its size and place, and who throws on it; in metres and degrees.

    The middle of the stage's edge is where places are measured from.
    """

    collection: ClassVar[str] = "projection-surfaces"
    noun: ClassVar[str] = "Projection surface"
    entity_type: ClassVar[str] = "projectionSurface"
    event_type: ClassVar[str] = "PROJECTION_SURFACE"
    prefix: ClassVar[str] = "SURFACE"
    is_device: ClassVar[bool] = False
    is_rare: ClassVar[bool] = True
    allow_duplicate_labels: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {
        "name": "CENTER SCREEN", "widthM": 6.1, "heightM": 3.43, "surfaceType": "FRONT",
    }  # fmt: skip

    name: Name
    """What it is called: "CENTER SCREEN"."""
    width_m: MaybeNumber = None
    """The width of the picture, in metres."""
    height_m: MaybeNumber = None
    """The height of the picture, in metres."""
    bezel_h_m: MaybeNumber = None
    """The border on its left and right, in metres."""
    bezel_v_m: MaybeNumber = None
    """The border above and below it, in metres."""
    surface_type: MaybeType = None
    """How it is thrown on: from the front, from the rear, both ways, or onto a shape."""
    gain_factor: MaybeNumber = None
    """How much brighter it looks than a matt white surface."""
    dist_floor_m: MaybeNumber = None
    """The height of its lower edge above the floor, in metres."""
    pos_ds_x_m: MaybeNumber = None
    """The place of its middle from the middle of the stage, to stage left, in metres."""
    pos_ds_y_m: MaybeNumber = None
    """The place of its middle from the edge of the stage, upstage, in metres."""
    pos_ds_z_m: MaybeNumber = None
    """The height of its middle above the stage, in metres."""
    rot_x: MaybeNumber = None
    """How far it is tilted, in degrees."""
    rot_y: MaybeNumber = None
    """How far it is turned to a side, in degrees."""
    rot_z: MaybeNumber = None
    """How far it is rolled, in degrees."""
    ambient_lux: MaybeNumber = None
    """The light that falls on it from the room, in lux."""
    mattes: MaybeRows = None
    """The parts of it that stay dark, an object each, in metres."""
    projector_assignments: MaybeRows = None
    """Which projectors throw on it, from where, through which lens: an object each."""

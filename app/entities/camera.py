"""Cameras: what shoots, through which lens, from which support, into which CCU."""

from collections.abc import Mapping
from typing import Any, ClassVar

from app.model.entity import Entity, reference
from app.model.fields import MaybeFlag, MaybeLine, MaybeNumber, MaybeUuid, Name
from app.rules.signal_roles import SignalRole


class Camera(Entity, table=True):
    """A camera position. Distances are in feet, the focal length in millimetres."""

    collection: ClassVar[str] = "cameras"
    noun: ClassVar[str] = "Camera"
    entity_type: ClassVar[str] = "camera"
    event_type: ClassVar[str] = "CAMERA"
    prefix: ClassVar[str] = "CAM"
    signal_role: ClassVar[SignalRole] = "CAMERA"
    conflict_error: ClassVar[str] = "Conflict detected"
    example: ClassVar[Mapping[str, Any]] = {
        "name": "LONG LENS CENTER", "formatMode": "1080p59.94", "ccuId": "CCU 1", "maxZoom": 86,
    }  # fmt: skip

    name: Name
    """What the position is called: "LONG LENS CENTER"."""
    manufacturer: MaybeLine = None
    """Who makes the device: "Sony"."""
    model: MaybeLine = None
    """The maker's name for the device: "HDC-3500"."""
    format_mode: MaybeLine = None
    """The format that it works in, as the trade writes it: "1080p59.94"."""
    lens_type: MaybeLine = None
    """The lens: "ENG 22x", "22x7.6"."""
    max_zoom: MaybeNumber = None
    """The zoom of the lens as a factor: 86 for "BOX 86x"."""
    shooting_distance: MaybeNumber = None
    """The distance from the camera to what it shoots, in feet."""
    calculated_zoom: MaybeNumber = None
    """The zoom that the distance asks for, as a factor."""
    focal_length: MaybeNumber = None
    """The focal length in use, in millimetres."""
    smpte_cable_length: MaybeNumber = None
    """The length of the hybrid fibre cable to the CCU, in feet."""
    has_heavy_tripod: MaybeFlag = None
    """Whether it stands on a heavy tripod."""
    has_medium_tripod: MaybeFlag = None
    """Whether it stands on a medium tripod."""
    has_tripod: MaybeFlag = None
    """Whether it stands on a standard tripod."""
    has_short_tripod: MaybeFlag = None
    """Whether it stands on a short tripod."""
    has_dolly: MaybeFlag = None
    """Whether it rides on a dolly."""
    has_jib: MaybeFlag = None
    """Whether it hangs on a jib."""
    has_steadicam: MaybeFlag = None
    """Whether an operator wears it on a Steadicam."""
    has_magic_arm: MaybeFlag = None
    """Whether a magic arm holds it."""
    ccu_uuid: MaybeUuid = reference("ccus", on_delete="clear")
    """The uuid of the CCU at the other end of its cable."""
    equipment_uuid: MaybeUuid = None
    """The uuid of the device in the catalogue of equipment, where it was chosen from there."""

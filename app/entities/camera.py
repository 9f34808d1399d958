"""Cameras: what shoots, through which lens, from which support, into which CCU."""

from collections.abc import Mapping
from typing import Any, ClassVar

from app.model.entity import Entity, reference
from app.model.fields import MaybeFlag, MaybeLine, MaybeNumber, MaybeUuid, Name


class Camera(Entity, table=True):
    """A camera position. Distances are in feet, the focal length in millimetres."""

    collection: ClassVar[str] = "cameras"
    noun: ClassVar[str] = "Camera"
    entity_type: ClassVar[str] = "camera"
    event_type: ClassVar[str] = "CAMERA"
    prefix: ClassVar[str] = "CAM"
    conflict_error: ClassVar[str] = "Conflict detected"
    example: ClassVar[Mapping[str, Any]] = {
        "name": "LONG LENS CENTER", "formatMode": "1080p59.94", "ccuId": "CCU 1", "maxZoom": 86,
    }  # fmt: skip

    name: Name
    manufacturer: MaybeLine = None
    model: MaybeLine = None
    format_mode: MaybeLine = None
    lens_type: MaybeLine = None
    max_zoom: MaybeNumber = None
    shooting_distance: MaybeNumber = None
    calculated_zoom: MaybeNumber = None
    focal_length: MaybeNumber = None
    smpte_cable_length: MaybeNumber = None
    has_heavy_tripod: MaybeFlag = None
    has_medium_tripod: MaybeFlag = None
    has_tripod: MaybeFlag = None
    has_short_tripod: MaybeFlag = None
    has_dolly: MaybeFlag = None
    has_jib: MaybeFlag = None
    has_steadicam: MaybeFlag = None
    has_magic_arm: MaybeFlag = None
    ccu_uuid: MaybeUuid = reference("ccus", on_delete="clear")
    equipment_uuid: MaybeUuid = None

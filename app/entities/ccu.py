"""CCUs: camera control units, where a camera's fibre becomes SDI."""

from collections.abc import Mapping
from typing import Any, ClassVar

import sqlalchemy as sa

from app.model.entity import Entity, defaulted
from app.model.fields import MaybeLine, MaybeRows, MaybeUuid, Name, Whole


class Ccu(Entity, table=True):
    """A camera control unit with its reference input and its outputs."""

    collection: ClassVar[str] = "ccus"
    noun: ClassVar[str] = "CCU"
    entity_type: ClassVar[str] = "ccu"
    event_type: ClassVar[str] = "CCU"
    prefix: ClassVar[str] = "CCU"
    conflict_error: ClassVar[str] = "Conflict detected"
    deleted_by_label: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {
        "name": "CCU 1",
        "formatMode": "1080p59.94",
        "outputs": [{"id": "CCU 1-OUT1", "type": "3G-SDI", "label": "SDI 1"}],
    }

    name: Name
    manufacturer: MaybeLine = None
    model: MaybeLine = None
    format_mode: MaybeLine = None
    fiber_input: MaybeLine = None
    reference_input: MaybeLine = None
    outputs: MaybeRows = None
    equipment_uuid: MaybeUuid = None
    sort_order: Whole = defaulted(0, sa.Integer)

"""Media servers: machines in pairs that play to the screens."""

from collections.abc import Mapping
from typing import Any, ClassVar

import sqlalchemy as sa

from app.model.entity import Entity, defaulted
from app.model.fields import Flag, MaybeLine, MaybeUuid, MaybeWhole, Name
from app.rules.signal_roles import SignalRole


class MediaServer(Entity, table=True):
    """A media server, A or B of a pair: the backup plays along."""

    collection: ClassVar[str] = "media-servers"
    noun: ClassVar[str] = "Media server"
    entity_type: ClassVar[str] = "mediaServer"
    event_type: ClassVar[str] = "MEDIA_SERVER"
    prefix: ClassVar[str] = "MEDIA"
    signal_role: ClassVar[SignalRole] = "ORIGIN"
    is_rare: ClassVar[bool] = True
    allow_duplicate_labels: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {
        "id": "1A", "name": "MEDIA 1A", "pairNumber": 1, "isBackup": False,
    }  # fmt: skip

    name: Name
    """What it is called: "MEDIA 1A"."""
    pair_number: MaybeWhole = None
    """The number of its pair, from 1; servers that are dragged are numbered anew."""
    is_backup: Flag = defaulted(False, sa.Boolean)
    """Whether it is B of the pair, which takes over when A fails."""
    platform: MaybeLine = None
    """What plays on it: "RESOLUME", "DISGUISE"."""
    computer_type: MaybeLine = None
    """The kind of machine: "DESKTOP", "LAPTOP"."""
    manufacturer: MaybeLine = None
    """Who makes the device: "disguise"."""
    model: MaybeLine = None
    """The maker's name for the device: "vx 4+"."""
    outputs: MaybeWhole = None
    """How many outputs it has."""
    equipment_uuid: MaybeUuid = None
    """The uuid of the device in the catalogue of equipment, where it was chosen from there."""

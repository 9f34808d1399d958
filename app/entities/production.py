"""Productions: the show that everything else belongs to."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal, get_args

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from app.model.entity import LABEL_NUMBER, LABEL_PREFIX, Row, defaulted, live_index
from app.model.fields import Line, MaybeItems, MaybeLine, MaybeMoment, Name

Status = Literal["PLANNING", "READY", "ACTIVE", "COMPLETED", "ARCHIVED"]

# The computers that a corporate show brings, in the order crews list them.
SOURCE_TYPES: Final = (
    "LAPTOP", "DESKTOP", "PLAYBACK LAPTOP", "GRAPHICS LAPTOP", "SPEAKER LAPTOP", "TIMER LAPTOP",
    "MEDIA SERVER", "STREAMING PC", "CONFERENCE PC", "TABLET",
)  # fmt: skip


class Production(Row, table=True):
    """One show: who it is for, where it is, and when the crew loads in and out."""

    collection: ClassVar[str] = "productions"
    noun: ClassVar[str] = "Production"
    entity_type: ClassVar[str] = "production"
    event_type: ClassVar[str] = "PRODUCTION"
    prefix: ClassVar[str] = "SHOW"
    conflict_error: ClassVar[str] = "Conflict"
    version_required: ClassVar[bool] = True
    delete_is_idempotent: ClassVar[bool] = True
    synonyms: ClassVar[Mapping[str, str]] = {"name": "show_name", "created_at": "created_at"}
    server_fields: ClassVar[frozenset[str]] = Row.server_fields | {"change_seq"}
    example: ClassVar[Mapping[str, Any]] = {
        "showName": "Annual Sales Meeting", "client": "Example Client",
        "venue": "Convention Center", "room": "Hall A", "loadIn": "2027-03-01",
        "loadOut": "2027-03-05",
    }  # fmt: skip

    client: Line = ""
    show_name: Name
    venue: MaybeLine = None
    room: MaybeLine = None
    load_in: MaybeMoment = None
    load_out: MaybeMoment = None
    show_info_url: MaybeLine = None
    status: Status = defaulted("PLANNING", sa.Enum(*get_args(Status), name="ProductionStatus"))
    source_types: MaybeItems = Field(default_factory=lambda: list(SOURCE_TYPES), sa_type=JSONB)
    change_seq: int = defaulted(0, sa.BigInteger)

    __table_args__ = (
        live_index("created_at", "uuid"),
        live_index("id"),
        sa.Index("productions_numbers_idx", sa.text(LABEL_PREFIX), sa.text(f"({LABEL_NUMBER})")),
    )

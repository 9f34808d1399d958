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
    hidden: ClassVar[frozenset[str]] = frozenset({"change_seq"})
    example: ClassVar[Mapping[str, Any]] = {
        "showName": "Annual Sales Meeting", "client": "Example Client",
        "venue": "Convention Center", "room": "Hall A", "loadIn": "2027-03-01",
        "loadOut": "2027-03-05",
    }  # fmt: skip

    client: Line = ""
    """Who the show is for."""
    show_name: Name
    """What the show is called."""
    venue: MaybeLine = None
    """The house that it takes place in."""
    room: MaybeLine = None
    """The hall or room of the venue."""
    load_in: MaybeMoment = None
    """The day on which the crew loads in, in UTC."""
    load_out: MaybeMoment = None
    """The day on which the crew loads out, in UTC."""
    show_info_url: MaybeLine = None
    """A link to more about the show."""
    status: Status = defaulted("PLANNING", sa.Enum(*get_args(Status), name="ProductionStatus"))
    """How far the show is."""
    source_types: MaybeItems = Field(default_factory=lambda: list(SOURCE_TYPES), sa_type=JSONB)
    """The kinds of sources that its pages offer, in their order."""
    change_seq: int = defaulted(0, sa.BigInteger)

    __table_args__ = (
        live_index("created_at", "uuid"),
        live_index("id"),
        sa.Index("productions_numbers_idx", sa.text(LABEL_PREFIX), sa.text(f"({LABEL_NUMBER})")),
    )

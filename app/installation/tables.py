"""The tables of the installation, declared for Alembic, the drift check and the statements.

All but ``formats`` are the older service's, with its text keys, which stay: the rows of a device
are few, and nothing of a show names them by their text key. ``kind`` is a device's category where
the older service's enum lacks it.
"""

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ENUM, JSONB, TIMESTAMP

from app.model.entity import metadata

_NOW: Final = sa.text("CURRENT_TIMESTAMP")
OLDER_CATEGORIES: Final = (
    "CAMERA", "CCU", "CAM_SWITCHER", "VISION_SWITCHER", "ROUTER", "LED_PROCESSOR", "LED_TILE",
    "PROJECTOR", "RECORDER", "MONITOR", "CONVERTER",
)  # fmt: skip
"""The categories that the older service's enum has, in its order."""
_CATEGORY: Final = ENUM(*OLDER_CATEGORIES, name="EquipmentCategory")
_ARCHITECTURE: Final = ENUM("DIRECT", "CARD_BASED", name="IoArchitecture")
_PORT_TYPE: Final = ENUM("INPUT", "OUTPUT", name="PortType")


def _key() -> sa.Column[Any]:
    return sa.Column("id", sa.Text, primary_key=True)


def _uuid() -> sa.Column[Any]:
    random = sa.text("gen_random_uuid()")
    return sa.Column("uuid", sa.Uuid, nullable=False, server_default=random)


def _times() -> tuple[sa.Column[Any], sa.Column[Any]]:
    """Return the older service's times, which are UTC without a zone."""
    moment = TIMESTAMP(precision=3)
    return (
        sa.Column("created_at", moment, nullable=False, server_default=_NOW),
        sa.Column("updated_at", moment, nullable=False),
    )


def _version() -> sa.Column[Any]:
    return sa.Column("version", sa.Integer, nullable=False, server_default="1")


def _flag(name: str, *, default: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Boolean, nullable=False, server_default=str(default).lower())


def _text(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text, nullable=nullable)


def _child(name: str, parent: str) -> sa.Column[Any]:
    key = sa.ForeignKey(f"{parent}.id", onupdate="CASCADE", ondelete="CASCADE")
    return sa.Column(name, sa.Text, key, nullable=False)


def _ports() -> tuple[sa.Column[Any], ...]:
    """Return the columns of a port; ``details`` has what signal flow needs besides."""
    return (
        sa.Column("port_type", _PORT_TYPE, nullable=False), _text("io_type"),
        _text("label", nullable=True), _text("format", nullable=True),
        sa.Column("port_index", sa.Integer), *_times(), _version(), _uuid(),
        sa.Column("details", JSONB),
    )  # fmt: skip


equipment_specs: Final = sa.Table(
    "equipment_specs", metadata, _key(), sa.Column("category", _CATEGORY, nullable=False),
    _text("manufacturer"), _text("model"),
    sa.Column("io_architecture", _ARCHITECTURE, nullable=False),
    sa.Column("card_slots", sa.Integer),
    _flag("format_by_io", default=True), _flag("is_secondary_device"),
    sa.Column("device_formats", JSONB), sa.Column("specs", JSONB), *_times(),
    sa.Column("synced_at", TIMESTAMP(precision=3)), _text("last_modified_by", nullable=True),
    _version(), _flag("is_deleted"), _uuid(), _text("kind", nullable=True),
    sa.Index(None, "category", "is_deleted"), sa.Index(None, "is_secondary_device"),
    sa.Index("equipment_specs_uuid_key", "uuid", unique=True),
)  # fmt: skip

equipment_io_ports: Final = sa.Table(
    "equipment_io_ports", metadata, _key(), _child("equipment_id", "equipment_specs"), *_ports(),
    sa.Index(None, "equipment_id"),
    sa.Index("equipment_io_ports_uuid_key", "uuid", unique=True),
)  # fmt: skip

equipment_cards: Final = sa.Table(
    "equipment_cards", metadata, _key(), _child("equipment_id", "equipment_specs"),
    sa.Column("slot_number", sa.Integer, nullable=False), *_times(), _version(),
    sa.Index(
        "equipment_cards_equipment_id_slot_number_key", "equipment_id", "slot_number", unique=True
    ),
)  # fmt: skip

equipment_card_io: Final = sa.Table(
    "equipment_card_io", metadata, _key(), _child("card_id", "equipment_cards"), *_ports(),
    sa.Index(None, "card_id"),
    sa.Index("equipment_card_io_uuid_key", "uuid", unique=True),
)  # fmt: skip

formats: Final = sa.Table(
    "formats", metadata,
    sa.Column("uuid", sa.Uuid, primary_key=True, server_default=sa.text("gen_random_uuid()")),
    _text("id"),
    *(
        sa.Column(name, sa.Integer, nullable=False)
        for name in ("h_res", "v_res", "rate_numerator", "rate_denominator")
    ),
    _flag("is_interlaced"),
    sa.Column("blanking", sa.Text, nullable=False, server_default="NONE"), _flag("is_system"),
    _version(), _flag("is_deleted"), _text("last_modified_by", nullable=True),
    *(
        sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=_NOW)
        for name in ("created_at", "updated_at")
    ),
    sa.Index("formats_id_key", "id", unique=True, postgresql_where=sa.text("NOT is_deleted")),
)  # fmt: skip


def _list(name: str, word: str) -> sa.Table:
    """Declare one of the lists of words that pages choose from, in their order."""
    return sa.Table(
        name, metadata, _key(), _text(word),
        sa.Column("sort_order", sa.Integer, nullable=False, server_default="0"),
        _flag("is_active", default=True), *_times(),
        sa.Index(f"{name}_{word}_key", word, unique=True),
        sa.Index(None, "sort_order", "is_active"),
    )  # fmt: skip


connector_types: Final = _list("connector_types", "name")
source_types: Final = _list("source_types", "name")
frame_rates: Final = _list("frame_rates", "rate")
resolution_presets: Final = _list("resolution_presets", "name")

settings: Final = sa.Table(
    "settings", metadata, _key(), _text("key"), sa.Column("value", JSONB, nullable=False),
    _text("category", nullable=True), *_times(), sa.Index("settings_key_key", "key", unique=True),
)  # fmt: skip

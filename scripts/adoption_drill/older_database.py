"""Makes the database of an older service of any size, quickly and always with the same rows.

Rows made here are older than ``YOUNGER``; rows that the writers write later are younger. So the
rows that nobody touches can be told apart.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import asyncpg

from app.releases.migrations.alembic_runner import upgrade
from app.releases.migrations.revisions import history
from tests import foreign_tables
from tests.older_rows import COLLECTIONS, INSTALLATION, LISTS

YOUNGER: Final = "2026-01-01"
_A_ROUND: Final = 100_000  # rows in one INSERT, so that progress can be shown


_TABLES: Final = """SELECT string_agg(relname, ', ' ORDER BY relname) FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"""


class NotEmpty(Exception):
    """The database holds tables, which may be somebody's."""


@dataclass(frozen=True)
class Sizes:
    """How many rows the three large tables have; the other sizes follow from these."""

    cameras: int = 100_000
    sources: int = 100_000
    events: int = 1_000_000
    shows: int | None = None

    @property
    def productions(self) -> int:
        """The number of shows; by default one for 500 cameras, and at least 10."""
        return self.shows or max(10, self.cameras // 500)

    def rows(self) -> dict[str, int]:
        """Return the number of rows of each table."""
        shows = self.productions
        return {
            "productions": shows,
            "cable_snakes": max(shows, self.cameras // 10),
            "ccus": shows * max(1, self.cameras // 5 // shows),
            "cameras": self.cameras,
            "sources": self.sources,
            "source_outputs": self.sources * 3 // 2,
            "sends": max(shows, self.sources // 4),
            "connections": max(shows, self.sources // 2),
            "checklist_items": max(shows, self.cameras // 10),
            "events": self.events,
            **dict.fromkeys(COLLECTIONS, shows * 4),
            "equipment_specs": 400,
            "equipment_cards": 800,
            "equipment_card_io": 3_200,
            "equipment_io_ports": 4_000,
            **dict.fromkeys(LISTS, 12),
            "settings": 20,
        }


async def make(
    url: str, connection: asyncpg.Connection, sizes: Sizes, say: Callable[[str], None]
) -> None:
    """Turn an empty database into one as a live older service leaves it.

    Raise NotEmpty if the database holds anything.
    """
    if tables := await connection.fetchval(_TABLES):
        raise NotEmpty(
            f"The database already holds {tables}: the adoption drill needs an empty one."
        )
    await upgrade(url, history()[0].name, say=lambda _: None)
    await connection.execute("DROP TABLE alembic_version")
    for table, count in sizes.rows().items():
        began = time.monotonic()
        for first in range(0, count, _A_ROUND):
            beyond = min(count, first + _A_ROUND)
            await connection.execute(_insert(table, sizes, first, beyond))
            if count > _A_ROUND:
                say(f"  {table}: {beyond:,} of {count:,} rows, {time.monotonic() - began:.0f} s")
    await foreign_tables.add(connection, rows=5)
    await connection.execute("VACUUM ANALYZE")


def _insert(table: str, sizes: Sizes, first: int, beyond: int) -> str:
    values = {**_shared(table, sizes), **_own(table, sizes)}
    chosen = ", ".join(values.values())
    return (
        f"INSERT INTO {table} ({', '.join(values)}) SELECT {chosen}"
        f" FROM generate_series({first}, {beyond - 1}) n"
    )


_PREFIXES: Final[Mapping[str, str]] = {
    "productions": "SHOW", "cable_snakes": "SNAKE", "ccus": "CCU", "cameras": "CAM",
    "sources": "SRC", "source_outputs": "OUT", "sends": "SEND", "connections": "CON",
    "checklist_items": "CHK", "events": "EVT", "cam_switchers": "CAMSW", "ip_addresses": "IP",
    "led_screens": "WALL", "media_servers": "MS", "projection_screens": "SCREEN", "records": "REC",
    "routers": "RTR", "streams": "STREAM", "vision_switchers": "VS", "equipment_specs": "DEVICE",
    "equipment_cards": "CARD", "equipment_card_io": "CARD IO", "equipment_io_ports": "PORT",
    **{name: name for name in (*LISTS, "settings")},
}  # fmt: skip
_PORT: Final = {
    "port_type": """(enum_range(NULL::"PortType"))[1 + n % 2]""", "io_type": "'12G-SDI'",
    "label": "'SDI ' || n % 8", "port_index": "n % 8",
}  # fmt: skip


def _shared(table: str, sizes: Sizes) -> dict[str, str]:
    """Return the columns that nearly every table has, as expressions over the row's number n."""
    moment = "timestamp '2024-01-01' + (n % 1600000) * interval '37.123 s'"
    shared = {"id": f"'{_PREFIXES[table]} ' || n + 1"}
    if table not in LISTS and table != "settings":
        shared["version"] = "1 + n % 9"
    if table == "events":
        shared['"timestamp"'] = moment
    else:
        shared["created_at"] = moment
    if table not in {"events", "source_outputs"}:
        shared["updated_at"] = f"{moment} + interval '1 h'"
    if table not in {"events", "source_outputs", "checklist_items", "ip_addresses", *INSTALLATION}:
        shared["is_deleted"] = "n % 11 = 7"
        shared["last_modified_by"] = "CASE WHEN n % 3 = 0 THEN 'anna' END"
    if table not in {"productions", "source_outputs", *INSTALLATION}:
        shared["production_id"] = f"'SHOW ' || 1 + n % {sizes.productions}"
    return shared


def _own(table: str, sizes: Sizes) -> dict[str, str]:
    shows, rows = sizes.productions, sizes.rows()

    def some(parent: str) -> str:
        """Return the label of a parent in the same production, as an expression."""
        each = max(1, rows[parent] // shows)
        return f"'{_PREFIXES[parent]} ' || 1 + n % {shows} + {shows} * ((n / {shows}) % {each})"

    named = {"name": "'Name ' || n % 97", "note": "CASE n % 4 WHEN 0 THEN 'note 🎥 ' || n END"}
    own: dict[str, dict[str, str]] = {
        "productions": {
            "client": "'Client ' || n", "show_name": "'Show ' || n",
            "status": """(enum_range(NULL::"ProductionStatus"))[1 + n % 5]""",
            "load_in": "timestamp '2026-03-29 02:30:00.123'",
            "field_versions": """CASE n % 2 WHEN 1 THEN '{"venue": {"version": 3}}'::jsonb END""",
        },
        "cable_snakes": named,
        "ccus": named | {"outputs": """jsonb_build_array(jsonb_build_object('id', n))"""},
        "cameras": named | {
            "ccu_id": f"CASE WHEN n % 10 > 0 THEN {some('ccus')} END", "max_zoom": "n / 7.0",
        },
        "sources": named | {"type": "'LAPTOP'", "rate": "59.94", "h_res": "1920"},
        "source_outputs": {
            "source_id": f"'SRC ' || 1 + n % {rows['sources']}", "connector": "'HDMI'",
            "output_index": f"1 + n / {rows['sources']}",
        },
        "sends": named | {"type": "'LED'"},
        "connections": {
            "source_id": f"CASE WHEN n % 5 > 0 THEN {some('sources')} END",
            "destination_type": "'SEND'", "destination_id": "'SEND ' || n",
        },
        "checklist_items": {
            "title": "'Title ' || n", "completed": "n % 2 = 0",
            "more_info": "CASE n % 3 WHEN 0 THEN 'call ' || n WHEN 1 THEN '[\"a\"]' END",
            "completion_note": "CASE n % 5 WHEN 0 THEN 'done ' || n END",
        },
        "events": {
            "event_type": """(enum_range(NULL::"EventType"))[1 + n % 18]""",
            "operation": """(enum_range(NULL::"EventOperation"))[1 + n % 3]""",
            "entity_id": f"'CAM ' || 1 + n % {rows['cameras']}", "user_id": "'system'",
            "entity_data": "jsonb_build_object('name', n)",
        },
        "ip_addresses": {
            "ip": "'10.0.' || n / 250 || '.' || n % 250", "device_name": "'CCU ' || n",
            "category": "'CCU'", "note": named["note"],
        },
        "equipment_specs": {
            "category": """(enum_range(NULL::"EquipmentCategory"))[1 + n % 11]""",
            "manufacturer": "'Maker ' || n % 20", "model": "'Model ' || n",
            "io_architecture": """(enum_range(NULL::"IoArchitecture"))[1 + n % 2]""",
            "specs": "jsonb_build_object('watts', n)",
        },
        "equipment_cards": {
            "equipment_id": f"'DEVICE ' || 1 + n % {rows['equipment_specs']}",
            "slot_number": f"1 + n / {rows['equipment_specs']}",
        },
        "equipment_card_io": _PORT | {
            "card_id": f"'CARD ' || 1 + n % {rows['equipment_cards']}",
        },
        "equipment_io_ports": _PORT | {
            "equipment_id": f"'DEVICE ' || 1 + n % {rows['equipment_specs']}",
        },
        **{name: {word: f"'{name} ' || n", "sort_order": "n"} for name, word in LISTS.items()},
        "settings": {"key": "'key ' || n", "value": "jsonb_build_object('n', n)"},
    }  # fmt: skip
    return own.get(table, named)

"""The rows of an older service's database, made from a fixed seed and awkward on purpose.

Labels, JSON and times are of the awkward kind: what survives these survives a show.
"""

import itertools
import random
from collections.abc import Iterator
from typing import Any, Final

Row = dict[str, Any]

BASE: Final = (
    "productions", "cable_snakes", "ccus", "cameras", "sources", "source_outputs", "sends",
    "connections", "checklist_items", "events",
)  # fmt: skip
"""The tables that every version of the older service has."""

COLLECTIONS: Final = (
    "cam_switchers", "ip_addresses", "led_screens", "media_servers", "projection_screens",
    "records", "routers", "streams", "vision_switchers",
)  # fmt: skip
"""The tables of a show that came with its later versions."""

LISTS: Final = {
    "connector_types": "name", "frame_rates": "rate", "resolution_presets": "name",
    "source_types": "name",
}  # fmt: skip
"""Its lists of words, each with the column that holds the word."""

INSTALLATION: Final = (
    "equipment_specs", "equipment_cards", "equipment_card_io", "equipment_io_ports", *LISTS,
    "settings",
)  # fmt: skip
"""The tables that belong to no show; they came with its later versions too, and stay as they are
save for columns that are added."""

TABLES: Final = (*BASE, *COLLECTIONS, *INSTALLATION)

# How many rows of each, about 13,000 in all.
COUNTS: Final = {
    "productions": 60, "cable_snakes": 340, "ccus": 700, "cameras": 2400, "sources": 1200,
    "source_outputs": 1800, "sends": 800, "connections": 1200, "checklist_items": 700,
    "events": 800, **dict.fromkeys(COLLECTIONS, 180), "equipment_specs": 120,
    "equipment_cards": 240, "equipment_card_io": 480, "equipment_io_ports": 480,
    **dict.fromkeys(LISTS, 20), "settings": 30,
}  # fmt: skip

AWKWARD_IDS: Final = (
    "", " lead and trail ", "O'Brien \"the zoom\"", "🎥 5", "x" * 300, "%_\\", "tab\there",
    "0b7e8a64-98f6-4a5b-9d0c-5c8f1a2b3c4d", "'; DROP TABLE cameras; --", "Ünïcödé ﷽", "NULL",
)  # fmt: skip

TIMES: Final = (
    "2026-03-29 02:30:00.123", "2025-10-26 02:59:59.999", "9999-12-31 23:59:59.999",
    "0001-01-01 00:00:00.001", "1970-01-01 00:00:00", "2026-01-01 12:00:00.5",
)  # fmt: skip

JSONS: Final[tuple[Any, ...]] = (
    None, [], {}, [{"id": "CCU 1-OUT1", "type": "3G-SDI", "label": "SDI 1"}], {"a": {"b": [None]}},
    "plain", 0, 1.5e300, False, {"ü": "🎬", "": " "}, ["<b>", '"', "\\"],
)  # fmt: skip

# Text that the older service kept in its notes, and the list it becomes.
NOTES: Final[tuple[tuple[str | None, list[Any] | None], ...]] = (
    (None, None),
    ("", [""]),
    ("call the venue", ["call the venue"]),
    ('["a", {"b": 1}]', ["a", {"b": 1}]),
    ("[]", []),
    ('{"text": "x"}', [{"text": "x"}]),
    ("12", [12]),
    ("null", [None]),
    ('"quoted"', ["quoted"]),
    ("[1, 2", ["[1, 2"]),
    ('["nul \\u0000"]', ['["nul \\u0000"]']),
    ("1e999999", ["1e999999"]),
    ("🎥 [x]", ["🎥 [x]"]),
)

EVENT_TYPES: Final = (
    "SOURCE", "SEND", "CAMERA", "CCU", "MEDIA_SERVER", "VIDEO_SWITCHER", "ROUTER", "CABLE_SNAKE",
    "PROJECTION_SCREEN", "LED_SCREEN", "COMPUTER", "IP_ADDRESS", "CHECKLIST_ITEM", "PRODUCTION",
    "CAM_SWITCHER", "VISION_SWITCHER", "RECORD", "STREAM",
)  # fmt: skip

EQUIPMENT_CATEGORIES: Final = (
    "CAMERA", "CCU", "CAM_SWITCHER", "VISION_SWITCHER", "ROUTER", "LED_PROCESSOR", "LED_TILE",
    "PROJECTOR", "RECORDER", "MONITOR", "CONVERTER",
)  # fmt: skip


def make_rows(share: float) -> dict[str, list[Row]]:
    """Return the rows of each table, parents first, ``share`` of the usual number."""
    rng = random.Random(7)  # noqa: S311  # the same rows every time
    ids: dict[str, list[str]] = {}
    made: dict[str, list[Row]] = {}
    for table in TABLES:
        ids[table] = list(itertools.islice(_ids(table), max(12, int(COUNTS[table] * share))))
        made[table] = [_row(table, number, ids, rng) for number in range(len(ids[table]))]
    return made


def _ids(table: str) -> Iterator[str]:
    yield from AWKWARD_IDS
    yield from (f"{table[:3].upper()} {number}" for number in itertools.count(1))


def _row(table: str, number: int, ids: dict[str, list[str]], rng: random.Random) -> Row:
    row = {
        "id": ids[table][number],
        "name": rng.choice(AWKWARD_IDS),
        "note": rng.choice((None, "", "note\nwith lines", "🎥")),
        "created_at": rng.choice(TIMES),
        "updated_at": rng.choice(TIMES),
        "synced_at": rng.choice((None, *TIMES)),
        "version": rng.randint(1, 2**31 - 1),
        "is_deleted": rng.random() < 0.2,
        "last_modified_by": rng.choice((None, "anna")),
        "production_id": rng.choice(ids["productions"]),
    }
    return row | _own(table, number, ids, rng)


def _own(table: str, number: int, ids: dict[str, list[str]], rng: random.Random) -> Row:
    """Return the columns that only this table has; a column it lacks is ignored."""

    def some(parent: str) -> str:
        return rng.choice(ids.get(parent, [""]))

    versions = {"venue": {"version": 3, "updatedAt": "2026-01-01T00:00:00.000Z"}}
    rows: dict[str, Row] = {
        "productions": {
            "client": "", "show_name": rng.choice(AWKWARD_IDS), "source_types": JSONS[number % 11],
            "status": rng.choice(("PLANNING", "READY", "ACTIVE", "COMPLETED", "ARCHIVED")),
            "field_versions": rng.choice((None, {}, versions)),
            "load_in": rng.choice((None, *TIMES)), "load_out": rng.choice((None, *TIMES)),
        },
        "ccus": {"outputs": JSONS[number % 11], "fiber_input": "F1"},
        "cameras": {"ccu_id": rng.choice((None, some("ccus"))), "max_zoom": rng.random() * 1e9},
        "sources": {"type": "LAPTOP", "rate": 59.94, "h_res": 1920, "blanking": ""},
        "source_outputs": {
            "source_id": some("sources"), "connector": "HDMI", "output_index": number % 4,
        },
        "sends": {"type": "LED", "output_connector": rng.choice((None, "SDI 1"))},
        "connections": {
            "source_id": rng.choice((None, some("sources"))), "source_output_id": "names nothing",
            "destination_type": "SEND", "destination_id": "SEND 99999",
            "signal_path": JSONS[number % 11],
        },
        "checklist_items": {
            "title": rng.choice(AWKWARD_IDS), "completed": number % 2 == 0,
            "completed_at": 253_402_300_799_999,
            "completion_note": NOTES[number % len(NOTES)][0],
            "more_info": NOTES[(number + 5) % len(NOTES)][0],
            "completion_date": rng.choice((None, *TIMES)), "due_date": rng.choice(TIMES),
        },
        "events": {
            "event_type": EVENT_TYPES[number % 18], "user_id": "system", "entity_id": "CAM 1",
            "operation": ("CREATE", "UPDATE", "DELETE")[number % 3], "user_name": None,
            "entity_data": JSONS[number % 11], "changes": JSONS[number % 7],
            "timestamp": rng.choice(TIMES),
        },
    }  # fmt: skip
    return rows.get(table) or _further(table, number, ids, rng)


def _further(table: str, number: int, ids: dict[str, list[str]], rng: random.Random) -> Row:
    """Return the columns of a table that came with its later versions."""
    device = {
        "manufacturer": rng.choice((None, *AWKWARD_IDS)), "model": rng.choice((None, "", "X/1")),
        "inputs": rng.choice((None, 0, 2**31 - 1)), "outputs": rng.choice((None, -1, 72)),
    }  # fmt: skip
    screen = device | {
        "h_res": rng.choice((None, 0, 3840)), "v_res": rng.choice((None, 2160)),
        "rate": rng.choice((None, 59.94, 1e300, 0.1 + 0.2)),
    }  # fmt: skip
    port = {
        "equipment_id": rng.choice(ids.get("equipment_specs", [""])),
        "card_id": rng.choice(ids.get("equipment_cards", [""])),
        "port_type": ("INPUT", "OUTPUT")[number % 2], "io_type": rng.choice(("12G-SDI", "", "🎥")),
        "label": rng.choice((None, *AWKWARD_IDS)), "format": rng.choice((None, "1080p 59.94")),
        "port_index": rng.choice((None, number)),
    }  # fmt: skip
    # Unique, and as awkward as its keys are.
    word = {"is_active": number % 3 > 0, "sort_order": rng.choice((0, number, -1))}
    rows: dict[str, Row] = {
        "ip_addresses": {
            "ip": f"{rng.choice(AWKWARD_IDS)} 10.0.0.{number}", "device_name": "",
            "category": "CAMERA", "subnet": rng.choice((None, "/24")), "gateway": None,
        },
        "led_screens": screen, "projection_screens": screen,
        "records": device | {"format": rng.choice((None, "", "ProRes 422"))},
        "streams": {
            "platform": rng.choice((None, "")), "url": rng.choice((None, "rtmp://a/b?c=d&e")),
            "stream_key": rng.choice((None, *AWKWARD_IDS)),
        },
        "vision_switchers": device | {"mes": rng.choice((None, 4))},
        "equipment_specs": device | {
            "manufacturer": rng.choice(AWKWARD_IDS), "model": rng.choice(AWKWARD_IDS),
            "category": EQUIPMENT_CATEGORIES[number % len(EQUIPMENT_CATEGORIES)],
            "io_architecture": ("DIRECT", "CARD_BASED")[number % 2],
            "card_slots": rng.choice((None, 8)), "format_by_io": number % 2 == 0,
            "is_secondary_device": number % 5 == 0,
            "device_formats": JSONS[number % 11], "specs": JSONS[(number + 3) % 11],
        },
        "equipment_cards": port | {"slot_number": number},
        "equipment_card_io": port, "equipment_io_ports": port,
        **{name: word | {column: ids[table][number]} for name, column in LISTS.items()},
        "settings": {
            "key": ids[table][number],
            "value": JSONS[1 + number % 10], "category": rng.choice((None, "", "display")),
        },
    }  # fmt: skip
    return rows.get(table, device)

"""An older service's database as the carry-over may meet it, and ways to compare before and after.

Rows are made from a fixed seed. Labels, JSON and times are the awkward kind on purpose: what
survives these survives a show.
"""

import itertools
import json
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg

from app.database.url import DatabaseUrl
from app.releases.migrations.alembic_runner import upgrade
from app.releases.migrations.revisions import history
from tests import foreign_tables

Row = dict[str, Any]

TABLES: Final = (
    "productions", "cable_snakes", "ccus", "cameras", "sources", "source_outputs", "sends",
    "connections", "checklist_items", "events",
)  # fmt: skip

# How many rows of each, about 10,000 in all.
COUNTS: Final = {
    "productions": 60, "cable_snakes": 340, "ccus": 700, "cameras": 2400, "sources": 1200,
    "source_outputs": 1800, "sends": 800, "connections": 1200, "checklist_items": 700,
    "events": 800,
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


def quiet(_: str) -> None:
    """Say nothing."""


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Lend a connection as a service has it."""
    connection = await asyncpg.connect(**DatabaseUrl.parse(url).connect_args())
    try:
        yield connection
    finally:
        await connection.close()


async def live(url: str, connection: asyncpg.Connection, share: float = 1.0) -> None:
    """Make an empty database one of a live older service: no history of ours, tables not ours."""
    await upgrade(url, history()[0].name, say=quiet)
    await connection.execute("DROP TABLE alembic_version")
    await populate(connection, share)
    await foreign_tables.add(connection)


async def populate(connection: asyncpg.Connection, share: float = 1.0) -> None:
    """Fill the ten tables with ``share`` of about 10,000 rows."""
    async with connection.transaction():
        for table, rows in _show(share).items():
            await connection.execute(
                f"INSERT INTO {table} SELECT * FROM jsonb_populate_recordset(NULL::{table}, $1)",
                json.dumps(rows),
            )
        # A JSON null is not SQL's NULL; both must survive.
        await connection.execute("UPDATE ccus SET outputs = 'null' WHERE id LIKE '%7'")


def _show(share: float) -> dict[str, list[Row]]:
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
    return rows.get(table, {})


# What a text key reads as once only its uuid is left; the note texts are compared as lists.
SUCCEEDED: Final = {
    "production_id": "(SELECT p.id FROM productions p WHERE p.uuid = t.production_uuid)",
    "ccu_id": "(SELECT p.id FROM ccus p WHERE p.uuid = t.ccu_uuid)",
    "source_id": "(SELECT p.id FROM sources p WHERE p.uuid = t.source_uuid)",
}

Columns = dict[str, dict[str, str]]


async def columns(connection: asyncpg.Connection) -> Columns:
    """Return each older table's columns with their types, as they are now."""
    found = await connection.fetch(
        "SELECT table_name, column_name, data_type FROM information_schema.columns"
        " WHERE table_name = ANY($1) ORDER BY 1, ordinal_position",
        TABLES,
    )
    grouped: Columns = {table: {} for table in TABLES}
    for table, column, kind in found:
        grouped[table][column] = kind
    return grouped


async def contents(connection: asyncpg.Connection, older: Columns) -> dict[str, tuple[int, str]]:
    """Return each table's row count and a hash of its ``older`` columns, whatever holds them now.

    Times are compared as instants in UTC; a text key that is gone is read through its uuid.
    """
    now = await columns(connection)
    answer = {}
    for table in TABLES:
        chosen = ", ".join(
            f"{reading(name, now[table].get(name))} AS {name}"
            for name in older[table]
            if name not in {"completion_note", "more_info"} or name in now[table]
        )
        found = await connection.fetchrow(
            "SELECT count(*), md5(string_agg(to_json(r)::text, E'\\n'"
            f' ORDER BY r.id COLLATE "C")) FROM (SELECT {chosen} FROM {table} t) r'
        )
        assert found is not None
        answer[table] = (found[0], found[1])
    return answer


def reading(name: str, kind: str | None) -> str:
    """Return the expression that reads an older column of a row ``t``, whatever holds it now."""
    if kind is None:
        return SUCCEEDED[name]
    return f"extract(epoch FROM t.{name})" if kind.startswith("timestamp") else f"t.{name}"


async def catalogue(connection: asyncpg.Connection) -> list[str]:
    """Describe the schema in lines: columns, constraints, indexes, triggers and functions."""
    found = await connection.fetch(
        """
        SELECT format('%s.%s %s %s %s', attrelid::regclass, attname,
            format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid)) AS line
        FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
            LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0
            AND NOT attisdropped AND relname <> ALL('{alembic_version, release_backfill}')
        UNION ALL
        SELECT format('%s %s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid),
            convalidated)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
        UNION ALL
        SELECT format('%s %s', pg_get_indexdef(indexrelid), indisvalid)
        FROM pg_index JOIN pg_class c ON c.oid = indexrelid
        WHERE relnamespace = 'public'::regnamespace
        UNION ALL
        SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL
        SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        ORDER BY 1"""
    )
    return [row["line"] for row in found if "release_backfill" not in row["line"]]


async def files(connection: asyncpg.Connection) -> dict[str, int]:
    """Return the file each table is stored in: another file means that it was rewritten."""
    found = await connection.fetch(
        "SELECT relname, relfilenode FROM pg_class WHERE relname = ANY($1) AND relkind = 'r'",
        TABLES,
    )
    return {row["relname"]: row["relfilenode"] for row in found}

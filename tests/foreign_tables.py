"""What else an older service keeps beside the ten tables: 21 tables of its own, and its history.

None of it is ours. Whatever is done to a database that has them must leave both their rows and
their catalogue as they were, save foreign keys that the contracts drop by name.
"""

from typing import Final

import asyncpg

_SCOPED: Final = """id text NOT NULL,
    production_id text NOT NULL,
    name text NOT NULL,
    model text,
    note text,
    {own}
    created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp(3) NOT NULL,
    version integer NOT NULL DEFAULT 1,
    is_deleted boolean NOT NULL DEFAULT false,
    synced_at timestamp(3),
    CONSTRAINT {table}_pkey PRIMARY KEY (id),
    CONSTRAINT {table}_production_id_fkey FOREIGN KEY (production_id)
        REFERENCES productions(id) ON UPDATE CASCADE ON DELETE CASCADE"""

# Tables that hang on a production, with the column each has of its own.
_OF_PRODUCTIONS: Final = {
    "cam_switchers": "inputs jsonb,",
    "ip_addresses": "address text, mask text DEFAULT '255.255.255.0',",
    "led_screens": "pixel_pitch double precision, h_res integer, v_res integer,",
    "media_servers": "outputs jsonb NOT NULL DEFAULT '[]',",
    "projection_screens": "width double precision, height double precision,",
    "records": "codec text, bitrate integer,",
    "routers": "inputs jsonb, outputs jsonb,",
    "streams": "url text, stream_key text,",
    "vision_switchers": "mes integer NOT NULL DEFAULT 2,",
}

# Tables that stand for themselves, or hang on another of these.
_OTHERS: Final = {
    "connector_types": "id text PRIMARY KEY, label text NOT NULL UNIQUE",
    "frame_rates": "id text PRIMARY KEY, rate double precision NOT NULL, is_active boolean "
    "NOT NULL DEFAULT true",
    "resolution_presets": "id text PRIMARY KEY, h_res integer NOT NULL, v_res integer NOT NULL, "
    "CONSTRAINT resolution_presets_check CHECK (h_res > 0 AND v_res > 0)",
    "source_types": "id text PRIMARY KEY, label text NOT NULL, sort_order smallint",
    "settings": "key text PRIMARY KEY, value jsonb NOT NULL",
    "server_registry": "id uuid PRIMARY KEY DEFAULT gen_random_uuid(), host inet NOT NULL, "
    "seen_at timestamp(3) NOT NULL",
    "equipment_specs": """id text PRIMARY KEY, kind "EquipmentKind" NOT NULL, maker text,
    model text NOT NULL""",
    "equipment_cards": "id text PRIMARY KEY, spec_id text NOT NULL REFERENCES equipment_specs(id) "
    "ON UPDATE CASCADE ON DELETE CASCADE, slot integer NOT NULL",
    "equipment_card_io": "id text PRIMARY KEY, card_id text NOT NULL REFERENCES equipment_cards(id)"
    " ON UPDATE CASCADE ON DELETE CASCADE, direction text NOT NULL",
    "equipment_io_ports": "id text PRIMARY KEY, spec_id text NOT NULL REFERENCES "
    "equipment_specs(id) ON UPDATE CASCADE ON DELETE CASCADE, source_id text REFERENCES "
    "sources(id) ON UPDATE CASCADE ON DELETE SET NULL",
    "sync_conflicts": "id text PRIMARY KEY, production_id text NOT NULL REFERENCES productions(id) "
    "ON UPDATE CASCADE ON DELETE CASCADE, local jsonb NOT NULL, remote jsonb NOT NULL",
    "sync_log": "number bigserial PRIMARY KEY, production_id text REFERENCES productions(id) "
    "ON UPDATE CASCADE ON DELETE CASCADE, source_id text REFERENCES sources(id) ON UPDATE CASCADE "
    "ON DELETE CASCADE, said text NOT NULL, at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP",
}

HISTORY: Final = "_prisma_migrations"
NAMES: Final = tuple(sorted([*_OF_PRODUCTIONS, *_OTHERS, HISTORY]))

_HISTORY_SQL: Final = f"""CREATE TABLE {HISTORY} (
    id varchar(36) PRIMARY KEY, checksum varchar(64) NOT NULL, finished_at timestamptz,
    migration_name varchar(255) NOT NULL, logs text, rolled_back_at timestamptz,
    started_at timestamptz NOT NULL DEFAULT now(), applied_steps_count integer NOT NULL DEFAULT 0);
INSERT INTO {HISTORY} (id, checksum, finished_at, migration_name, applied_steps_count)
SELECT gen_random_uuid()::text, md5(name), now(), name, 1 FROM unnest(ARRAY[
    '20240101000000_init', '20240203101500_ccus', '20240611093000_sync', '20240702080000_sends',
    '20241015120000_events', '20241130170000_snakes', '20250220140000_checklist']) AS name"""

_FILLINGS: Final = (
    "INSERT INTO connector_types SELECT name, name FROM unnest(ARRAY['HDMI', 'SDI', 'LC']) name",
    "INSERT INTO frame_rates SELECT r::text, r FROM unnest(ARRAY[23.98, 50, 59.94]) r",
    "INSERT INTO resolution_presets VALUES ('HD', 1920, 1080), ('UHD', 3840, 2160)",
    "INSERT INTO source_types VALUES ('LAPTOP', 'Laptop', 1), ('SERVER', 'Media server', NULL)",
    """INSERT INTO settings VALUES ('hue', '"dark"'), ('none', 'null'), ('deep', '{"a": [{}]}')""",
    "INSERT INTO server_registry (host, seen_at) VALUES ('10.0.0.7', '2026-03-29 02:30:00.123')",
    (
        "INSERT INTO equipment_specs VALUES ('spec 1', 'SWITCHER', NULL, '🎥'),"
        " ('s2', 'ROUTER', '', 'x')"
    ),
    "INSERT INTO equipment_cards SELECT 'card ' || n, 'spec 1', n FROM generate_series(1, 8) n",
    (
        "INSERT INTO equipment_card_io SELECT 'io ' || n, 'card ' || 1 + n % 8, 'IN'"
        " FROM generate_series(1, 64) n"
    ),
    (
        "INSERT INTO equipment_io_ports SELECT 'port ' || row_number() OVER (), 's2', id"
        " FROM (SELECT id FROM sources ORDER BY id LIMIT 200) chosen"
    ),
    """INSERT INTO sync_conflicts SELECT 'conflict ' || row_number() OVER (), id, '{}', '[1, null]'
    FROM (SELECT id FROM productions ORDER BY id LIMIT 50) chosen""",
    (
        "INSERT INTO sync_log (production_id, source_id, said) SELECT production_id, id, 'pushed'"
        " FROM (SELECT * FROM sources ORDER BY id LIMIT 500) chosen"
    ),
)


async def add(connection: asyncpg.Connection, rows: int = 2) -> None:
    """Add all of them, with ``rows`` rows for each production where a table hangs on one."""
    enum = """CREATE TYPE "EquipmentKind" AS ENUM ('SWITCHER', 'ROUTER', 'CONVERTER')"""
    scoped = {t: _SCOPED.format(table=t, own=own) for t, own in _OF_PRODUCTIONS.items()}
    async with connection.transaction():
        await connection.execute(enum)
        for table, columns in (_OTHERS | scoped).items():
            await connection.execute(f"CREATE TABLE {table} ({columns})")
        await connection.execute(_HISTORY_SQL)
        for table in scoped:
            await connection.execute(
                f"CREATE INDEX {table}_production_id_idx ON {table} (production_id)"
            )
            await connection.execute(
                f"INSERT INTO {table} (id, production_id, name, updated_at) SELECT"
                f" '{table} ' || n || ' of ' || id, id, 'n' || n, '2025-10-26 02:59:59.999'"
                " FROM productions, generate_series(1, $1::int) n",
                rows,
            )
        for statement in _FILLINGS:
            await connection.execute(statement)


async def contents(connection: asyncpg.Connection) -> dict[str, tuple[int, str]]:
    """Return each table's row count and a hash of all its rows, whatever their order."""
    answer = {}
    for table in NAMES:
        found = await connection.fetchrow(
            f"SELECT count(*), coalesce(sum(hashtextextended(t::text, 7)::numeric), 0)::text"
            f" FROM {table} t"
        )
        assert found is not None
        answer[table] = (found[0], found[1])
    return answer


async def catalogue(connection: asyncpg.Connection) -> list[str]:
    """Return every row that PostgreSQL's catalogue holds of them, as text.

    Statistics are left out: autovacuum writes them whenever it likes.
    """
    found = await connection.fetch(
        """
        WITH theirs AS (SELECT oid FROM pg_class
            WHERE relnamespace = 'public'::regnamespace AND relname = ANY($1)),
        related AS (SELECT oid FROM theirs
            UNION SELECT indexrelid FROM pg_index WHERE indrelid IN (TABLE theirs)
            UNION SELECT objid FROM pg_depend
                WHERE classid = 'pg_class'::regclass AND refobjid IN (TABLE theirs))
        SELECT (to_jsonb(c) - '{relpages,reltuples,relallvisible,relallfrozen,relfrozenxid,
            relminmxid}'::text[])::text AS line FROM pg_class c WHERE oid IN (TABLE related)
        UNION ALL SELECT a::text FROM pg_attribute a WHERE attrelid IN (TABLE related)
        UNION ALL SELECT d::text FROM pg_attrdef d WHERE adrelid IN (TABLE related)
        UNION ALL SELECT k::text FROM pg_constraint k WHERE conrelid IN (TABLE theirs)
        UNION ALL SELECT i::text FROM pg_index i WHERE indrelid IN (TABLE theirs)
        UNION ALL SELECT t::text FROM pg_trigger t WHERE tgrelid IN (TABLE theirs)
        UNION ALL SELECT s::text FROM pg_sequence s WHERE seqrelid IN (TABLE related)
        UNION ALL SELECT e::text FROM pg_enum e WHERE enumtypid = '"EquipmentKind"'::regtype
        ORDER BY 1""",
        list(NAMES),
    )
    return [row["line"] for row in found]

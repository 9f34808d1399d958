"""What else an older database holds: three tables of that service, and some of nobody we know.

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
    "crew_calls": "mask text DEFAULT '255.255.255.0',",
    "cue_sheets": "cues jsonb NOT NULL DEFAULT '[]', mes integer NOT NULL DEFAULT 2,",
}

_ENUMS: Final = {
    "ConflictResolution": ("PENDING", "CLOUD_WINS", "LOCAL_WINS", "MANUAL"),
    "SyncDirection": ("UPLOAD", "DOWNLOAD", "BIDIRECTIONAL"),
    "SyncStatus": ("STARTED", "COMPLETED", "FAILED", "PARTIAL"),
    "RentalKind": ("SWITCHER", "ROUTER", "CONVERTER"),
}

# Tables that stand for themselves, or hang on another of these. The first three are the older
# service's own; the others might be anybody's.
_OTHERS: Final = {
    "server_registry": """id text PRIMARY KEY, server_name text NOT NULL, ip_address text NOT NULL,
    port integer NOT NULL, is_active boolean NOT NULL DEFAULT true,
    last_heartbeat timestamp(3) NOT NULL,
    created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, updated_at timestamp(3) NOT NULL""",
    "sync_conflicts": """id text PRIMARY KEY, table_name text NOT NULL, record_id text NOT NULL,
    cloud_version integer, local_version integer, cloud_data jsonb, local_data jsonb,
    cloud_updated_at timestamp(3), local_updated_at timestamp(3),
    resolution "ConflictResolution" NOT NULL DEFAULT 'PENDING', resolved_at timestamp(3),
    resolved_by text, created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP""",
    "sync_log": """id text PRIMARY KEY, sync_direction "SyncDirection" NOT NULL,
    started_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, completed_at timestamp(3),
    status "SyncStatus" NOT NULL, records_synced integer NOT NULL DEFAULT 0,
    conflicts_detected integer NOT NULL DEFAULT 0, errors jsonb, server_id text,
    created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP""",
    "pixel_maps": "id text PRIMARY KEY, h_res integer NOT NULL, v_res integer NOT NULL, "
    "CONSTRAINT pixel_maps_check CHECK (h_res > 0 AND v_res > 0)",
    "preferences": "key text PRIMARY KEY, value jsonb NOT NULL, host inet, "
    "token uuid NOT NULL UNIQUE DEFAULT gen_random_uuid()",
    "rentals": """id text PRIMARY KEY, kind "RentalKind" NOT NULL, maker text,
    model text NOT NULL""",
    "rental_parts": "id text PRIMARY KEY, rental_id text NOT NULL REFERENCES rentals(id) "
    "ON UPDATE CASCADE ON DELETE CASCADE, source_id text REFERENCES "
    "sources(id) ON UPDATE CASCADE ON DELETE SET NULL",
    "cue_notes": "id text PRIMARY KEY, production_id text NOT NULL REFERENCES productions(id) "
    "ON UPDATE CASCADE ON DELETE CASCADE, local jsonb NOT NULL, remote jsonb NOT NULL",
    "cue_log": "number bigserial PRIMARY KEY, production_id text REFERENCES productions(id) "
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
    """INSERT INTO server_registry (id, server_name, ip_address, port, last_heartbeat, updated_at)
    SELECT 's ' || n, '🎬', '10.0.0.7', n, '2026-03-29 02:30:00.123', '0001-01-01 00:00:00.001'
    FROM generate_series(1, 3) n""",
    """INSERT INTO sync_conflicts (id, table_name, record_id, cloud_data, local_data)
    SELECT 'conflict ' || row_number() OVER (), 'productions', id, '{}', '[1, null]'
    FROM (SELECT id FROM productions ORDER BY id LIMIT 50) chosen""",
    """INSERT INTO sync_log (id, sync_direction, status, errors)
    SELECT 'run ' || n, 'UPLOAD', 'PARTIAL', 'null' FROM generate_series(1, 40) n""",
    "INSERT INTO pixel_maps VALUES ('HD', 1920, 1080), ('UHD', 3840, 2160)",
    """INSERT INTO preferences VALUES ('hue', '"dark"', '10.0.0.7'), ('none', 'null', NULL),
    ('deep', '{"a": [{}]}', NULL)""",
    "INSERT INTO rentals VALUES ('spec 1', 'SWITCHER', NULL, '🎥'), ('s2', 'ROUTER', '', 'x')",
    """INSERT INTO rental_parts SELECT 'part ' || row_number() OVER (), 's2', id
    FROM (SELECT id FROM sources ORDER BY id LIMIT 200) chosen""",
    """INSERT INTO cue_notes SELECT 'note ' || row_number() OVER (), id, '{}', '[1, null]'
    FROM (SELECT id FROM productions ORDER BY id LIMIT 50) chosen""",
    """INSERT INTO cue_log (production_id, source_id, said) SELECT production_id, id, 'pushed'
    FROM (SELECT * FROM sources ORDER BY id LIMIT 500) chosen""",
)


async def add(connection: asyncpg.Connection, rows: int = 2) -> None:
    """Add all of them, with ``rows`` rows for each production where a table hangs on one."""
    scoped = {t: _SCOPED.format(table=t, own=own) for t, own in _OF_PRODUCTIONS.items()}
    async with connection.transaction():
        for name, labels in _ENUMS.items():
            await connection.execute(f"""CREATE TYPE "{name}" AS ENUM {labels}""")
        for table, columns in (_OTHERS | scoped).items():
            await connection.execute(f"CREATE TABLE {table} ({columns})")
        await connection.execute(
            "CREATE INDEX server_registry_is_active_last_heartbeat_idx ON server_registry"
            " (is_active, last_heartbeat)"
        )
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
        UNION ALL SELECT e::text FROM pg_enum e WHERE enumtypid IN
            (SELECT oid FROM pg_type WHERE typname = ANY($2))
        ORDER BY 1""",
        list(NAMES),
        list(_ENUMS),
    )
    return [row["line"] for row in found]

"""The older service's database, as it left it: text keys, times in UTC without a zone.

On an empty database this creates its tables that Signalbook carries forward; a live one is adopted
as it stands. The tables of its later versions are in ``alembic/further_older_tables.sql``. The keys
on these tables' ``id`` make a label unique across all productions.

Revision 0001_older_schema, the first.
"""

from typing import Final

from alembic import op
from app.releases.migrations.further_tables import further_statements, further_tables

revision = "0001_older_schema"
down_revision = None
branch_labels = None
depends_on = None

phase = "expand"
table = None

TYPES: Final = (
    """CREATE TYPE "EventOperation" AS ENUM ('CREATE', 'UPDATE', 'DELETE')""",
    """CREATE TYPE "EventType" AS ENUM (
    'SOURCE', 'SEND', 'CAMERA', 'CCU', 'MEDIA_SERVER', 'VIDEO_SWITCHER', 'ROUTER',
    'CABLE_SNAKE', 'PROJECTION_SCREEN', 'LED_SCREEN', 'COMPUTER', 'IP_ADDRESS',
    'CHECKLIST_ITEM', 'PRODUCTION', 'CAM_SWITCHER', 'VISION_SWITCHER', 'RECORD',
    'STREAM'
)""",
    """CREATE TYPE "ProductionStatus" AS ENUM (
    'PLANNING', 'READY', 'ACTIVE', 'COMPLETED', 'ARCHIVED'
)""",
)

ENUMS: Final = (
    "EventOperation", "EventType", "ProductionStatus", "EquipmentCategory", "IoArchitecture",
    "PortType",
)  # fmt: skip

STANDING_ALONE: Final = (
    "productions", "equipment_specs", "connector_types", "frame_rates", "resolution_presets",
    "source_types", "settings",
)  # fmt: skip

TABLES: Final = {
    "productions": """CREATE TABLE productions (
    id text NOT NULL,
    client text NOT NULL,
    show_name text NOT NULL,
    venue text,
    room text,
    load_in timestamp(3),
    load_out timestamp(3),
    show_info_url text,
    status "ProductionStatus" NOT NULL DEFAULT 'PLANNING',
    created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp(3) NOT NULL,
    synced_at timestamp(3),
    last_modified_by text,
    version integer NOT NULL DEFAULT 1,
    is_deleted boolean NOT NULL DEFAULT false,
    field_versions jsonb,
    source_types jsonb,
    CONSTRAINT productions_pkey PRIMARY KEY (id)
)""",
    "cable_snakes": """CREATE TABLE cable_snakes (
    id text NOT NULL,
    production_id text NOT NULL,
    name text NOT NULL,
    manufacturer text,
    model text,
    note text,
    created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp(3) NOT NULL,
    version integer NOT NULL DEFAULT 1,
    is_deleted boolean NOT NULL DEFAULT false,
    last_modified_by text,
    synced_at timestamp(3),
    CONSTRAINT cable_snakes_pkey PRIMARY KEY (id),
    CONSTRAINT cable_snakes_production_id_fkey FOREIGN KEY (production_id)
        REFERENCES productions(id) ON UPDATE CASCADE ON DELETE CASCADE
)""",
    "ccus": """CREATE TABLE ccus (
    id text NOT NULL,
    production_id text NOT NULL,
    name text NOT NULL,
    manufacturer text,
    model text,
    format_mode text,
    fiber_input text,
    reference_input text,
    outputs jsonb,
    note text,
    created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp(3) NOT NULL,
    version integer NOT NULL DEFAULT 1,
    is_deleted boolean NOT NULL DEFAULT false,
    last_modified_by text,
    synced_at timestamp(3),
    CONSTRAINT ccus_pkey PRIMARY KEY (id),
    CONSTRAINT ccus_production_id_fkey FOREIGN KEY (production_id)
        REFERENCES productions(id) ON UPDATE CASCADE ON DELETE CASCADE
)""",
    "cameras": """CREATE TABLE cameras (
    id text NOT NULL,
    production_id text NOT NULL,
    name text NOT NULL,
    model text,
    format_mode text,
    lens_type text,
    max_zoom double precision,
    shooting_distance double precision,
    calculated_zoom double precision,
    has_tripod boolean,
    has_short_tripod boolean,
    has_dolly boolean,
    has_jib boolean,
    ccu_id text,
    smpte_cable_length double precision,
    note text,
    created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp(3) NOT NULL,
    version integer NOT NULL DEFAULT 1,
    is_deleted boolean NOT NULL DEFAULT false,
    last_modified_by text,
    synced_at timestamp(3),
    CONSTRAINT cameras_pkey PRIMARY KEY (id),
    CONSTRAINT cameras_ccu_id_fkey FOREIGN KEY (ccu_id)
        REFERENCES ccus(id) ON UPDATE CASCADE ON DELETE SET NULL,
    CONSTRAINT cameras_production_id_fkey FOREIGN KEY (production_id)
        REFERENCES productions(id) ON UPDATE CASCADE ON DELETE CASCADE
)""",
    "sources": """CREATE TABLE sources (
    id text NOT NULL,
    production_id text NOT NULL,
    type text NOT NULL,
    name text NOT NULL,
    format_assignment_mode text DEFAULT 'system-wide',
    h_res integer,
    v_res integer,
    rate double precision,
    standard text,
    note text,
    secondary_device text,
    blanking text,
    created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp(3) NOT NULL,
    synced_at timestamp(3),
    last_modified_by text,
    version integer NOT NULL DEFAULT 1,
    is_deleted boolean NOT NULL DEFAULT false,
    CONSTRAINT sources_pkey PRIMARY KEY (id),
    CONSTRAINT sources_production_id_fkey FOREIGN KEY (production_id)
        REFERENCES productions(id) ON UPDATE CASCADE ON DELETE CASCADE
)""",
    "source_outputs": """CREATE TABLE source_outputs (
    id text NOT NULL,
    source_id text NOT NULL,
    connector text NOT NULL,
    output_index integer NOT NULL DEFAULT 1,
    h_res integer,
    v_res integer,
    rate double precision,
    standard text,
    created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    version integer NOT NULL DEFAULT 1,
    CONSTRAINT source_outputs_pkey PRIMARY KEY (id),
    CONSTRAINT source_outputs_source_id_fkey FOREIGN KEY (source_id)
        REFERENCES sources(id) ON UPDATE CASCADE ON DELETE CASCADE
)""",
    "sends": """CREATE TABLE sends (
    id text NOT NULL,
    production_id text NOT NULL,
    type text NOT NULL,
    name text NOT NULL,
    h_res integer,
    v_res integer,
    rate double precision,
    standard text,
    note text,
    secondary_device text,
    output_connector text,
    created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp(3) NOT NULL,
    synced_at timestamp(3),
    last_modified_by text,
    version integer NOT NULL DEFAULT 1,
    is_deleted boolean NOT NULL DEFAULT false,
    CONSTRAINT sends_pkey PRIMARY KEY (id),
    CONSTRAINT sends_production_id_fkey FOREIGN KEY (production_id)
        REFERENCES productions(id) ON UPDATE CASCADE ON DELETE CASCADE
)""",
    "connections": """CREATE TABLE connections (
    id text NOT NULL,
    production_id text NOT NULL,
    source_id text,
    source_output_id text,
    intermediate_type text,
    intermediate_id text,
    intermediate_input text,
    intermediate_output text,
    destination_type text NOT NULL,
    destination_id text,
    signal_path jsonb,
    note text,
    created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp(3) NOT NULL,
    version integer NOT NULL DEFAULT 1,
    is_deleted boolean NOT NULL DEFAULT false,
    last_modified_by text,
    synced_at timestamp(3),
    CONSTRAINT connections_pkey PRIMARY KEY (id),
    CONSTRAINT connections_production_id_fkey FOREIGN KEY (production_id)
        REFERENCES productions(id) ON UPDATE CASCADE ON DELETE CASCADE,
    CONSTRAINT connections_source_id_fkey FOREIGN KEY (source_id)
        REFERENCES sources(id) ON UPDATE CASCADE ON DELETE SET NULL
)""",
    "checklist_items": """CREATE TABLE checklist_items (
    id text NOT NULL,
    production_id text NOT NULL,
    completed boolean NOT NULL DEFAULT false,
    sort_order integer,
    created_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp(3) NOT NULL,
    version integer NOT NULL DEFAULT 1,
    title text NOT NULL,
    last_modified_by text,
    assigned_to text,
    category text,
    completed_at bigint,
    completion_date timestamp(3),
    completion_note text,
    days_before_show integer,
    due_date timestamp(3),
    more_info text,
    reference text,
    CONSTRAINT checklist_items_pkey PRIMARY KEY (id),
    CONSTRAINT checklist_items_production_id_fkey FOREIGN KEY (production_id)
        REFERENCES productions(id) ON UPDATE CASCADE ON DELETE CASCADE
)""",
    "events": """CREATE TABLE events (
    id text NOT NULL,
    production_id text NOT NULL,
    event_type "EventType" NOT NULL,
    operation "EventOperation" NOT NULL,
    entity_id text NOT NULL,
    entity_data jsonb,
    changes jsonb,
    user_id text NOT NULL,
    user_name text,
    version integer NOT NULL DEFAULT 1,
    "timestamp" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT events_pkey PRIMARY KEY (id),
    CONSTRAINT events_production_id_fkey FOREIGN KEY (production_id)
        REFERENCES productions(id) ON UPDATE CASCADE ON DELETE CASCADE
)""",
}

INDEXES: Final = (
    "CREATE INDEX productions_status_is_deleted_idx ON productions (status, is_deleted)",
    "CREATE INDEX cable_snakes_production_id_idx ON cable_snakes (production_id)",
    "CREATE INDEX ccus_production_id_idx ON ccus (production_id)",
    "CREATE INDEX cameras_ccu_id_idx ON cameras (ccu_id)",
    "CREATE INDEX cameras_production_id_idx ON cameras (production_id)",
    "CREATE INDEX sources_production_id_is_deleted_idx ON sources (production_id, is_deleted)",
    "CREATE INDEX sources_type_idx ON sources (type)",
    "CREATE INDEX source_outputs_source_id_idx ON source_outputs (source_id)",
    "CREATE INDEX sends_production_id_is_deleted_idx ON sends (production_id, is_deleted)",
    "CREATE INDEX sends_type_idx ON sends (type)",
    "CREATE INDEX connections_production_id_idx ON connections (production_id)",
    "CREATE INDEX connections_source_id_idx ON connections (source_id)",
    "CREATE INDEX checklist_items_production_id_idx ON checklist_items (production_id)",
    "CREATE INDEX events_production_id_entity_id_idx ON events (production_id, entity_id)",
    "CREATE INDEX events_production_id_event_type_idx ON events (production_id, event_type)",
    """CREATE INDEX events_production_id_timestamp_idx ON events (production_id, "timestamp")""",
)


class RowsWouldBeLost(RuntimeError):
    """The older database is not dropped while it holds anything."""


def upgrade() -> None:
    """Create what the older service would have found."""
    for statement in (*TYPES, *TABLES.values(), *INDEXES, *further_statements()):
        op.execute(statement)


def downgrade() -> None:
    """Drop it, if it is empty. Raises RowsWouldBeLost when it is not."""
    _raise_if_rows_would_be_lost()
    for name in reversed([*TABLES, *further_tables()]):
        op.execute(f"DROP TABLE {name}")
    for name in ENUMS:
        op.execute(f'DROP TYPE "{name}"')


def _raise_if_rows_would_be_lost() -> None:
    # Every other table's rows hang on a row of one of these.
    if op.get_context().as_sql:
        return
    for table in STANDING_ALONE:
        if op.get_bind().exec_driver_sql(f"SELECT 1 FROM {table} LIMIT 1").first():
            raise RowsWouldBeLost(
                f"This downgrade would drop the older database with its {table}; nothing was "
                f"changed: empty the table {table} first if that is really meant."
            )

"""Connections get legs, and snakes channels: each a list with a table of its own.

Revision 0061_connection_legs, after 0039_access.
"""

from app.releases.migrations.catalogue import key_column
from app.releases.migrations.ddl import Index, add_foreign_key, build_index
from app.releases.migrations.migration_session import ACROSS_TABLES
from app.releases.migrations.steps import beside

revision = "0061_connection_legs"
down_revision = "0039_access"
branch_labels = None
depends_on = None

phase = "expand"
table = None

TABLES = {
    "connection_legs": """CREATE TABLE connection_legs (
    uuid UUID DEFAULT gen_random_uuid() NOT NULL,
    id TEXT NOT NULL,
    connection_uuid UUID NOT NULL,
    index INTEGER DEFAULT '1' NOT NULL,
    from_device_type TEXT,
    from_device_id TEXT,
    from_device_uuid UUID,
    from_port TEXT,
    from_port_uuid UUID,
    to_device_type TEXT,
    to_device_id TEXT,
    to_device_uuid UUID,
    to_port TEXT,
    to_port_uuid UUID,
    cable_type TEXT,
    cable_label TEXT,
    length DOUBLE PRECISION,
    length_unit TEXT,
    snake_uuid UUID,
    channel INTEGER,
    state TEXT,
    note TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT CURRENT_TIMESTAMP NOT NULL,
    version INTEGER DEFAULT '1' NOT NULL,
    CONSTRAINT connection_legs_pkey PRIMARY KEY (uuid)
)""",
    "snake_channels": """CREATE TABLE snake_channels (
    uuid UUID DEFAULT gen_random_uuid() NOT NULL,
    id TEXT NOT NULL,
    cable_snake_uuid UUID NOT NULL,
    number INTEGER DEFAULT '1' NOT NULL,
    connector_a TEXT,
    connector_b TEXT,
    direction TEXT,
    feed TEXT,
    send TEXT,
    note TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT CURRENT_TIMESTAMP NOT NULL,
    version INTEGER DEFAULT '1' NOT NULL,
    CONSTRAINT snake_channels_pkey PRIMARY KEY (uuid)
)""",
}
OWNERS = {
    "connection_legs": ("connection_uuid", "connections"),
    "snake_channels": ("cable_snake_uuid", "cable_snakes"),
}


def upgrade() -> None:
    """Create them beside, since their foreign keys lock other tables for a moment."""
    with beside() as steps:
        for table_name, (owner, parent) in OWNERS.items():
            if key_column(steps, table_name) is None:
                steps.brief(TABLES[table_name])
            add_foreign_key(steps, table_name, owner, parent, actions="ON DELETE CASCADE")
            build_index(steps, table_name, Index(owner))
        for column in ("to_device_uuid", "snake_uuid"):
            build_index(steps, "connection_legs", Index(column))


def downgrade() -> None:
    """Drop them, and with them what was entered meanwhile."""
    with beside() as steps:
        for table_name in OWNERS:
            steps.brief(f"DROP TABLE IF EXISTS {table_name}", lock_timeout=ACROSS_TABLES)

"""Device ports: the connectors of the devices of a show.

Revision 0037_device_ports, after 0036_formats.
"""

from app.releases.migrations.catalogue import key_column
from app.releases.migrations.ddl import LIVE, Index, add_foreign_key, build_index
from app.releases.migrations.migration_session import ACROSS_TABLES
from app.releases.migrations.steps import beside

revision = "0037_device_ports"
down_revision = "0036_formats"
branch_labels = None
depends_on = None

phase = "expand"
table = None

DEVICE_PORTS = """CREATE TABLE device_ports (
    uuid UUID DEFAULT gen_random_uuid() NOT NULL,
    id TEXT NOT NULL,
    version INTEGER DEFAULT '1' NOT NULL,
    field_versions JSONB,
    is_deleted BOOLEAN DEFAULT 'false' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT CURRENT_TIMESTAMP NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT CURRENT_TIMESTAMP NOT NULL,
    last_modified_by TEXT,
    synced_at TIMESTAMP WITH TIME ZONE,
    production_uuid UUID NOT NULL,
    note TEXT,
    device_type TEXT,
    device_id TEXT,
    device_uuid UUID,
    spec_port_uuid UUID,
    port_label TEXT NOT NULL,
    io_type TEXT NOT NULL,
    direction TEXT NOT NULL,
    format_uuid UUID,
    card_slot INTEGER,
    port_index INTEGER,
    connector TEXT,
    signal_family TEXT,
    link_class TEXT,
    loop_uuid UUID,
    is_unlisted BOOLEAN DEFAULT 'false' NOT NULL,
    deleted_with_uuid UUID,
    CONSTRAINT device_ports_pkey PRIMARY KEY (uuid)
)"""


def upgrade() -> None:
    """Create it beside, since its foreign keys lock other tables for a moment, with retries."""
    with beside() as steps:
        if key_column(steps, "device_ports") is None:
            steps.brief(DEVICE_PORTS)
        add_foreign_key(
            steps, "device_ports", "production_uuid", "productions", actions="ON DELETE CASCADE"
        )
        build_index(steps, "device_ports", Index("device_uuid"))
        for columns in ("id", "production_uuid, created_at, uuid"):
            build_index(steps, "device_ports", Index(columns, LIVE))


def downgrade() -> None:
    """Drop it, and with it the rows that were made meanwhile."""
    with beside() as steps:
        steps.brief("DROP TABLE IF EXISTS device_ports", lock_timeout=ACROSS_TABLES)

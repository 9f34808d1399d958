"""Projection surfaces: what projectors throw on.

Revision 0038_projection_surfaces, after 0037_device_ports.
"""

from app.releases.migrations.catalogue import key_column
from app.releases.migrations.ddl import LIVE, Index, add_foreign_key, build_index
from app.releases.migrations.migration_session import ACROSS_TABLES
from app.releases.migrations.steps import beside

revision = "0038_projection_surfaces"
down_revision = "0037_device_ports"
branch_labels = None
depends_on = None

phase = "expand"
table = None

PROJECTION_SURFACES = """CREATE TABLE projection_surfaces (
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
    name TEXT NOT NULL,
    width_m DOUBLE PRECISION,
    height_m DOUBLE PRECISION,
    bezel_h_m DOUBLE PRECISION,
    bezel_v_m DOUBLE PRECISION,
    surface_type TEXT,
    gain_factor DOUBLE PRECISION,
    dist_floor_m DOUBLE PRECISION,
    pos_ds_x_m DOUBLE PRECISION,
    pos_ds_y_m DOUBLE PRECISION,
    pos_ds_z_m DOUBLE PRECISION,
    rot_x DOUBLE PRECISION,
    rot_y DOUBLE PRECISION,
    rot_z DOUBLE PRECISION,
    ambient_lux DOUBLE PRECISION,
    mattes JSONB,
    projector_assignments JSONB,
    CONSTRAINT projection_surfaces_pkey PRIMARY KEY (uuid)
)"""


def upgrade() -> None:
    """Create it beside, since its foreign keys lock other tables for a moment, with retries."""
    with beside() as steps:
        if key_column(steps, "projection_surfaces") is None:
            steps.brief(PROJECTION_SURFACES)
        add_foreign_key(
            steps, "projection_surfaces", "production_uuid", "productions",
            actions="ON DELETE CASCADE",
        )  # fmt: skip
        for columns in ("id", "production_uuid, created_at, uuid"):
            build_index(steps, "projection_surfaces", Index(columns, LIVE))


def downgrade() -> None:
    """Drop it, and with it the rows that were made meanwhile."""
    with beside() as steps:
        steps.brief("DROP TABLE IF EXISTS projection_surfaces", lock_timeout=ACROSS_TABLES)

"""Formats: rasters with their rates, those that ship with the service and those of its users.

A rate is a fraction, so that 60000/1001 stays what it is.

Revision 0036_formats, after 0035_equipment_card_io_expand.
"""

from app.releases.migrations.catalogue import key_column
from app.releases.migrations.ddl import LIVE, Index, build_index
from app.releases.migrations.steps import beside

revision = "0036_formats"
down_revision = "0035_equipment_card_io_expand"
branch_labels = None
depends_on = None

phase = "expand"
table = None

FORMATS = """CREATE TABLE formats (
    uuid uuid NOT NULL DEFAULT gen_random_uuid(),
    id text NOT NULL,
    h_res integer NOT NULL,
    v_res integer NOT NULL,
    rate_numerator integer NOT NULL,
    rate_denominator integer NOT NULL,
    is_interlaced boolean NOT NULL DEFAULT false,
    blanking text NOT NULL DEFAULT 'NONE',
    is_system boolean NOT NULL DEFAULT false,
    version integer NOT NULL DEFAULT 1,
    is_deleted boolean NOT NULL DEFAULT false,
    last_modified_by text,
    created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT formats_pkey PRIMARY KEY (uuid)
)"""
ONCE = Index("id", LIVE, unique=True)


def upgrade() -> None:
    """Create it."""
    with beside() as steps:
        if key_column(steps, "formats") is None:
            steps.brief(FORMATS)
        build_index(steps, "formats", ONCE)


def downgrade() -> None:
    """Drop it, and with it the formats that users made."""
    with beside() as steps:
        steps.brief("DROP TABLE IF EXISTS formats")

"""CCUs get their uuid, and cameras their link to it.

Revision 0005_ccus_expand, after 0004_cable_snakes_switch.
"""

from app.releases.migrations.column_sync import Link
from app.releases.migrations.phased_change import Expand, production_of

revision = "0005_ccus_expand"
down_revision = "0004_cable_snakes_switch"
branch_labels = None
depends_on = None

phase = "expand"
table = "ccus"

step = Expand(
    table="ccus",
    columns={
        "field_versions": "jsonb",
        "equipment_uuid": "uuid",
        "sort_order": "integer NOT NULL DEFAULT 0",
    },
    links=[production_of("ccus")],
    children=[Link("cameras", "ccu", "ccus", "SET NULL")],
)


def upgrade() -> None:
    """Add beside the old, fill, and keep both in step."""
    step.upgrade()


def downgrade() -> None:
    """Forget the new columns."""
    step.downgrade()

"""Camera switchers get their uuid, and what else the new service keeps of them.

Revision 0024_cam_switchers_switch, after 0023_productions_numbers.
"""

from app.releases.migrations.phased_change import ExpandAndSwitch, production_of

revision = "0024_cam_switchers_switch"
down_revision = "0023_productions_numbers"
branch_labels = None
depends_on = None

phase = "switch"
table = "cam_switchers"

step = ExpandAndSwitch(
    table="cam_switchers",
    columns={"field_versions": "jsonb", "equipment_uuid": "uuid"},
    links=[production_of("cam_switchers")],
)


def upgrade() -> None:
    """Add beside the old, fill, keep both in step, and make uuid the primary key."""
    step.upgrade()


def downgrade() -> None:
    """Make id the primary key again, and forget the new columns."""
    step.downgrade()

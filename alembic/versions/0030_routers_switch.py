"""Routers get their uuid, and what else the new service keeps of them.

Revision 0030_routers_switch, after 0029_records_switch.
"""

from app.releases.migrations.phased_change import ExpandAndSwitch, production_of

revision = "0030_routers_switch"
down_revision = "0029_records_switch"
branch_labels = None
depends_on = None

phase = "switch"
table = "routers"

step = ExpandAndSwitch(
    table="routers",
    columns={"field_versions": "jsonb", "equipment_uuid": "uuid"},
    links=[production_of("routers")],
)


def upgrade() -> None:
    """Add beside the old, fill, keep both in step, and make uuid the primary key."""
    step.upgrade()


def downgrade() -> None:
    """Make id the primary key again, and forget the new columns."""
    step.downgrade()

"""Streams get their uuid, and what else the new service keeps of them.

Revision 0031_streams_switch, after 0030_routers_switch.
"""

from app.releases.migrations.phased_change import ExpandAndSwitch, production_of

revision = "0031_streams_switch"
down_revision = "0030_routers_switch"
branch_labels = None
depends_on = None

phase = "switch"
table = "streams"

step = ExpandAndSwitch(
    table="streams",
    columns={"field_versions": "jsonb", "equipment_uuid": "uuid"},
    links=[production_of("streams")],
)


def upgrade() -> None:
    """Add beside the old, fill, keep both in step, and make uuid the primary key."""
    step.upgrade()


def downgrade() -> None:
    """Make id the primary key again, and forget the new columns."""
    step.downgrade()

"""Projectors get their uuid, and what else the new service keeps of them.

Revision 0028_projection_screens_switch, after 0027_media_servers_switch.
"""

from app.releases.migrations.phased_change import ExpandAndSwitch, production_of

revision = "0028_projection_screens_switch"
down_revision = "0027_media_servers_switch"
branch_labels = None
depends_on = None

phase = "switch"
table = "projection_screens"

step = ExpandAndSwitch(
    table="projection_screens",
    columns={"field_versions": "jsonb", "equipment_uuid": "uuid"},
    links=[production_of("projection_screens")],
)


def upgrade() -> None:
    """Add beside the old, fill, keep both in step, and make uuid the primary key."""
    step.upgrade()


def downgrade() -> None:
    """Make id the primary key again, and forget the new columns."""
    step.downgrade()

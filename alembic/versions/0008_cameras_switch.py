"""Cameras: the primary key becomes uuid.

Revision 0008_cameras_switch, after 0007_cameras_expand.
"""

from app.releases.migrations.phased_change import Switch

revision = "0008_cameras_switch"
down_revision = "0007_cameras_expand"
branch_labels = None
depends_on = None

phase = "switch"
table = "cameras"

step = Switch(table="cameras")


def upgrade() -> None:
    """Make uuid the primary key."""
    step.upgrade()


def downgrade() -> None:
    """Make id the primary key again."""
    step.downgrade()

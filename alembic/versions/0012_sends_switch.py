"""Sends: the primary key becomes uuid.

Revision 0012_sends_switch, after 0011_sends_expand.
"""

from app.releases.migrations.phased_change import Switch

revision = "0012_sends_switch"
down_revision = "0011_sends_expand"
branch_labels = None
depends_on = None

phase = "switch"
table = "sends"

step = Switch(table="sends")


def upgrade() -> None:
    """Make uuid the primary key."""
    step.upgrade()


def downgrade() -> None:
    """Make id the primary key again."""
    step.downgrade()

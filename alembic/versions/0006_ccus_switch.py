"""CCUs: the primary key becomes uuid.

Revision 0006_ccus_switch, after 0005_ccus_expand.
"""

from app.releases.migrations.column_sync import Link
from app.releases.migrations.phased_change import Switch

revision = "0006_ccus_switch"
down_revision = "0005_ccus_expand"
branch_labels = None
depends_on = None

phase = "switch"
table = "ccus"

step = Switch(table="ccus", children=[Link("cameras", "ccu", "ccus", "SET NULL")])


def upgrade() -> None:
    """Make uuid the primary key."""
    step.upgrade()


def downgrade() -> None:
    """Make id the primary key again."""
    step.downgrade()

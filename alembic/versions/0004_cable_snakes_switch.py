"""Cable snakes: the primary key becomes uuid.

Revision 0004_cable_snakes_switch, after 0003_cable_snakes_expand.
"""

from app.releases.migrations.phased_change import Switch

revision = "0004_cable_snakes_switch"
down_revision = "0003_cable_snakes_expand"
branch_labels = None
depends_on = None

phase = "switch"
table = "cable_snakes"

step = Switch(table="cable_snakes")


def upgrade() -> None:
    """Make uuid the primary key."""
    step.upgrade()


def downgrade() -> None:
    """Make id the primary key again."""
    step.downgrade()

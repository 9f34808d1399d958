"""Connections: the primary key becomes uuid.

Revision 0014_connections_switch, after 0013_connections_expand.
"""

from app.releases.migrations.phased_change import Switch

revision = "0014_connections_switch"
down_revision = "0013_connections_expand"
branch_labels = None
depends_on = None

phase = "switch"
table = "connections"

step = Switch(table="connections")


def upgrade() -> None:
    """Make uuid the primary key."""
    step.upgrade()


def downgrade() -> None:
    """Make id the primary key again."""
    step.downgrade()

"""The older service's events: the primary key becomes uuid.

Revision 0018_events_switch, after 0017_events_expand.
"""

from app.releases.migrations.phased_change import Switch

revision = "0018_events_switch"
down_revision = "0017_events_expand"
branch_labels = None
depends_on = None

phase = "switch"
table = "events"

step = Switch(table="events")


def upgrade() -> None:
    """Make uuid the primary key."""
    step.upgrade()


def downgrade() -> None:
    """Make id the primary key again."""
    step.downgrade()

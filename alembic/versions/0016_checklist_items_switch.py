"""Checklist items: the primary key becomes uuid.

Revision 0016_checklist_items_switch, after 0015_checklist_items_expand.
"""

from app.releases.migrations.phased_change import Switch

revision = "0016_checklist_items_switch"
down_revision = "0015_checklist_items_expand"
branch_labels = None
depends_on = None

phase = "switch"
table = "checklist_items"

step = Switch(table="checklist_items")


def upgrade() -> None:
    """Make uuid the primary key."""
    step.upgrade()


def downgrade() -> None:
    """Make id the primary key again."""
    step.downgrade()

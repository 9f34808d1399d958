"""The older service's events get their uuid.

Revision 0017_events_expand, after 0016_checklist_items_switch.
"""

from app.releases.migrations.phased_change import Expand, production_of

revision = "0017_events_expand"
down_revision = "0016_checklist_items_switch"
branch_labels = None
depends_on = None

phase = "expand"
table = "events"

step = Expand(
    table="events",
    links=[production_of("events")],
    stamped=[],
)


def upgrade() -> None:
    """Add beside the old, fill, and keep both in step."""
    step.upgrade()


def downgrade() -> None:
    """Forget the new columns."""
    step.downgrade()

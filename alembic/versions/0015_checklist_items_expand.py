"""Checklist items get their uuid, and lists of notes.

Revision 0015_checklist_items_expand, after 0014_connections_switch.
"""

from app.releases.migrations.column_sync import TextList
from app.releases.migrations.phased_change import Expand, production_of

revision = "0015_checklist_items_expand"
down_revision = "0014_connections_switch"
branch_labels = None
depends_on = None

phase = "expand"
table = "checklist_items"

step = Expand(
    table="checklist_items",
    columns={
        "field_versions": "jsonb",
        "note": "text",
        "is_deleted": "boolean NOT NULL DEFAULT false",
        "synced_at": "timestamptz",
    },
    links=[production_of("checklist_items")],
    lists=[
        TextList("checklist_items", "completion_note"),
        TextList("checklist_items", "more_info"),
    ],
)


def upgrade() -> None:
    """Add beside the old, fill, and keep both in step."""
    step.upgrade()


def downgrade() -> None:
    """Forget the new columns."""
    step.downgrade()

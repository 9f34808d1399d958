"""Checklist items: what only the older service used is dropped.

Revision 0047_checklist_items_contract, after 0046_sends_contract.
"""

from app.releases.migrations.column_sync import TextList
from app.releases.migrations.phased_change import Contract, production_of

revision = "0047_checklist_items_contract"
down_revision = "0046_sends_contract"
branch_labels = None
depends_on = None

phase = "contract"
table = "checklist_items"

step = Contract(
    table="checklist_items",
    links=[production_of("checklist_items")],
    lists=[
        TextList("checklist_items", "completion_note"),
        TextList("checklist_items", "more_info"),
    ],
    zoned=["created_at", "updated_at", "completion_date", "due_date"],
    obsolete=["checklist_items_production_uuid_idx"],
)


def upgrade() -> None:
    """Drop the old columns."""
    step.upgrade()


def downgrade() -> None:
    """Refuse: the old columns are gone."""
    step.downgrade()

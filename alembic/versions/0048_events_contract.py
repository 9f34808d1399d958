"""The older service's events: what only the older service used is dropped.

Revision 0048_events_contract, after 0047_checklist_items_contract.
"""

from app.releases.migrations.ddl import Index
from app.releases.migrations.phased_change import Contract, production_of

revision = "0048_events_contract"
down_revision = "0047_checklist_items_contract"
branch_labels = None
depends_on = None

phase = "contract"
table = "events"

step = Contract(
    table="events",
    links=[production_of("events")],
    zoned=["timestamp"],
    stamped=["timestamp"],
    indexes=[Index("production_uuid, timestamp"), Index("production_uuid, entity_id")],
    obsolete=["events_production_uuid_idx"],
)


def upgrade() -> None:
    """Drop the old columns."""
    step.upgrade()


def downgrade() -> None:
    """Refuse: the old columns are gone."""
    step.downgrade()

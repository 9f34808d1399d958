"""Productions: what only the older service used is dropped.

Revision 0058_productions_contract, after 0057_vision_switchers_contract.
"""

from app.releases.migrations.ddl import LIVE, Index
from app.releases.migrations.phased_change import Contract

revision = "0058_productions_contract"
down_revision = "0057_vision_switchers_contract"
branch_labels = None
depends_on = None

phase = "contract"
table = "productions"

step = Contract(
    table="productions",
    zoned=["load_in", "load_out", "created_at", "updated_at", "synced_at"],
    indexes=[Index("created_at, uuid", LIVE), Index("id", LIVE)],
    obsolete=["productions_status_is_deleted_idx"],
)


def upgrade() -> None:
    """Drop the old columns."""
    step.upgrade()


def downgrade() -> None:
    """Refuse: the old columns are gone."""
    step.downgrade()

"""Records: what only the older service used is dropped.

Revision 0054_records_contract, after 0053_projection_screens_contract.
"""

from app.releases.migrations.phased_change import Contract, production_of

revision = "0054_records_contract"
down_revision = "0053_projection_screens_contract"
branch_labels = None
depends_on = None

phase = "contract"
table = "records"

step = Contract(
    table="records",
    links=[production_of("records")],
    obsolete=["records_production_uuid_idx"],
)


def upgrade() -> None:
    """Drop the old columns."""
    step.upgrade()


def downgrade() -> None:
    """Refuse: the old columns are gone."""
    step.downgrade()

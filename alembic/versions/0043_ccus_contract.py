"""CCUs: what only the older service used is dropped.

Revision 0043_ccus_contract, after 0042_cameras_contract.
"""

from app.releases.migrations.phased_change import Contract, production_of

revision = "0043_ccus_contract"
down_revision = "0042_cameras_contract"
branch_labels = None
depends_on = None

phase = "contract"
table = "ccus"

step = Contract(
    table="ccus",
    links=[production_of("ccus")],
    obsolete=["ccus_production_uuid_idx"],
)


def upgrade() -> None:
    """Drop the old columns."""
    step.upgrade()


def downgrade() -> None:
    """Refuse: the old columns are gone."""
    step.downgrade()

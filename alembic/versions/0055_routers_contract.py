"""Routers: what only the older service used is dropped.

Revision 0055_routers_contract, after 0054_records_contract.
"""

from app.releases.migrations.phased_change import Contract, production_of

revision = "0055_routers_contract"
down_revision = "0054_records_contract"
branch_labels = None
depends_on = None

phase = "contract"
table = "routers"

step = Contract(
    table="routers",
    links=[production_of("routers")],
    obsolete=["routers_production_uuid_idx"],
)


def upgrade() -> None:
    """Drop the old columns."""
    step.upgrade()


def downgrade() -> None:
    """Refuse: the old columns are gone."""
    step.downgrade()

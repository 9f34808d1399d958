"""Connections: what only the older service used is dropped.

Revision 0028_connections_contract, after 0027_ccus_contract.
"""

from app.releases.migrations.column_sync import Link
from app.releases.migrations.phased_change import Contract, production_of

revision = "0028_connections_contract"
down_revision = "0027_ccus_contract"
branch_labels = None
depends_on = None

phase = "contract"
table = "connections"

step = Contract(
    table="connections",
    links=[production_of("connections"), Link("connections", "source", "sources", "SET NULL")],
    obsolete=["connections_production_uuid_idx"],
)


def upgrade() -> None:
    """Drop the old columns."""
    step.upgrade()


def downgrade() -> None:
    """Refuse: the old columns are gone."""
    step.downgrade()

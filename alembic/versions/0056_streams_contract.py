"""Streams: what only the older service used is dropped.

Revision 0056_streams_contract, after 0055_routers_contract.
"""

from app.releases.migrations.phased_change import Contract, production_of

revision = "0056_streams_contract"
down_revision = "0055_routers_contract"
branch_labels = None
depends_on = None

phase = "contract"
table = "streams"

step = Contract(
    table="streams",
    links=[production_of("streams")],
    obsolete=["streams_production_uuid_idx"],
)


def upgrade() -> None:
    """Drop the old columns."""
    step.upgrade()


def downgrade() -> None:
    """Refuse: the old columns are gone."""
    step.downgrade()

"""Sends: what only the older service used is dropped.

Revision 0046_sends_contract, after 0045_sources_contract.
"""

from app.releases.migrations.phased_change import Contract, production_of

revision = "0046_sends_contract"
down_revision = "0045_sources_contract"
branch_labels = None
depends_on = None

phase = "contract"
table = "sends"

step = Contract(
    table="sends",
    links=[production_of("sends")],
    obsolete=["sends_production_uuid_idx", "sends_type_idx"],
)


def upgrade() -> None:
    """Drop the old columns."""
    step.upgrade()


def downgrade() -> None:
    """Refuse: the old columns are gone."""
    step.downgrade()

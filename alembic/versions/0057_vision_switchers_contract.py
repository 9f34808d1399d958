"""Vision switchers: what only the older service used is dropped.

Revision 0057_vision_switchers_contract, after 0056_streams_contract.
"""

from app.releases.migrations.phased_change import Contract, production_of

revision = "0057_vision_switchers_contract"
down_revision = "0056_streams_contract"
branch_labels = None
depends_on = None

phase = "contract"
table = "vision_switchers"

step = Contract(
    table="vision_switchers",
    links=[production_of("vision_switchers")],
    obsolete=["vision_switchers_production_uuid_idx"],
)


def upgrade() -> None:
    """Drop the old columns."""
    step.upgrade()


def downgrade() -> None:
    """Refuse: the old columns are gone."""
    step.downgrade()

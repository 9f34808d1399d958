"""Camera switchers: what only the older service used is dropped.

Revision 0049_cam_switchers_contract, after 0048_events_contract.
"""

from app.releases.migrations.phased_change import Contract, production_of

revision = "0049_cam_switchers_contract"
down_revision = "0048_events_contract"
branch_labels = None
depends_on = None

phase = "contract"
table = "cam_switchers"

step = Contract(
    table="cam_switchers",
    links=[production_of("cam_switchers")],
    obsolete=["cam_switchers_production_uuid_idx"],
)


def upgrade() -> None:
    """Drop the old columns."""
    step.upgrade()


def downgrade() -> None:
    """Refuse: the old columns are gone."""
    step.downgrade()

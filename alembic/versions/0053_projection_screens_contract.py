"""Projectors: what only the older service used is dropped.

Revision 0053_projection_screens_contract, after 0052_media_servers_contract.
"""

from app.releases.migrations.phased_change import Contract, production_of

revision = "0053_projection_screens_contract"
down_revision = "0052_media_servers_contract"
branch_labels = None
depends_on = None

phase = "contract"
table = "projection_screens"

step = Contract(
    table="projection_screens",
    links=[production_of("projection_screens")],
    obsolete=["projection_screens_production_uuid_idx"],
)


def upgrade() -> None:
    """Drop the old columns."""
    step.upgrade()


def downgrade() -> None:
    """Refuse: the old columns are gone."""
    step.downgrade()

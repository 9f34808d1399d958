"""Cameras: what only the older service used is dropped.

Revision 0042_cameras_contract, after 0041_cable_snakes_contract.
"""

from app.releases.migrations.column_sync import Link
from app.releases.migrations.phased_change import Contract, production_of

revision = "0042_cameras_contract"
down_revision = "0041_cable_snakes_contract"
branch_labels = None
depends_on = None

phase = "contract"
table = "cameras"

step = Contract(
    table="cameras",
    links=[production_of("cameras"), Link("cameras", "ccu", "ccus", "SET NULL")],
    obsolete=["cameras_production_uuid_idx"],
)


def upgrade() -> None:
    """Drop the old columns."""
    step.upgrade()


def downgrade() -> None:
    """Refuse: the old columns are gone."""
    step.downgrade()

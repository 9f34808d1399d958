"""IP addresses: what only the older service used is dropped.

Revision 0050_ip_addresses_contract, after 0049_cam_switchers_contract.
"""

from app.releases.migrations.phased_change import Contract, production_of

revision = "0050_ip_addresses_contract"
down_revision = "0049_cam_switchers_contract"
branch_labels = None
depends_on = None

phase = "contract"
table = "ip_addresses"

step = Contract(
    table="ip_addresses",
    links=[production_of("ip_addresses")],
    zoned=["created_at", "updated_at"],
    obsolete=["ip_addresses_production_uuid_idx"],
)


def upgrade() -> None:
    """Drop the old columns."""
    step.upgrade()


def downgrade() -> None:
    """Refuse: the old columns are gone."""
    step.downgrade()

"""LED screens: what only the older service used is dropped.

Revision 0051_led_screens_contract, after 0050_ip_addresses_contract.
"""

from app.releases.migrations.phased_change import Contract, production_of

revision = "0051_led_screens_contract"
down_revision = "0050_ip_addresses_contract"
branch_labels = None
depends_on = None

phase = "contract"
table = "led_screens"

step = Contract(
    table="led_screens",
    links=[production_of("led_screens")],
    obsolete=["led_screens_production_uuid_idx"],
)


def upgrade() -> None:
    """Drop the old columns."""
    step.upgrade()


def downgrade() -> None:
    """Refuse: the old columns are gone."""
    step.downgrade()

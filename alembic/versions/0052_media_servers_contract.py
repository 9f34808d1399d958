"""Media servers: what only the older service used is dropped.

Revision 0052_media_servers_contract, after 0051_led_screens_contract.
"""

from app.releases.migrations.phased_change import Contract, production_of

revision = "0052_media_servers_contract"
down_revision = "0051_led_screens_contract"
branch_labels = None
depends_on = None

phase = "contract"
table = "media_servers"

step = Contract(
    table="media_servers",
    links=[production_of("media_servers")],
    obsolete=["media_servers_production_uuid_idx"],
)


def upgrade() -> None:
    """Drop the old columns."""
    step.upgrade()


def downgrade() -> None:
    """Refuse: the old columns are gone."""
    step.downgrade()

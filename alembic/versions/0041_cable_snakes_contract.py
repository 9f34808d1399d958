"""Cable snakes: what only the older service used is dropped.

THE POINT OF NO RETURN: up to the revision before this one every migration downgrades with its data;
this one and those after it do not. Run it only when the older service is retired.

Revision 0041_cable_snakes_contract, after 0040_productions_switch.
"""

from app.releases.migrations.phased_change import Contract, production_of

revision = "0041_cable_snakes_contract"
down_revision = "0040_productions_switch"
branch_labels = None
depends_on = None

phase = "contract"
table = "cable_snakes"

step = Contract(
    table="cable_snakes",
    links=[production_of("cable_snakes")],
    obsolete=["cable_snakes_production_uuid_idx"],
)


def upgrade() -> None:
    """Drop the old columns."""
    step.upgrade()


def downgrade() -> None:
    """Refuse: the old columns are gone."""
    step.downgrade()

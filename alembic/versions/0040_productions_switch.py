"""Productions: the primary key becomes uuid. This is the last switch: the new version can serve.

Revision 0040_productions_switch, after 0062_cable_snakes_channels.
"""

from app.releases.migrations.phased_change import Switch, production_of

revision = "0040_productions_switch"
down_revision = "0062_cable_snakes_channels"
branch_labels = None
depends_on = None

phase = "switch"
table = "productions"

step = Switch(
    table="productions",
    children=[
        production_of("cable_snakes"),
        production_of("ccus"),
        production_of("cameras"),
        production_of("sources"),
        production_of("sends"),
        production_of("connections"),
        production_of("checklist_items"),
        production_of("events"),
        production_of("cam_switchers"),
        production_of("ip_addresses"),
        production_of("led_screens"),
        production_of("media_servers"),
        production_of("projection_screens"),
        production_of("records"),
        production_of("routers"),
        production_of("streams"),
        production_of("vision_switchers"),
    ],
)


def upgrade() -> None:
    """Make uuid the primary key."""
    step.upgrade()


def downgrade() -> None:
    """Make id the primary key again."""
    step.downgrade()

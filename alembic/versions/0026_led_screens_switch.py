"""LED screens get their uuid, and what else the new service keeps of them.

Revision 0026_led_screens_switch, after 0025_ip_addresses_switch.
"""

from app.releases.migrations.phased_change import ExpandAndSwitch, production_of

revision = "0026_led_screens_switch"
down_revision = "0025_ip_addresses_switch"
branch_labels = None
depends_on = None

phase = "switch"
table = "led_screens"

step = ExpandAndSwitch(
    table="led_screens",
    columns={
        "field_versions": "jsonb",
        "processor_uuid": "uuid",
        "pos_ds_x_m": "double precision",
        "pos_ds_y_m": "double precision",
        "rotation_deg": "double precision",
        "tile_grid": "jsonb",
        "sort_order": "integer NOT NULL DEFAULT 0",
        "equipment_uuid": "uuid",
    },
    links=[production_of("led_screens")],
)


def upgrade() -> None:
    """Add beside the old, fill, keep both in step, and make uuid the primary key."""
    step.upgrade()


def downgrade() -> None:
    """Make id the primary key again, and forget the new columns."""
    step.downgrade()

"""Media servers get their uuid, and what else the new service keeps of them.

Revision 0027_media_servers_switch, after 0026_led_screens_switch.
"""

from app.releases.migrations.phased_change import ExpandAndSwitch, production_of

revision = "0027_media_servers_switch"
down_revision = "0026_led_screens_switch"
branch_labels = None
depends_on = None

phase = "switch"
table = "media_servers"

step = ExpandAndSwitch(
    table="media_servers",
    columns={
        "field_versions": "jsonb",
        "pair_number": "integer",
        "is_backup": "boolean NOT NULL DEFAULT false",
        "platform": "text",
        "computer_type": "text",
        "equipment_uuid": "uuid",
    },
    links=[production_of("media_servers")],
)


def upgrade() -> None:
    """Add beside the old, fill, keep both in step, and make uuid the primary key."""
    step.upgrade()


def downgrade() -> None:
    """Make id the primary key again, and forget the new columns."""
    step.downgrade()

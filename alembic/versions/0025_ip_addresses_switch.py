"""IP addresses get their uuid, and can be deleted and restored.

Until the contract the older service's index holds deleted rows too: an address stays taken.

Revision 0025_ip_addresses_switch, after 0024_cam_switchers_switch.
"""

from app.releases.migrations.ddl import LIVE, Index, build_index, drop_index
from app.releases.migrations.phased_change import ExpandAndSwitch, production_of
from app.releases.migrations.steps import beside

revision = "0025_ip_addresses_switch"
down_revision = "0024_cam_switchers_switch"
branch_labels = None
depends_on = None

phase = "switch"
table = "ip_addresses"

step = ExpandAndSwitch(
    table="ip_addresses",
    columns={
        "field_versions": "jsonb",
        "is_deleted": "boolean NOT NULL DEFAULT false",
        "synced_at": "timestamptz",
    },
    links=[production_of("ip_addresses")],
)

UNIQUE = Index(
    "production_uuid, ip", LIVE, unique=True, called="ip_addresses_production_uuid_ip_key"
)


def upgrade() -> None:
    """Add beside the old, fill, keep both in step, and make uuid the primary key."""
    step.upgrade()
    with beside() as steps:
        build_index(steps, "ip_addresses", UNIQUE)


def downgrade() -> None:
    """Make id the primary key again, and forget the new columns."""
    with beside() as steps:
        drop_index(steps, UNIQUE.name("ip_addresses"))
    step.downgrade()

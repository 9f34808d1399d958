"""Sources and their outputs get their uuid, and connections their link to it.

Revision 0009_sources_expand, after 0008_cameras_switch.
"""

from app.releases.migrations.column_sync import Link
from app.releases.migrations.phased_change import Expand, production_of

revision = "0009_sources_expand"
down_revision = "0008_cameras_switch"
branch_labels = None
depends_on = None

phase = "expand"
table = "sources"

sources = Expand(
    table="sources",
    columns={
        "field_versions": "jsonb",
        "equipment_uuid": "uuid",
        "category": "text NOT NULL DEFAULT 'COMPUTER'",
        "secondary_device_port": "text",
        "primary_device_port": "text",
    },
    links=[production_of("sources")],
    children=[Link("connections", "source", "sources", "SET NULL")],
)
outputs = Expand(
    table="source_outputs",
    links=[Link("source_outputs", "source", "sources")],
    stamped=[],
)


def upgrade() -> None:
    """Add beside the old, fill, and keep both in step."""
    sources.upgrade()
    outputs.upgrade()


def downgrade() -> None:
    """Forget the new columns."""
    outputs.downgrade()
    sources.downgrade()

"""The primary key of sources and of their outputs becomes their uuid.

Revision 0010_sources_switch, after 0009_sources_expand.
"""

from app.releases.migrations.column_sync import Link
from app.releases.migrations.phased_change import Switch

revision = "0010_sources_switch"
down_revision = "0009_sources_expand"
branch_labels = None
depends_on = None

phase = "switch"
table = "sources"

sources = Switch(
    table="sources",
    children=[
        Link("source_outputs", "source", "sources"),
        Link("connections", "source", "sources", "SET NULL"),
    ],
)
outputs = Switch(table="source_outputs")


def upgrade() -> None:
    """Make uuid the primary key."""
    sources.upgrade()
    outputs.upgrade()


def downgrade() -> None:
    """Make id the primary key again."""
    outputs.downgrade()
    sources.downgrade()

"""Connections get their uuid.

Revision 0013_connections_expand, after 0012_sends_switch.
"""

from app.releases.migrations.phased_change import Expand, production_of

revision = "0013_connections_expand"
down_revision = "0012_sends_switch"
branch_labels = None
depends_on = None

phase = "expand"
table = "connections"

step = Expand(
    table="connections",
    columns={"field_versions": "jsonb", "name": "text", "destination_uuid": "uuid"},
    links=[production_of("connections")],
)


def upgrade() -> None:
    """Add beside the old, fill, and keep both in step."""
    step.upgrade()


def downgrade() -> None:
    """Forget the new columns."""
    step.downgrade()

"""Sends get their uuid.

Revision 0011_sends_expand, after 0010_sources_switch.
"""

from app.releases.migrations.phased_change import Expand, production_of

revision = "0011_sends_expand"
down_revision = "0010_sources_switch"
branch_labels = None
depends_on = None

phase = "expand"
table = "sends"

step = Expand(
    table="sends",
    columns={"field_versions": "jsonb", "equipment_uuid": "uuid"},
    links=[production_of("sends")],
)


def upgrade() -> None:
    """Add beside the old, fill, and keep both in step."""
    step.upgrade()


def downgrade() -> None:
    """Forget the new columns."""
    step.downgrade()

"""Cable snakes get their uuid.

Revision 0003_cable_snakes_expand, after 0002_productions_expand.
"""

from app.releases.migrations.phased_change import Expand, production_of

revision = "0003_cable_snakes_expand"
down_revision = "0002_productions_expand"
branch_labels = None
depends_on = None

phase = "expand"
table = "cable_snakes"

step = Expand(
    table="cable_snakes",
    columns={"field_versions": "jsonb", "equipment_uuid": "uuid"},
    links=[production_of("cable_snakes")],
)


def upgrade() -> None:
    """Add beside the old, fill, and keep both in step."""
    step.upgrade()


def downgrade() -> None:
    """Forget the new columns."""
    step.downgrade()

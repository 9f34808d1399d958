"""Cameras get their uuid.

Revision 0007_cameras_expand, after 0006_ccus_switch.
"""

from app.releases.migrations.phased_change import Expand, production_of

revision = "0007_cameras_expand"
down_revision = "0006_ccus_switch"
branch_labels = None
depends_on = None

phase = "expand"
table = "cameras"

step = Expand(
    table="cameras",
    columns={
        "field_versions": "jsonb",
        "equipment_uuid": "uuid",
        "manufacturer": "text",
        "focal_length": "double precision",
        "has_heavy_tripod": "boolean",
        "has_medium_tripod": "boolean",
        "has_steadicam": "boolean",
        "has_magic_arm": "boolean",
    },
    links=[production_of("cameras")],
)


def upgrade() -> None:
    """Add beside the old, fill, and keep both in step."""
    step.upgrade()


def downgrade() -> None:
    """Forget the new columns."""
    step.downgrade()

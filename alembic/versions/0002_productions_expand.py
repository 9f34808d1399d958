"""Productions get their uuid; everything else will point at it.

Revision 0002_productions_expand, after 0001_older_schema.
"""

from app.releases.migrations.phased_change import Expand

revision = "0002_productions_expand"
down_revision = "0001_older_schema"
branch_labels = None
depends_on = None

phase = "expand"
table = "productions"

step = Expand(
    table="productions",
    columns={"change_seq": "bigint NOT NULL DEFAULT 0"},
)


def upgrade() -> None:
    """Add beside the old, fill, and keep both in step."""
    step.upgrade()


def downgrade() -> None:
    """Forget the new columns."""
    step.downgrade()

"""The ports of cards get their uuid, and what signal flow needs to know of them.

Revision 0035_equipment_card_io_expand, after 0034_equipment_specs_expand.
"""

from app.releases.migrations.phased_change import AddKey

revision = "0035_equipment_card_io_expand"
down_revision = "0034_equipment_specs_expand"
branch_labels = None
depends_on = None

phase = "expand"
table = "equipment_card_io"

step = AddKey(table="equipment_card_io", columns={"details": "jsonb"})


def upgrade() -> None:
    """Add the new columns."""
    step.upgrade()


def downgrade() -> None:
    """Drop them."""
    step.downgrade()

"""Snakes say how many channels they have, of which connector, and how long they are.

Revision 0062_cable_snakes_channels, after 0061_connection_legs.
"""

from app.releases.migrations.ddl import add_columns, drop_columns
from app.releases.migrations.steps import beside

revision = "0062_cable_snakes_channels"
down_revision = "0061_connection_legs"
branch_labels = None
depends_on = None

phase = "expand"
table = "cable_snakes"

COLUMNS = {
    "channel_count": "integer",
    "connector": "text",
    "length": "double precision",
    "length_unit": "text",
}


def upgrade() -> None:
    """Add the columns; without a value nothing is stated."""
    with beside() as steps:
        add_columns(steps, "cable_snakes", COLUMNS)


def downgrade() -> None:
    """Drop them with what was entered."""
    with beside() as steps:
        steps.brief(drop_columns("cable_snakes", COLUMNS))

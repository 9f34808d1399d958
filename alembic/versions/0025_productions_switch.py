"""Productions: the primary key becomes uuid. This is the last switch: the new version can serve.

Revision 0025_productions_switch, after 0024_productions_numbers.
"""

from app.releases.migrations.phased_change import Switch, production_of

revision = "0025_productions_switch"
down_revision = "0024_productions_numbers"
branch_labels = None
depends_on = None

phase = "switch"
table = "productions"

step = Switch(
    table="productions",
    children=[
        production_of("cable_snakes"),
        production_of("ccus"),
        production_of("cameras"),
        production_of("sources"),
        production_of("sends"),
        production_of("connections"),
        production_of("checklist_items"),
        production_of("events"),
    ],
)


def upgrade() -> None:
    """Make uuid the primary key."""
    step.upgrade()


def downgrade() -> None:
    """Make id the primary key again."""
    step.downgrade()

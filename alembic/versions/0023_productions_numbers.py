"""Productions: the next free label is found by an index, however many shows there are.

A label ends in a number ("SHOW 12"); the index holds what stands before it, and the number.

Revision 0023_productions_numbers, after 0022_presence.
"""

from app.releases.migrations.ddl import Index, build_index, drop_index
from app.releases.migrations.steps import beside

revision = "0023_productions_numbers"
down_revision = "0022_presence"
branch_labels = None
depends_on = None

phase = "expand"
table = "productions"

NUMBERS = Index(
    "rtrim(rtrim(id, '0123456789')), "
    "(nullif(substr(id, length(rtrim(id, '0123456789')) + 1), '')::numeric)",
    called="productions_numbers_idx",
)


def upgrade() -> None:
    """Build it while others write."""
    with beside() as steps:
        build_index(steps, "productions", NUMBERS)


def downgrade() -> None:
    """Drop it."""
    with beside() as steps:
        drop_index(steps, NUMBERS.name("productions"))

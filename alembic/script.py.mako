"""${message}.

Revision ${up_revision}, after ${down_revision | comma,n}.
"""

% if upgrades:
import sqlalchemy as sa

from alembic import op
% endif
from app.releases.migrations.ddl import add_columns, drop_columns
from app.releases.migrations.steps import beside
${imports if imports else ""}
revision = "${up_revision}"
down_revision = "${down_revision}"
branch_labels = None
depends_on = None

# "expand" adds beside the old, "switch" changes the key, "contract" drops the old (no way back).
phase = "expand"
# The one existing table this changes; None for a new table.
table = None


# The steps set every timeout themselves, commit one by one and try again when others are in the
# way: set none here (docs/migrations.md). What stands outside them runs in this revision's own
# transaction, under a lock_timeout of 2 s, and is tried once. Finished, run scripts/seal: from then
# on this file is history, and a mistake in it is mended by a new revision.
def upgrade() -> None:
    """Say what it adds."""
% if upgrades:
    ${upgrades}
% else:
    with beside() as steps:
        add_columns(steps, table, {})
% endif


def downgrade() -> None:
    """Say what it takes back."""
% if downgrades:
    ${downgrades}
% else:
    with beside() as steps:
        steps.brief(drop_columns(table, []))
% endif

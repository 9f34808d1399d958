"""${message}.

Revision ${up_revision}, after ${down_revision | comma,n}.
"""

from app.releases.recipe import Expand
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None

# "expand" adds beside the old, "switch" changes the key, "contract" drops the old (no way back).
phase = "expand"
# The one existing table this changes; None for a new table.
table = None


# What must commit step by step belongs into the recipe (docs/migrations.md): it sets its own
# timeouts. A statement that stands here runs in this revision's transaction, with lock_timeout 2 s.
def upgrade() -> None:
    """Say what it adds."""
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    """Say what it takes back."""
    ${downgrades if downgrades else "pass"}

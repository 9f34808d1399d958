"""Presence: whose sockets watch which show, and which process holds each socket.

No foreign key: whoever opens a show must not touch its row. A process is alive as long as it
holds the advisory lock of its number, so what a dead one left is known for what it is.

Revision 0022_presence, after 0021_sync.
"""

from app.releases.migrations.catalogue import key_column
from app.releases.migrations.ddl import Index, build_index
from app.releases.migrations.steps import beside

revision = "0022_presence"
down_revision = "0021_sync"
branch_labels = None
depends_on = None

phase = "expand"
table = None

PRESENCE = """CREATE TABLE presence (
    production_uuid uuid NOT NULL,
    socket_id text NOT NULL,
    process integer NOT NULL,
    user_id text NOT NULL,
    user_name text NOT NULL,
    at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT presence_pkey PRIMARY KEY (production_uuid, socket_id)
)"""


def upgrade() -> None:
    """Create it."""
    with beside() as steps:
        if key_column(steps, "presence") is None:
            steps.brief(PRESENCE)
        build_index(steps, "presence", Index("process"))


def downgrade() -> None:
    """Drop it: nobody is shown as present."""
    with beside() as steps:
        steps.brief("DROP TABLE IF EXISTS presence")

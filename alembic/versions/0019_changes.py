"""The change log: one row per written entity, numbered per production without gaps.

``entity`` is json, not jsonb: the bytes that were sent are the bytes that are kept. ``blind`` marks
an update that did not say what it started from. The index by time is for who watches all shows.

Revision 0019_changes, after 0018_events_switch.
"""

from app.releases.migrations.catalogue import key_column
from app.releases.migrations.ddl import Index, add_foreign_key, build_index
from app.releases.migrations.migration_session import ACROSS_TABLES
from app.releases.migrations.steps import beside

revision = "0019_changes"
down_revision = "0018_events_switch"
branch_labels = None
depends_on = None

phase = "expand"
table = None

CHANGES = """CREATE TABLE changes (
    production_uuid uuid NOT NULL,
    seq bigint NOT NULL,
    uuid uuid NOT NULL DEFAULT gen_random_uuid(),
    collection text NOT NULL,
    entity_uuid uuid NOT NULL,
    operation text NOT NULL,
    version integer NOT NULL,
    changes jsonb NOT NULL,
    entity json,
    blind boolean NOT NULL DEFAULT false,
    user_id text NOT NULL,
    user_name text NOT NULL,
    request_id text,
    at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT changes_pkey PRIMARY KEY (production_uuid, seq)
)"""


def upgrade() -> None:
    """Create it beside, since its foreign key locks productions for a moment, with retries."""
    with beside() as steps:
        if key_column(steps, "changes") is None:
            steps.brief(CHANGES)
        add_foreign_key(
            steps, "changes", "production_uuid", "productions", actions="ON DELETE CASCADE"
        )
        build_index(steps, "changes", Index("production_uuid, entity_uuid, seq"))
        build_index(steps, "changes", Index("production_uuid, at"))
        build_index(steps, "changes", Index("at", "collection = 'productions'"))


def downgrade() -> None:
    """Drop it. What the new service logged is gone then; the rows it wrote stay."""
    with beside() as steps:
        steps.brief("DROP TABLE IF EXISTS changes", lock_timeout=ACROSS_TABLES)

"""Offline work: which mutations were taken, so that none is done twice, and what each run did.

Revision 0021_sync, after 0020_idempotency_keys.
"""

from app.releases.migrations.catalogue import key_column
from app.releases.migrations.ddl import Index, add_foreign_key, build_index
from app.releases.migrations.migration_session import ACROSS_TABLES
from app.releases.migrations.steps import beside

revision = "0021_sync"
down_revision = "0020_idempotency_keys"
branch_labels = None
depends_on = None

phase = "expand"
table = None

RUNS = """CREATE TABLE sync_runs (
    uuid uuid NOT NULL,
    production_uuid uuid NOT NULL,
    client_id text NOT NULL,
    since bigint,
    latest bigint NOT NULL,
    atomic boolean NOT NULL,
    dry_run boolean NOT NULL,
    results jsonb NOT NULL,
    user_id text NOT NULL,
    user_name text NOT NULL,
    request_id text,
    at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT sync_runs_pkey PRIMARY KEY (uuid)
)"""
MUTATIONS = """CREATE TABLE sync_mutations (
    production_uuid uuid NOT NULL,
    client_id text NOT NULL,
    mutation_id text NOT NULL,
    fingerprint text NOT NULL,
    status text NOT NULL,
    collection text NOT NULL,
    entity_uuid uuid NOT NULL,
    run_uuid uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT sync_mutations_pkey PRIMARY KEY (production_uuid, client_id, mutation_id)
)"""


def upgrade() -> None:
    """Create them beside, since their foreign keys lock productions for a moment, with retries."""
    with beside() as steps:
        for table, created in (("sync_runs", RUNS), ("sync_mutations", MUTATIONS)):
            if key_column(steps, table) is None:
                steps.brief(created)
            add_foreign_key(
                steps, table, "production_uuid", "productions", actions="ON DELETE CASCADE"
            )
        build_index(steps, "sync_runs", Index("production_uuid, at"))
        build_index(steps, "sync_runs", Index("at"))
        build_index(steps, "sync_mutations", Index("at"))


def downgrade() -> None:
    """Drop them: a batch that is sent again is then told from the rows alone."""
    with beside() as steps:
        steps.brief(
            "DROP TABLE IF EXISTS sync_mutations",
            "DROP TABLE IF EXISTS sync_runs",
            lock_timeout=ACROSS_TABLES,
        )

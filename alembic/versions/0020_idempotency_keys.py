"""Idempotency keys: the first outcome of a POST that bore one, to be given again.

A key is claimed in the write's own transaction, so ``status`` is NULL only inside that.

Revision 0020_idempotency_keys, after 0019_changes.
"""

from app.releases.migrations.catalogue import key_column
from app.releases.migrations.ddl import Index, build_index
from app.releases.migrations.steps import beside

revision = "0020_idempotency_keys"
down_revision = "0019_changes"
branch_labels = None
depends_on = None

phase = "expand"
table = None

KEYS = """CREATE TABLE idempotency_keys (
    key text NOT NULL,
    fingerprint text NOT NULL,
    status integer,
    headers json,
    body bytea,
    at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (key)
)"""


def upgrade() -> None:
    """Create it."""
    with beside() as steps:
        if key_column(steps, "idempotency_keys") is None:
            steps.brief(KEYS)
        build_index(steps, "idempotency_keys", Index("at"))


def downgrade() -> None:
    """Drop it: a POST that is repeated then counts as a new one."""
    with beside() as steps:
        steps.brief("DROP TABLE IF EXISTS idempotency_keys")

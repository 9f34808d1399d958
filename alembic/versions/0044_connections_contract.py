"""Connections: what only the older service used is dropped.

Revision 0044_connections_contract, after 0043_ccus_contract.
"""

from app.releases.migrations.column_sync import Link
from app.releases.migrations.migration_session import ACROSS_TABLES
from app.releases.migrations.phased_change import Contract, production_of
from app.releases.migrations.steps import beside

revision = "0044_connections_contract"
down_revision = "0043_ccus_contract"
branch_labels = None
depends_on = None

phase = "contract"
table = "connections"

step = Contract(
    table="connections",
    links=[production_of("connections"), Link("connections", "source", "sources", "SET NULL")],
    obsolete=["connections_production_uuid_idx"],
)
# What filled in uuids for the texts of the older service.
LET_GO = (
    "DROP TRIGGER IF EXISTS connections_uuids_sync ON connections",
    "DROP FUNCTION IF EXISTS connections_uuids_sync()",
    "DROP FUNCTION IF EXISTS output_named(uuid, uuid, text)",
    "DROP FUNCTION IF EXISTS device_labelled(uuid, uuid, text)",
    "DROP FUNCTION IF EXISTS device_named(uuid, text, text)",
)


def upgrade() -> None:
    """Drop the old columns."""
    with beside() as steps:
        steps.brief(*LET_GO, lock_timeout=ACROSS_TABLES)
    step.upgrade()


def downgrade() -> None:
    """Refuse: the old columns are gone."""
    step.downgrade()

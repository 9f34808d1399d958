"""Sources and their outputs: what only the older service used is dropped.

Revision 0045_sources_contract, after 0044_connections_contract.
"""

from app.releases.migrations.column_sync import Link
from app.releases.migrations.phased_change import Contract, production_of

revision = "0045_sources_contract"
down_revision = "0044_connections_contract"
branch_labels = None
depends_on = None

phase = "contract"
table = "sources"

outputs = Contract(
    table="source_outputs",
    links=[Link("source_outputs", "source", "sources")],
    zoned=["created_at"],
    stamped=["created_at"],
    indexes=[],
)
sources = Contract(
    table="sources",
    links=[production_of("sources")],
    obsolete=["sources_production_uuid_idx", "sources_type_idx"],
)


def upgrade() -> None:
    """Drop the old columns."""
    outputs.upgrade()
    sources.upgrade()


def downgrade() -> None:
    """Refuse: the old columns are gone."""
    sources.downgrade()
    outputs.downgrade()

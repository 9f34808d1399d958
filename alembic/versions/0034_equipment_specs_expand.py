"""Equipment and its ports get their uuid, and what else the new service keeps of them.

``kind`` is a category that the older service's enum lacks; the enum then holds the nearest that it
has. Where the older service changes the category, that one counts.

Revision 0034_equipment_specs_expand, after 0033_connections_devices.
"""

from typing import Final

from app.releases.migrations.phased_change import AddKey
from app.releases.migrations.steps import beside

revision = "0034_equipment_specs_expand"
down_revision = "0033_connections_devices"
branch_labels = None
depends_on = None

phase = "expand"
table = "equipment_specs"

FOLLOW: Final = """CREATE OR REPLACE FUNCTION equipment_specs_kind_sync() RETURNS trigger
LANGUAGE plpgsql AS $body$
BEGIN
  IF NEW.category IS DISTINCT FROM OLD.category AND NEW.kind IS NOT DISTINCT FROM OLD.kind THEN
    NEW.kind := NULL;
  END IF;
  RETURN NEW;
END
$body$"""
TRIGGER: Final = """CREATE OR REPLACE TRIGGER equipment_specs_kind_sync
  BEFORE UPDATE OF category ON equipment_specs
  FOR EACH ROW EXECUTE FUNCTION equipment_specs_kind_sync()"""

devices = AddKey(table="equipment_specs", columns={"kind": "text"})
ports = AddKey(table="equipment_io_ports", columns={"details": "jsonb"})


def upgrade() -> None:
    """Add the new columns; from then on a category decides over an older kind."""
    devices.upgrade()
    ports.upgrade()
    with beside() as steps:
        steps.brief(FOLLOW, TRIGGER)


def downgrade() -> None:
    """Drop them. Devices of a kind of ours stay under the category beside it."""
    with beside() as steps:
        steps.brief(
            "DROP TRIGGER IF EXISTS equipment_specs_kind_sync ON equipment_specs",
            "DROP FUNCTION IF EXISTS equipment_specs_kind_sync()",
        )
    ports.downgrade()
    devices.downgrade()

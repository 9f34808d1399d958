"""Connections keep the devices and the output they name by uuid; the texts stay beside.

A text that names exactly one live row gets its uuid, now and whenever the older service writes one.
Where this service writes a uuid, the older finds the label of that day. What names no row, or
several, stays as it is and is listed.

Revision 0033_connections_devices, after 0032_vision_switchers_switch.
"""

from app.releases.migrations import ddl
from app.releases.migrations.backfill import Backfill, fill
from app.releases.migrations.migration_session import ACROSS_TABLES
from app.releases.migrations.steps import Steps, beside

revision = "0033_connections_devices"
down_revision = "0032_vision_switchers_switch"
branch_labels = None
depends_on = None

phase = "expand"
table = "connections"
changes_values = {"connections": ("destination_uuid",)}

COLUMNS = {"intermediate_uuid": "uuid", "source_output_uuid": "uuid"}
# What people write for each type, without what is neither letter nor digit; "" is no type at all.
WORDS = {
    "cable_snakes": ("cablesnake", "cablesnakes", "snake", "snakes"),
    "cam_switchers": (
        "camswitcher",
        "camswitchers",
        "camsw",
        "camsws",
        "cameraswitcher",
        "cameraswitchers",
    ),
    "cameras": ("camera", "cameras", "cam", "cams"),
    "ccus": ("ccu", "ccus"),
    "led_screens": ("ledscreen", "ledscreens", "led", "leds"),
    "media_servers": ("mediaserver", "mediaservers", "media", "medias"),
    "projection_screens": ("projectionscreen", "projectionscreens", "projector", "projectors"),
    "records": ("record", "records", "rec", "recs"),
    "routers": ("router", "routers", "rtr", "rtrs"),
    "sends": ("send", "sends"),
    "sources": ("source", "sources", "src", "srcs", "computer", "computers"),
    "streams": ("stream", "streams"),
    "vision_switchers": ("visionswitcher", "visionswitchers", "vsw", "vsws"),
}
WORD = "regexp_replace(lower(normalize(coalesce({kind}, ''), NFKC)), '[^[:alnum:]]', '', 'g')"
NAMED = " UNION ALL ".join(
    f"""
    SELECT d.uuid FROM {name} d WHERE word IN ('', '{"', '".join(words)}') AND d.id = p_label
      AND d.production_uuid = p_production AND NOT d.is_deleted"""
    for name, words in WORDS.items()
)
LABELLED = " UNION ALL ".join(
    f"""
    SELECT d.id FROM {name} d WHERE d.uuid = p_uuid AND d.production_uuid = p_production"""
    for name in WORDS
)
FUNCTIONS = (
    f"""CREATE OR REPLACE FUNCTION device_named(p_production uuid, p_kind text, p_label text)
RETURNS uuid LANGUAGE plpgsql STABLE AS $named$
DECLARE
  word text := {WORD.format(kind="p_kind")};
  found uuid[];
BEGIN
  IF p_label IS NOT NULL THEN
    SELECT array_agg(named.uuid) INTO found FROM ({NAMED}
    ) AS named;
  END IF;
  RETURN CASE cardinality(found) WHEN 1 THEN found[1] END;
END
$named$""",
    f"""CREATE OR REPLACE FUNCTION device_labelled(p_production uuid, p_uuid uuid, p_text text)
RETURNS text LANGUAGE plpgsql STABLE AS $labelled$
BEGIN
  RETURN coalesce((SELECT device.id FROM ({LABELLED}
    ) AS device LIMIT 1), p_text);
END
$labelled$""",
    """CREATE OR REPLACE FUNCTION output_named(p_production uuid, p_source uuid, p_label text)
RETURNS uuid LANGUAGE plpgsql STABLE AS $output$
DECLARE
  found uuid[];
BEGIN
  IF p_label IS NOT NULL THEN
    SELECT array_agg(o.uuid) INTO found FROM source_outputs o
      JOIN sources s ON s.uuid = o.source_uuid
      WHERE o.id = p_label AND s.production_uuid = p_production
        AND (s.uuid = p_source OR (p_source IS NULL AND NOT s.is_deleted));
  END IF;
  RETURN CASE cardinality(found) WHEN 1 THEN found[1] END;
END
$output$""",
    # Only this service writes field_versions. What the older one writes goes by its texts.
    """CREATE OR REPLACE FUNCTION connections_uuids_sync() RETURNS trigger
LANGUAGE plpgsql AS $sync$
DECLARE
  new_row boolean := TG_OP = 'INSERT';
  by_text boolean;
BEGIN
  by_text := new_row OR NEW.field_versions IS NOT DISTINCT FROM OLD.field_versions;
  IF NEW.destination_uuid IS NOT NULL AND (new_row OR NOT by_text)
    AND (new_row OR NEW.destination_uuid IS DISTINCT FROM OLD.destination_uuid) THEN
    NEW.destination_id :=
      device_labelled(NEW.production_uuid, NEW.destination_uuid, NEW.destination_id);
  ELSIF by_text AND (new_row OR (NEW.destination_type, NEW.destination_id)
      IS DISTINCT FROM (OLD.destination_type, OLD.destination_id)) THEN
    NEW.destination_uuid :=
      device_named(NEW.production_uuid, NEW.destination_type, NEW.destination_id);
  END IF;
  IF NEW.intermediate_uuid IS NOT NULL AND (new_row OR NOT by_text)
    AND (new_row OR NEW.intermediate_uuid IS DISTINCT FROM OLD.intermediate_uuid) THEN
    NEW.intermediate_id :=
      device_labelled(NEW.production_uuid, NEW.intermediate_uuid, NEW.intermediate_id);
  ELSIF by_text AND (new_row OR (NEW.intermediate_type, NEW.intermediate_id)
      IS DISTINCT FROM (OLD.intermediate_type, OLD.intermediate_id)) THEN
    NEW.intermediate_uuid :=
      device_named(NEW.production_uuid, NEW.intermediate_type, NEW.intermediate_id);
  END IF;
  IF NEW.source_output_uuid IS NOT NULL AND new_row THEN
    RETURN NEW;
  ELSIF by_text AND (new_row OR (NEW.source_uuid, NEW.source_output_id)
      IS DISTINCT FROM (OLD.source_uuid, OLD.source_output_id)) THEN
    NEW.source_output_uuid :=
      output_named(NEW.production_uuid, NEW.source_uuid, NEW.source_output_id);
  END IF;
  RETURN NEW;
END
$sync$""",
)
# It comes after the triggers that fill production_uuid and source_uuid: they fire by name.
TRIGGER = """CREATE OR REPLACE TRIGGER connections_uuids_sync
  BEFORE INSERT OR UPDATE OF destination_type, destination_id, destination_uuid, intermediate_type,
    intermediate_id, intermediate_uuid, source_id, source_uuid, source_output_id, source_output_uuid
  ON connections FOR EACH ROW EXECUTE FUNCTION connections_uuids_sync()"""
LET_GO = (
    "DROP TRIGGER IF EXISTS connections_uuids_sync ON connections",
    "DROP FUNCTION IF EXISTS connections_uuids_sync()",
    "DROP FUNCTION IF EXISTS output_named(uuid, uuid, text)",
    "DROP FUNCTION IF EXISTS device_labelled(uuid, uuid, text)",
    "DROP FUNCTION IF EXISTS device_named(uuid, text, text)",
)
VALUES = {
    "destination_uuid": "device_named(t.production_uuid, t.destination_type, t.destination_id)",
    "intermediate_uuid": "device_named(t.production_uuid, t.intermediate_type, t.intermediate_id)",
    "source_output_uuid": "output_named(t.production_uuid, t.source_uuid, t.source_output_id)",
}
PENDING = " OR ".join(
    f"(t.{column} IS NULL AND t.{column.removesuffix('_uuid')}_id IS NOT NULL"
    f" AND {value} IS NOT NULL)"
    for column, value in VALUES.items()
)
KEPT = "', '".join(["", *(word for words in WORDS.values() for word in words)])
UNRESOLVED = " UNION ALL ".join(
    f"SELECT t.production_id, t.id, '{end}' AS part, t.{end}_id AS label FROM connections t"
    f" WHERE NOT t.is_deleted AND t.{end}_id IS NOT NULL AND t.{end}_uuid IS NULL{more}"
    for end, more in {
        "source_output": "",
        "intermediate": f" AND {WORD.format(kind='t.intermediate_type')} IN ('{KEPT}')",
        "destination": f" AND {WORD.format(kind='t.destination_type')} IN ('{KEPT}')",
    }.items()
)
LISTED = 20


def upgrade() -> None:
    """Add the uuids beside the texts, keep them in step, and fill them."""
    with beside() as steps:
        ddl.add_columns(steps, "connections", COLUMNS)
        steps.brief(*FUNCTIONS, TRIGGER, lock_timeout=ACROSS_TABLES)
        fill(steps, Backfill("connections", VALUES, PENDING, key="uuid", key_type="uuid"))
        if not steps.offline:
            _report(steps)


def _report(steps: Steps) -> None:
    """List what names no row, or several: python -m app unresolved lists it at any time."""
    rows = steps.rows(f"SELECT * FROM ({UNRESOLVED}) AS unresolved ORDER BY 1, 2, 3")
    for production, connection, part, label in rows[:LISTED]:
        what = part.replace("_", " ")
        steps.say(
            f"{connection} of {production}: its {what} {label!r} names no row, or several. The "
            "text stays; choose the device again."
        )
    if len(rows) > LISTED:
        steps.say(f"And {len(rows) - LISTED} more: python -m app unresolved lists them all.")


def downgrade() -> None:
    """Forget the uuids; the texts still say what the older service wrote."""
    with beside() as steps:
        without = ddl.drop_columns("connections", [*COLUMNS])
        steps.brief(*LET_GO, without, lock_timeout=ACROSS_TABLES)

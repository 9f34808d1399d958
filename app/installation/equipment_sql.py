"""The SQL of equipment: it makes the JSON of devices, and writes several of them at once.

What is written comes as JSON arrays, so that one device and the whole shipped catalogue take the
same statements. Times are UTC without a zone, as the older service writes them; all rows of one
transaction have the same.
"""

from functools import partial
from typing import Final

from app.sql.projection import MOMENT, object_or_empty
from app.sql.registry import INSTALLATION, statement

_installation: Final = partial(statement, owner=INSTALLATION)
_NOW: Final = "timezone('UTC', now())"
_CATEGORY: Final = "coalesce(kind, category::text)"


def _ports(table: str, owner: str, parent: str) -> str:
    """Return the SQL of a list of ports: what ``details`` has of one stands beside its columns."""
    columns = ("uuid", "id", "port_type", "io_type", "label", "format", "port_index")
    members = ", ".join(f"'{name}', {table}.{name}" for name in columns)
    port = f"{object_or_empty(f'{table}.details')} || jsonb_build_object({members})"
    order = f"{table}.port_type, {table}.port_index, {table}.label, {table}.id"
    return (
        f"(SELECT coalesce(jsonb_agg({port} ORDER BY {order}), '[]') FROM {table} "
        f"WHERE {table}.{owner} = {parent}.id)"
    )


_CARD: Final = (
    "jsonb_build_object('id', equipment_cards.id, 'slot_number', equipment_cards.slot_number, "
    f"'equipment_card_io', {_ports('equipment_card_io', 'card_id', 'equipment_cards')})"
)
_MEMBERS: Final = (
    f"uuid, id, {_CATEGORY} AS category, manufacturer, model, "
    "CASE io_architecture WHEN 'CARD_BASED' THEN 'card-based' ELSE 'direct' END AS io_architecture,"
    " card_slots, format_by_io, is_secondary_device, "
    "CASE jsonb_typeof(device_formats) WHEN 'array' THEN device_formats ELSE '[]' END "
    f"AS device_formats, {object_or_empty('specs')} AS specs, version, is_deleted, "
    f"{MOMENT.format(column='created_at')} AS created_at, "
    f"{MOMENT.format(column='updated_at')} AS updated_at, "
    f"{MOMENT.format(column='synced_at')} AS synced_at, last_modified_by, "
    f"{_ports('equipment_io_ports', 'equipment_id', 'equipment_specs')} AS equipment_io_ports, "
    f"(SELECT coalesce(jsonb_agg({_CARD} ORDER BY equipment_cards.slot_number), '[]') "
    "FROM equipment_cards WHERE equipment_cards.equipment_id = equipment_specs.id) "
    "AS equipment_cards"
)
_SEARCHED: Final = (
    f"lower(manufacturer || ' ' || model || ' ' || {_CATEGORY} || ' ' "
    f"|| replace({_CATEGORY}, '_', ' '))"
)
_TABLES: Final = ("equipment_specs", "equipment_io_ports", "equipment_cards", "equipment_card_io")
_EACH: Final = " UNION ALL ".join(
    f"SELECT hashtextextended(concat_ws(' ', id, version, updated_at), 0) AS digest FROM {table}"
    for table in _TABLES
)
# A token that every write of every device changes, the older service's too: each raises one of the
# two or adds or removes a row.
_STATE: Final = f"SELECT coalesce(sum(digest::numeric), 0)::text FROM ({_EACH}) AS rows"
STATE: Final = _installation(_STATE)
# The same token, and as ``body`` all devices that are archived or not ($1), of category $2 and of
# manufacturer $3 where those are named, whose names hold each of the words $4.
LIST: Final = _installation(
    f"SELECT coalesce(json_agg(row_to_json(device)), '[]') AS body, ({_STATE}) AS state "
    f"FROM (SELECT {_MEMBERS} FROM equipment_specs WHERE is_deleted = $1 "
    f"AND ($2::text IS NULL OR {_CATEGORY} = $2) "
    "AND ($3::text IS NULL OR lower(manufacturer) = lower($3)) "
    f"AND NOT EXISTS (SELECT FROM unnest($4::text[]) AS word WHERE strpos({_SEARCHED}, word) = 0) "
    f'ORDER BY {_CATEGORY} COLLATE "C", lower(manufacturer) COLLATE "C", lower(model) COLLATE "C",'
    " id) AS device"
)
# The device with uuid $1, else the one with the text key $2, archived or not.
_FIND: Final = (
    "FROM equipment_specs WHERE uuid = $1 OR id = $2 "
    "ORDER BY uuid IS NOT DISTINCT FROM $1 DESC LIMIT 1"
)
ONE: Final = _installation(f"SELECT row_to_json(device) FROM (SELECT {_MEMBERS} {_FIND}) AS device")
LOCK: Final = _installation(f"SELECT id {_FIND} FOR UPDATE")

_COLUMNS: Final = (
    'category::"EquipmentCategory", kind, manufacturer, model, '
    'io_architecture::"IoArchitecture", card_slots, format_by_io, is_secondary_device, '
    "device_formats, specs, last_modified_by, is_deleted"
)
_NAMES: Final = _COLUMNS.replace('::"EquipmentCategory"', "").replace('::"IoArchitecture"', "")
_DEVICES: Final = (
    "jsonb_to_recordset($1::jsonb) AS device(id text, category text, kind text, manufacturer text, "
    "model text, io_architecture text, card_slots int, format_by_io boolean, "
    "is_secondary_device boolean, device_formats jsonb, specs jsonb, last_modified_by text, "
    "is_deleted boolean)"
)
# Add the devices $1, whose text keys are their uuids as well; return those that were not there.
INSERT: Final = _installation(
    f"INSERT INTO equipment_specs (id, uuid, updated_at, {_NAMES}) "
    f"SELECT id, id::uuid, {_NOW}, {_COLUMNS} FROM {_DEVICES} ON CONFLICT (id) DO NOTHING "
    "RETURNING id"
)
UPDATE: Final = _installation(
    f"UPDATE equipment_specs SET ({_NAMES}) = (SELECT {_COLUMNS} FROM {_DEVICES} "
    f"WHERE device.id = equipment_specs.id), version = version + 1, updated_at = {_NOW} "
    f"WHERE id IN (SELECT id FROM {_DEVICES})"
)
# A trigger takes the kind from a device that goes to another category of the older service and
# keeps its kind, which is what that service does.
SET_KINDS: Final = _installation(
    f"UPDATE equipment_specs SET kind = device.kind FROM {_DEVICES} "
    "WHERE equipment_specs.id = device.id AND equipment_specs.kind IS DISTINCT FROM device.kind"
)


def _write_ports(table: str, owner: str, scope: str) -> str:
    """Return the statement that makes $2 all ports of devices $1, each by its text key.

    ``scope`` is the condition on the rows of these devices. A port that stays as it is, is not
    written.
    """
    columns = f"{owner}, port_type, io_type, label, format, port_index, details, uuid"
    pairs = ", ".join(f"{name} = excluded.{name}" for name in columns.split(", "))
    cast = columns.replace("port_type", 'port_type::"PortType"')
    before, after = (
        ", ".join(f"{row}.{name}" for name in columns.split(", ")) for row in (table, "excluded")
    )
    return (
        f"WITH port AS (SELECT * FROM jsonb_to_recordset($2::jsonb) AS port(id text, {owner} text, "
        "port_type text, io_type text, label text, format text, port_index int, details jsonb, "
        f"uuid uuid)), gone AS (DELETE FROM {table} WHERE {scope} "
        f"AND NOT EXISTS (SELECT FROM port WHERE port.id = {table}.id)) "
        f"INSERT INTO {table} (id, {columns}, updated_at) "
        f"SELECT id, {cast}, {_NOW} FROM port "
        f"ON CONFLICT (id) DO UPDATE SET {pairs}, updated_at = excluded.updated_at, "
        f"version = {table}.version + 1 WHERE ({before}) IS DISTINCT FROM ({after})"
    )


WRITE_PORTS: Final = _installation(
    _write_ports("equipment_io_ports", "equipment_id", "equipment_id = ANY($1::text[])")
)
_CARDS_OF: Final = "SELECT id FROM equipment_cards WHERE equipment_id = ANY($1::text[])"
WRITE_CARD_PORTS: Final = _installation(
    _write_ports("equipment_card_io", "card_id", f"card_id IN ({_CARDS_OF})")
)
# Add cards in the slots $3 of device $1, with the text keys $2, where a slot is empty.
INSERT_CARDS: Final = _installation(
    "INSERT INTO equipment_cards (id, equipment_id, slot_number, updated_at) "
    f"SELECT card.id, $1, card.slot, {_NOW} "
    "FROM unnest($2::text[], $3::int[]) AS card(id, slot) "
    "ON CONFLICT (equipment_id, slot_number) DO NOTHING"
)
# Take the cards of device $1 away whose text keys are not among $2.
DELETE_CARDS: Final = _installation(
    "DELETE FROM equipment_cards WHERE equipment_id = $1 AND id <> ALL($2::text[])"
)

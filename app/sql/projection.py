"""The SQL that makes JSON of an entity, derived from its declaration.

Every answer that carries an entity (list, one, write) comes from this projection, so they are the
same byte for byte. Tables have no aliases, so that PostgreSQL's error for a missing column names
the table.
"""

from functools import cache
from typing import Final

import sqlalchemy as sa
from pydantic.alias_generators import to_camel

from app.entities import device_types, discovered
from app.model.entity import (
    DeviceReference,
    Entity,
    PartList,
    PartReference,
    Row,
    label_field,
    metadata,
)

# How an instant is written, in a session whose TimeZone is UTC: ISO 8601, milliseconds and Z.
MOMENT: Final = 'to_char({column}, \'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"\')'
# Members that stand before the declaration's own, and those that stand after them.
_FIRST: Final = ("uuid", "id", "production_uuid", "name", "note")
_LAST: Final = ("created_at", "updated_at", "synced_at", "last_modified_by", "version",
                "field_versions", "is_deleted")  # fmt: skip


def table(entity: type[Row]) -> str:
    """Return the name of the entity's table."""
    return str(entity.__tablename__)


def projection(
    entity: type[Row], condition: str, *, order: str = "", from_write: bool = False,
    lists_from_write: bool = False, within_show: bool = False,
) -> str:  # fmt: skip
    """Return the SELECT of the entity's members under their wire names.

    A statement does not see in the tables what it writes itself. With ``from_write`` the row is
    therefore that of its step ``written``, and with ``lists_from_write`` the parts are those of its
    steps ``<name>_now``. With ``within_show`` the statement around it has ``productions``.
    """
    members = ", ".join(
        f'{sql} AS "{wire}"'
        for wire, sql in _members(entity, lists_from_write=lists_from_write).items()
    )
    tables = _from(entity, from_write=from_write, within_show=within_show)
    return f"SELECT {members} FROM {tables} WHERE {condition}{order}"


def as_json(entity: type[Row], rows: str) -> str:
    """Return the SELECT of ``rows`` of a projection as ``body``, JSON, with their ``version``.

    Where they have secrets, ``public_body`` is the same without them.
    """
    if not entity.secrets:
        return f'SELECT row_to_json(r) AS body, r."version" FROM ({rows}) AS r'
    secrets = {entity.wire(name) for name in entity.secrets}
    names = (name for name in _members(entity, lists_from_write=False) if name not in secrets)
    public = ", ".join(f'r."{name}"' for name in names)
    return (
        'SELECT row_to_json(r) AS body, row_to_json(public_row) AS public_body, r."version" '
        f"FROM ({rows}) AS r, LATERAL (SELECT {public}) AS public_row"
    )


def _from(entity: type[Row], *, from_write: bool, within_show: bool) -> str:
    """Return the tables: the entity's, its production's, and those its references point at."""
    name = table(entity)
    joins = [f"written AS {name}" if from_write else name]
    if issubclass(entity, Entity) and not within_show:
        joins.append(f"JOIN productions ON productions.uuid = {name}.production_uuid")
    for field, reference in entity.references().items():
        other = table(discovered()[reference.collection])
        joins.append(f"LEFT JOIN {other} AS {field}_row ON {field}_row.uuid = {name}.{field}")
    return " ".join(joins)


def _members(entity: type[Row], *, lists_from_write: bool) -> dict[str, str]:
    """Return the SQL of each member's value by wire name."""
    own = [c for c in entity.model_fields if c not in {*_FIRST, *_LAST, *entity.hidden}]
    first = [c for c in _FIRST if c in entity.model_fields]
    members = {entity.wire(c): _value(entity, c) for c in [*first, *own, *_LAST]}
    for field in entity.references():
        members[to_camel(label_field(field))] = f"{field}_row.id"
    for name, parts in entity.parts.items():
        members[name] = _part_list(table(entity), parts, f"{name}_now" if lists_from_write else "")
    for device in entity.device_references:
        members[entity.wire(device.label)] = _device_label(table(entity), device)
    for field, part in entity.part_references.items():
        members[entity.wire(label_field(field))] = _part_label(entity, field, part)
    for word, target in entity.synonyms.items():
        members[word] = members[entity.wire(target)]
    if entity.ends():
        members["unresolved"] = _unresolved(entity)
    if issubclass(entity, Entity):
        members["productionId"] = "productions.id"
    return members


def _value(entity: type[Row], column: str) -> str:
    name = f"{table(entity)}.{column}"
    if column == "field_versions":
        return object_or_empty(name)
    is_instant = isinstance(metadata.tables[table(entity)].columns[column].type, sa.DateTime)
    return MOMENT.format(column=name) if is_instant else name


def object_or_empty(column: str) -> str:
    """Return the SQL of a jsonb column, {} where an older service has put no object there."""
    return f"CASE jsonb_typeof({column}) WHEN 'object' THEN {column} ELSE '{{}}' END"


def part_rows(entity: type[Row], parts: PartList) -> str:
    """Return the SQL of a list of parts as JSON, as answers have it."""
    return _part_list(table(entity), parts, "")


def _part_list(owner: str, parts: PartList, step: str) -> str:
    name = str(parts.model.__tablename__)
    source = f"{step} AS {name}" if step else name
    columns = ", ".join(f'{name}.{c} AS "{to_camel(c)}"' for c in parts.columns())
    order = f"{name}.{parts.order}, {name}.uuid"  # as app.store.parts sorts them
    rows = (
        f"SELECT {columns} FROM {source} WHERE {name}.{parts.owner} = {owner}.uuid ORDER BY {order}"
    )
    return f"(SELECT coalesce(json_agg(row_to_json(part)), '[]') FROM ({rows}) AS part)"


def all_devices(columns: str, likely: str) -> str:
    """Return the SELECT of columns of every row that may be a device; likely ones come first."""
    return " UNION ALL ".join(
        f"SELECT {columns} FROM {table(entity)}"
        for entity in sorted(device_types(), key=lambda entity: entity.collection != likely)
    )


def _device_label(owner: str, device: DeviceReference) -> str:
    """Return the SQL of the label that the device has today, else of the text that is stored."""
    every = all_devices("id, uuid, production_uuid", device.likely)
    # The first table that has the uuid counts: clients make uuids, and two devices of different
    # types may have the same.
    today = (
        f"SELECT device.id FROM ({every}) AS device WHERE device.uuid = {owner}.{device.uuid} "
        f"AND device.production_uuid = {owner}.production_uuid LIMIT 1"
    )
    return _today_or_stored(f"{owner}.{device.uuid}", today, f"{owner}.{device.label}")


def _part_label(entity: type[Row], field: str, part: PartReference) -> str:
    """Return the SQL of the id that the part has today, else of the text that is stored."""
    own, column = table(entity), label_field(field)
    parts = part_list(entity, part).model.__tablename__
    today = f"SELECT {parts}.id FROM {parts} WHERE {parts}.uuid = {own}.{field}"
    return _today_or_stored(f"{own}.{field}", today, f"{own}.{column}")


def part_list(entity: type[Row], part: PartReference) -> PartList:
    """Return the list of which a reference names a part."""
    return discovered()[entity.references()[part.reference].collection].parts[part.parts]


def _today_or_stored(uuid: str, today: str, stored: str) -> str:
    # Without a uuid PostgreSQL would still begin each of the scans.
    return f"CASE WHEN {uuid} IS NULL THEN {stored} ELSE coalesce(({today}), {stored}) END"


def _unresolved(entity: type[Row]) -> str:
    """Return the SQL of an array: the ends that hold a text which names no row."""
    own, names = table(entity), []
    for uuid, label in entity.ends().items():
        is_missing = f"{own}.{uuid} IS NULL"
        if part := entity.part_references.get(uuid):
            parts = part_list(entity, part).model.__tablename__
            # With EXISTS PostgreSQL may read the whole table once.
            part_today = f"SELECT {parts}.uuid FROM {parts} WHERE {parts}.uuid = {own}.{uuid}"
            is_missing = f"({part_today}) IS NULL"
        name = to_camel(uuid.removesuffix("_uuid"))
        names.append(f"CASE WHEN {own}.{label} IS NOT NULL AND {is_missing} THEN '{name}' END")
    return f"array_remove(ARRAY[{', '.join(names)}], NULL)"


@cache
def live(entity: type[Row]) -> str:
    """Return the condition that hides deleted rows, and the rows of deleted productions."""
    own = f"NOT {table(entity)}.is_deleted"
    return f"{own} AND NOT productions.is_deleted" if issubclass(entity, Entity) else own

"""The SQL that shapes an entity as JSON, made once from its declaration.

Every answer that carries an entity (list, one, write) comes from this projection, so that they
are alike byte for byte. The table's own name is its alias, so that PostgreSQL's complaint about
a missing column names the table.
"""

from functools import cache
from typing import Any, Final

import sqlalchemy as sa
from pydantic.alias_generators import to_camel

from app.entities import discovered
from app.model.entity import DeviceReference, Entity, PartList, Row
from app.model.schemas import label_field

# How an instant leaves PostgreSQL, in a session whose TimeZone is UTC: milliseconds and Z.
MOMENT: Final = 'to_char({column}, \'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"\')'
# First what identifies a row; the declaration's own order after that.
_FIRST: Final = ("uuid", "id", "production_uuid", "name", "note")
_LAST: Final = ("created_at", "updated_at", "synced_at", "last_modified_by", "version",
                "field_versions", "is_deleted")  # fmt: skip


def table(entity: type[Row]) -> str:
    """Give the entity's table name."""
    return str(entity.__tablename__)


def projection(
    entity: type[Row],
    condition: str,
    *,
    order: str = "",
    written: bool = False,
    lists: bool = False,
) -> str:
    """Give the SELECT of the entity's members under their wire names.

    With ``written`` it is the row that the statement's own step ``written`` gives, with ``lists``
    also its parts those of the steps ``<name>_now``: what a statement writes, its other steps do
    not see in the tables.
    """
    members = ", ".join(f'{sql} AS "{wire}"' for wire, sql in _members(entity, lists=lists).items())
    return f"SELECT {members} FROM {_from(entity, written=written)} WHERE {condition}{order}"


def _from(entity: type[Row], *, written: bool) -> str:
    """Give the tables: the entity's, its production's, and those its references point at."""
    name = table(entity)
    joins = [f"written AS {name}" if written else name]
    if issubclass(entity, Entity):
        joins.append(f"JOIN productions ON productions.uuid = {name}.production_uuid")
    for field, reference in entity.references().items():
        other = table(discovered()[reference.collection])
        joins.append(f"LEFT JOIN {other} AS {field}_row ON {field}_row.uuid = {name}.{field}")
    return " ".join(joins)


def _members(entity: type[Row], *, lists: bool) -> dict[str, str]:
    """Give each wire name with the SQL of its value."""
    own = [c for c in entity.model_fields if c not in {*_FIRST, *_LAST, "change_seq"}]
    first = [c for c in _FIRST if c in entity.model_fields]
    members = {entity.wire(c): _value(entity, c) for c in [*first, *own, *_LAST]}
    for field in entity.references():
        members[to_camel(label_field(field))] = f"{field}_row.id"
    for name, parts in entity.parts.items():
        members[name] = _part_list(table(entity), parts, f"{name}_now" if lists else "")
    for end in entity.device_references:
        members[entity.wire(end.label)] = _end_label(table(entity), end)
    for word, target in entity.synonyms.items():
        members[word] = members[entity.wire(target)]
    if issubclass(entity, Entity):
        members["productionId"] = "productions.id"
    return members


def _value(entity: type[Row], column: str) -> str:
    name = f"{table(entity)}.{column}"
    if column == "field_versions":
        return object_or_empty(name)
    return _typed(name, column_type(entity, column))


def object_or_empty(column: str) -> str:
    """Give a jsonb column that holds an object, whatever an older service put there."""
    return f"CASE jsonb_typeof({column}) WHEN 'object' THEN {column} ELSE '{{}}' END"


def column_type(model: type[Any], column: str) -> sa.types.TypeEngine[Any]:
    """Give the declared type of a model's column."""
    declared: sa.types.TypeEngine[Any] = model.__table__.c[column].type
    return declared


def _typed(sql: str, kind: sa.types.TypeEngine[Any]) -> str:
    return MOMENT.format(column=sql) if isinstance(kind, sa.DateTime) else sql


def part_columns(parts: PartList) -> list[str]:
    """Give the columns of a part that go over the wire."""
    return [c for c in parts.model.model_fields if c not in {parts.owner, "created_at", "version"}]


def _part_list(owner: str, parts: PartList, step: str) -> str:
    name = str(parts.model.__tablename__)
    source = f"{step} AS {name}" if step else name
    columns = ", ".join(f'{name}.{c} AS "{to_camel(c)}"' for c in part_columns(parts))
    order = f"{name}.{parts.order}, {name}.uuid"  # as app.store.part_order has it
    rows = (
        f"SELECT {columns} FROM {source} WHERE {name}.{parts.owner} = {owner}.uuid ORDER BY {order}"
    )
    return f"(SELECT coalesce(json_agg(row_to_json(part)), '[]') FROM ({rows}) AS part)"


def _end_label(owner: str, end: DeviceReference) -> str:
    """Give the label that the named device has today, else the text that was stored."""
    stored = f"{owner}.{end.label}"
    if end.uuid is None:
        return stored
    kept = [entity for entity in discovered().values() if issubclass(entity, Entity)]
    devices = " UNION ALL ".join(
        f"SELECT id, uuid, production_uuid FROM {table(entity)}"
        for entity in sorted(kept, key=lambda entity: entity.collection != end.likely)
    )
    # The tables are tried in turn up to the first that has it: two devices of different types may
    # carry one uuid that a client made.
    today = (
        f"SELECT device.id FROM ({devices}) AS device WHERE device.uuid = {owner}.{end.uuid} "
        f"AND device.production_uuid = {owner}.production_uuid LIMIT 1"
    )
    return f"coalesce(({today}), {stored})"


@cache
def live(entity: type[Row]) -> str:
    """Give the condition that hides deleted rows, and the rows of deleted productions."""
    own = f"NOT {table(entity)}.is_deleted"
    return f"{own} AND NOT productions.is_deleted" if issubclass(entity, Entity) else own

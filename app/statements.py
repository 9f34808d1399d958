"""Every SQL statement that reads or writes an entity, made once from its declaration.

Nothing else in the service touches an entity's table, so preparing these against the live
database (``/health``) answers whether the code and the database agree.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Final

from app.entity import Entity, Parts, Row
from app.projection import MOMENT, live, object_or_empty, part_columns, projection, table

# When the statement began, so after the production's lock was granted: times then run in the order
# of labels and of the log's numbers, which the time a transaction began does not.
_NOW: Final = "statement_timestamp()"


@dataclass(frozen=True)
class Statements:
    """One entity's statements, each with its parameters.

    Those that answer a client give one ``json`` value, passed on as bytes.
    """

    list: str
    """All live rows; of the production with uuid $1 where the entity has one."""
    list_by_label: str
    """The same for the production labelled $1; several such are a cardinality error."""
    one: str
    """The live row with uuid $1."""
    keys: str
    """Up to 20 live rows labelled $1: uuid, and what tells them apart."""
    deleted: str
    """Whether a deleted row has uuid $1::uuid or label $2."""
    lock: str
    """Lock the production of the live row with uuid $1; give the production's uuid and label."""
    labels: str
    """The labels in use, those never to be assigned again, and whether a label is still unique
    everywhere; in the production with uuid $1 where the entity has one. Several clients delete a
    production by label, one after another: a new one that had been given the label would be
    deleted by the second.
    """
    everywhere: str
    """The labels of all rows whatever their production, that begin with $1. While an older
    service's index makes them unique, no other may be given.
    """
    candidates: str
    """Live rows of production $1 with a uuid in $2 or a label in $3: uuid and label."""
    pointing: Mapping[str, str]
    """By reference field: the live rows that point at $1."""
    insert: str
    """Insert the row that the JSON object $1 holds, column by column."""
    update: str
    """Write the columns that the JSON object $2 names into row $1, for $3; $4 names the fields."""
    delete: str
    """Mark row $1 deleted, for $2."""
    record: str
    """Log a write and give the entity: production $1, row $2, operation $3, changes $4, user $5
    and $6, request $7, log uuid $8."""


@cache
def statements(entity: type[Row]) -> Statements:
    """Make an entity's statements."""
    scoped = issubclass(entity, Entity)
    make = _scoped if scoped else _unscoped
    return Statements(
        **make(entity),
        one=f"SELECT row_to_json(entity) FROM ({_one(entity)}) AS entity",
        pointing={field: _pointing(entity, field) for field in entity.references()},
        everywhere=f"SELECT coalesce(array_agg(id), '{{}}') FROM {table(entity)} "
        "WHERE starts_with(id, $1)",
        insert=_insert(entity),
        update=_update(entity),
        delete=_delete(entity),
        record=_record(entity),
    )


def all_sql(entity: type[Row]) -> dict[str, str]:
    """Give an entity's statements by name, those of its parts included, for checking."""
    own = statements(entity)
    sql = {f.name: getattr(own, f.name) for f in fields(own) if f.name != "pointing"}
    sql |= {f"pointing by {field}": statement for field, statement in own.pointing.items()}
    for parts in entity.parts.values():
        sql |= dict(zip(("drop", "write"), part_statements(parts), strict=True))
        sql |= {"find": part_lookup(entity, parts), "taken": part_owners(parts)}
    return sql


def _aggregate(rows: str) -> str:
    return f"SELECT coalesce(json_agg(row_to_json(entity)), '[]') FROM ({rows}) AS entity"


def _one(entity: type[Row]) -> str:
    return projection(entity, f"{table(entity)}.uuid = $1 AND {live(entity)}")


def _scoped(entity: type[Row]) -> dict[str, str]:
    name, shown = table(entity), live(entity)
    order = f" ORDER BY {name}.created_at, {name}.uuid"
    by_label = "(SELECT uuid FROM productions WHERE id = $1 AND NOT is_deleted)"
    joined = f"{name} JOIN productions ON productions.uuid = {name}.production_uuid"
    own = f"FROM {name} WHERE production_uuid = $1 AND NOT is_deleted"
    return {
        "list": _aggregate(projection(entity, f"productions.uuid = $1 AND {shown}", order=order)),
        "list_by_label": _aggregate(
            projection(entity, f"productions.uuid = {by_label} AND {shown}", order=order)
        ),
        "keys": f"SELECT {name}.uuid, productions.id AS production FROM {joined} "
        f"WHERE {name}.id = $1 AND {shown} ORDER BY {name}.created_at, {name}.uuid LIMIT 20",
        "deleted": f"SELECT EXISTS (SELECT FROM {name} WHERE is_deleted "
        "AND (uuid = $1::uuid OR id = $2))",
        "lock": f"SELECT productions.uuid, productions.id FROM productions JOIN {name} "
        f"ON {name}.production_uuid = productions.uuid WHERE {name}.uuid = $1 AND {shown} "
        "FOR NO KEY UPDATE OF productions",
        "labels": f"SELECT coalesce(array_agg(id), '{{}}'), coalesce(array_agg(id), '{{}}'), "
        f"{_unique_everywhere(name)} {own}",
        "candidates": f"SELECT uuid, id {own} AND (uuid = ANY($2::uuid[]) OR id = ANY($3::text[]))",
    }


def _unscoped(entity: type[Row]) -> dict[str, str]:
    name, shown = table(entity), live(entity)
    newest = f" ORDER BY {name}.created_at DESC, {name}.uuid DESC"
    return {
        "list": _aggregate(projection(entity, shown, order=newest)),
        "list_by_label": _aggregate(projection(entity, f"{name}.id = $1 AND {shown}")),
        "keys": f"SELECT uuid, id AS production FROM {name} WHERE id = $1 AND {shown} "
        "ORDER BY created_at, uuid LIMIT 20",
        "deleted": f"SELECT EXISTS (SELECT FROM {name} WHERE is_deleted "
        "AND (uuid = $1::uuid OR id = $2))",
        "lock": f"SELECT uuid, id FROM {name} WHERE uuid = $1 AND {shown} FOR NO KEY UPDATE",
        "labels": "SELECT coalesce(array_agg(id) FILTER (WHERE NOT is_deleted), '{}'), "
        f"coalesce(array_agg(id), '{{}}'), {_unique_everywhere(name)} FROM {name}",
        "candidates": f"SELECT uuid, id FROM {name} WHERE uuid = $1 AND NOT is_deleted "
        "AND (uuid = ANY($2::uuid[]) OR id = ANY($3::text[]))",
    }


def _unique_everywhere(name: str) -> str:
    return f"to_regclass('{name}_id_key') IS NOT NULL"


def _pointing(entity: type[Row], field: str) -> str:
    return f"SELECT uuid FROM {table(entity)} WHERE {field} = $1 AND NOT is_deleted"


def _insert(entity: type[Row]) -> str:
    scope = ["production_uuid"] if issubclass(entity, Entity) else []
    columns = ["uuid", *scope, *entity.editable(), "last_modified_by"]
    values = ", ".join(f"made.{column}" for column in columns)
    return (
        f"INSERT INTO {table(entity)} ({', '.join(columns)}, created_at, updated_at) "
        f"SELECT {values}, {_NOW}, {_NOW} "
        f"FROM json_populate_record(NULL::{table(entity)}, $1::json) AS made"
    )


def _update(entity: type[Row]) -> str:
    name = table(entity)
    columns = entity.editable()
    values = ", ".join(f"edited.{column}" for column in columns)
    stamp = MOMENT.format(column=_NOW)
    versions = (
        "SELECT jsonb_object_agg(field, jsonb_build_object("
        f"'version', {name}.version + 1, 'updatedAt', {stamp})) FROM unnest($4::text[]) AS field"
    )
    return (
        f"UPDATE {name} SET ({', '.join(columns)}) = "
        f"(SELECT {values} FROM json_populate_record({name}, $2::json) AS edited), "
        f"version = version + 1, updated_at = {_NOW}, last_modified_by = $3, "
        f"field_versions = {object_or_empty('field_versions')} || ({versions}) WHERE uuid = $1"
    )


def _delete(entity: type[Row]) -> str:
    return (
        f"UPDATE {table(entity)} SET is_deleted = true, version = version + 1, "
        f"updated_at = {_NOW}, last_modified_by = $2 WHERE uuid = $1"
    )


def _record(entity: type[Row]) -> str:
    """Take the production's next number, log the entity as it now is, and give it."""
    row = projection(entity, f"{table(entity)}.uuid = $2")
    return (
        "WITH counted AS (UPDATE productions SET change_seq = change_seq + 1 WHERE uuid = $1 "
        f'RETURNING change_seq), written AS (SELECT row_to_json(r) AS body, r."version" FROM ({row}'
        ") AS r), logged AS (INSERT INTO changes (uuid, production_uuid, seq, collection, "
        "entity_uuid, operation, version, changes, entity, user_id, user_name, request_id, at) "
        f"SELECT $8, $1, change_seq, '{entity.collection}', $2, $3, version, $4::jsonb, body, "
        f"$5, $6, $7, {_NOW} FROM counted, written) SELECT body FROM written"
    )


def part_statements(parts: Parts) -> tuple[str, str]:
    """Make the two statements that replace a list of parts.

    The first deletes those of owner $1 whose uuid is not in $2; the second writes the JSON array
    $1, and leaves a part alone that another owner has, so that the count of rows tells.
    """
    name, columns = str(parts.model.__tablename__), part_columns(parts)
    every = [parts.owner, *columns]
    written = ", ".join(f"{column} = excluded.{column}" for column in columns)
    values = ", ".join(f"part.{column}" for column in every)
    return (
        f"DELETE FROM {name} WHERE {parts.owner} = $1 AND uuid <> ALL($2::uuid[])",
        (
            f"INSERT INTO {name} ({', '.join(every)}) SELECT {values} "
            f"FROM json_populate_recordset(NULL::{name}, $1::json) AS part "
            f"ON CONFLICT (uuid) DO UPDATE SET {written} "
            f"WHERE {name}.{parts.owner} = excluded.{parts.owner}"
        ),
    )


def part_owners(parts: Parts) -> str:
    """Find which of the uuids $1 are parts already."""
    return f"SELECT uuid FROM {parts.model.__tablename__} WHERE uuid = ANY($1::uuid[])"


def part_lookup(entity: type[Row], parts: Parts) -> str:
    """Ask whether production $1 has a part with id or uuid $2, of owner $3 where that is given."""
    part, owner = str(parts.model.__tablename__), table(entity)
    return (
        f"SELECT EXISTS (SELECT FROM {part} JOIN {owner} ON {owner}.uuid = {part}.{parts.owner} "
        f"WHERE {owner}.production_uuid = $1 AND NOT {owner}.is_deleted "
        f"AND ({part}.id = $2 OR {part}.uuid::text = $2) "
        f"AND ($3::uuid IS NULL OR {owner}.uuid = $3))"
    )

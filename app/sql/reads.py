"""Every SQL statement that reads an entity, or a whole show, derived from the declarations."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from app.model.entity import LABEL_NUMBER, LABEL_PREFIX, Entity, PartList, Row
from app.rules import labels
from app.sql.projection import live, projection, table
from app.sql.registry import statements_of_entities


@dataclass(frozen=True)
class Statements:
    """One entity's statements, each with its parameters.

    Those that answer a client return one ``json`` value, passed on as bytes.
    """

    list: str
    """All live rows, of production $1 where the entity has one; and their ``tag``, of the same
    snapshot."""
    list_by_label: str
    """The same for the production labelled $1, and its uuid. Several such are a cardinality
    error."""
    tag: str
    """A number that every change of the list raises: how often production $1 was changed. NULL
    where there is none, and while an older service may write without counting."""
    tag_by_label: str
    """The same for the production labelled $1, with its uuid: another may have the label tomorrow,
    and as many changes. Several such are a cardinality error."""
    one: str
    """The live row with uuid $1."""
    label: str
    """The label of the row with uuid $1, deleted or not."""
    keys: str
    """Up to 20 live rows labelled $1: ``uuid``, and the label of their ``production``."""
    keys_alike: str
    """The same for the labels in array $1: the spellings of one."""
    alike: str
    """Live rows of production $1 whose label is $2 but for case: uuid and id. Where the entity has
    no production, those with a label in array $2."""
    deleted: str
    """Whether a deleted row has uuid $1::uuid or label $2."""
    labels: str
    """In production $1: the labels in use, those never to be assigned again, and whether a label
    is still unique everywhere. Where the entity has no production, of each only the label with the
    highest number after prefix $1. Several clients may delete a production by label, one after
    another; so a new one must not get the label of a deleted one.
    """
    everywhere: str
    """The labels of all rows in all productions that begin with $1. While an older service's index
    makes them unique, none of them may be assigned."""
    candidates: str
    """Live rows of production $1 with a uuid in $2 or a label in $3: uuid and label."""
    pointing: Mapping[str, str]
    """By reference field: the live rows of production $2 that point at $1."""
    find_part: Mapping[str, str]
    """By list of parts: the parts of production $1 with id or uuid $2, of owner $3 if not NULL:
    uuid and id."""
    former_part: Mapping[str, str]
    """By list of parts: the parts that owner $2 of production $1 has, and that once had id $3."""
    part_ids: Mapping[str, str]
    """By list of parts: the ids of those of production $1, of owner $2 if not NULL."""
    existing_parts: Mapping[str, str]
    """By list of parts: which of the uuids $1 are parts already, with the label of the ``owner``
    of each."""


@statements_of_entities
def statements(entity: type[Row]) -> Statements:
    """Return an entity's statements."""
    name = table(entity)
    one = projection(entity, f"{name}.uuid = $1 AND {live(entity)}")
    make = _scoped if issubclass(entity, Entity) else _unscoped
    return Statements(
        **make(entity),
        deleted=f"SELECT EXISTS (SELECT FROM {name} WHERE uuid = $1::uuid AND is_deleted) "
        f"OR EXISTS (SELECT FROM {name} WHERE id = $2 AND is_deleted)",
        one=f"SELECT row_to_json(entity) FROM ({one}) AS entity",
        label=f"SELECT id FROM {name} WHERE uuid = $1",
        pointing={field: _pointing(entity, field) for field in entity.references()},
        find_part={name: _find_part(entity, parts) for name, parts in entity.parts.items()},
        former_part={name: _former_part(name, parts) for name, parts in entity.parts.items()},
        part_ids={name: _part_ids(entity, parts) for name, parts in entity.parts.items()},
        existing_parts={
            name: f"SELECT {_own(parts)}.uuid, {table(entity)}.id AS owner "
            f"FROM {_with_owner(entity, parts)} WHERE {_own(parts)}.uuid = ANY($1::uuid[])"
            for name, parts in entity.parts.items()
        },
        everywhere=f"SELECT coalesce(array_agg(id), '{{}}') FROM {name} WHERE starts_with(id, $1)",
    )


def _tag(condition: str) -> str:
    """Return the column of a live production's tag, NULL while an older service may not count."""
    return (
        f"(SELECT change_seq FROM productions WHERE {condition} AND NOT is_deleted "
        f"AND NOT {unique_everywhere('productions')}) AS tag"
    )


def aggregate(entity: type[Row], condition: str, *, within_show: bool = False) -> str:
    """Return the SELECT of the entity's rows as one JSON array, in the order of lists."""
    name = table(entity)
    columns = (*entity.list_order, "created_at", "uuid")
    order = f" ORDER BY {', '.join(f'{name}.{column}' for column in columns)}"
    if not issubclass(entity, Entity):
        order = f" ORDER BY {name}.created_at DESC, {name}.uuid DESC"
    rows = projection(entity, condition, order=order, within_show=within_show)
    return f"SELECT coalesce(json_agg(row_to_json(entity)), '[]') FROM ({rows}) AS entity"


def _scoped(entity: type[Row]) -> dict[str, str]:
    name, is_live = table(entity), live(entity)
    labelled = f"productions.uuid = {LABELLED}"
    joined = f"{name} JOIN productions ON productions.uuid = {name}.production_uuid"
    own = f"FROM {name} WHERE production_uuid = $1 AND NOT is_deleted"
    return {
        "list": f"SELECT ({aggregate(entity, f'productions.uuid = $1 AND {is_live}')}) AS body, "
        f"{TAG}",
        "list_by_label": f"SELECT ({aggregate(entity, f'{labelled} AND {is_live}')}) AS body, "
        f"{TAG_BY_LABEL}",
        "tag": f"SELECT {TAG}",
        "tag_by_label": f"SELECT {TAG_BY_LABEL}",
        "keys": _keys(entity, f"{name}.uuid, productions.id AS production", joined),
        "keys_alike": _keys(
            entity, f"{name}.uuid, productions.id AS production", joined, "$1::text[]"
        ),
        "alike": f"SELECT uuid, id {own} AND lower(id) = lower($2)",
        "labels": f"SELECT coalesce(array_agg(id), '{{}}'), coalesce(array_agg(id), '{{}}'), "
        f"{unique_everywhere(name)} {own}",
        "candidates": f"SELECT uuid, id {own} AND (uuid = ANY($2::uuid[]) OR id = ANY($3::text[]))",
    }


def _unscoped(entity: type[Row]) -> dict[str, str]:
    name, is_live = table(entity), live(entity)
    # Every write raises one row's version; the time is for a row that was taken out by hand.
    state = "sum(version) || '-' || coalesce(extract(epoch FROM max(updated_at)), 0)"
    tag = f"(SELECT {state} FROM {name} HAVING NOT {unique_everywhere(name)}) AS tag"
    return {
        "list": f"SELECT ({aggregate(entity, is_live)}) AS body, {tag}",
        "list_by_label": f"SELECT ({aggregate(entity, f'{name}.id = $1 AND {is_live}')}) AS body, "
        f"{tag}",
        "tag": f"SELECT {tag}",
        "tag_by_label": f"SELECT {tag}",
        "keys": _keys(entity, "uuid, id AS production", name),
        "keys_alike": _keys(entity, "uuid, id AS production", name, "$1::text[]"),
        "alike": f"SELECT uuid, id FROM {name} WHERE id = ANY($2::text[]) AND NOT is_deleted "
        "AND $1::uuid IS NOT NULL",
        "labels": f"SELECT {_highest(name, 'NOT is_deleted')}, {_highest(name, 'true')}, "
        f"{unique_everywhere(name)}",
        "candidates": f"SELECT uuid, id FROM {name} WHERE uuid = $1 AND NOT is_deleted "
        "AND (uuid = ANY($2::uuid[]) OR id = ANY($3::text[]))",
    }


def _highest(name: str, condition: str) -> str:
    """Return the SQL of an array: the label with the highest number after prefix $1, if any."""
    order = f"ORDER BY {LABEL_NUMBER} DESC LIMIT 1"
    return (
        f"ARRAY(SELECT $1 || ' ' || {LABEL_NUMBER} FROM {name} WHERE {LABEL_PREFIX} = $1 "
        f"AND {LABEL_NUMBER} < {labels.BEYOND} AND {condition} {order})"
    )


def unique_everywhere(name: str) -> str:
    """Return the SQL of whether an older service's index makes labels unique everywhere."""
    return f"to_regclass('{name}_id_key') IS NOT NULL"


LABELLED: Final = "(SELECT uuid FROM productions WHERE id = $1 AND NOT is_deleted)"
TAG: Final = _tag("uuid = $1")
TAG_BY_LABEL: Final = f"{_tag('id = $1')}, {LABELLED} AS labelled"


def few_labelled(entity: type[Row], most: int, labels: str = "ARRAY[$1::text]") -> str:
    """Return the condition, order and limit for up to ``most`` live rows with one of the labels.

    Many shows have a "CAM 1", so PostgreSQL would scan the table for the first few, and read all
    of it where the label is rare. Compared with an array, the order by label still counts, and only
    the index has that order.
    """
    own = f"{table(entity)}.id"
    return f"{own} = ANY ({labels}) AND {live(entity)} ORDER BY {own} LIMIT {most}"


def _keys(entity: type[Row], members: str, tables: str, labels: str = "ARRAY[$1::text]") -> str:
    return (
        f"SELECT uuid, production FROM (SELECT {members}, {table(entity)}.created_at FROM {tables} "
        f"WHERE {few_labelled(entity, 20, labels)}) AS held ORDER BY created_at, uuid"
    )


def _pointing(entity: type[Row], field: str) -> str:
    scope = "production_uuid" if issubclass(entity, Entity) else "uuid"
    return (
        f"SELECT uuid FROM {table(entity)} WHERE {field} = $1 AND {scope} = $2 AND NOT is_deleted"
    )


def _own(parts: PartList) -> str:
    return str(parts.model.__tablename__)


def _with_owner(entity: type[Row], parts: PartList) -> str:
    owner, own = table(entity), _own(parts)
    return f"{own} JOIN {owner} ON {owner}.uuid = {own}.{parts.owner}"


def _find_part(entity: type[Row], parts: PartList) -> str:
    owner, own = table(entity), _own(parts)
    return (
        f"SELECT {own}.uuid, {own}.id FROM {_with_owner(entity, parts)} "
        f"WHERE {owner}.production_uuid = $1 AND NOT {owner}.is_deleted "
        f"AND ({own}.id = $2 OR {own}.uuid::text = lower($2)) "
        f"AND ($3::uuid IS NULL OR {owner}.uuid = $3)"
    )


def _former_part(name: str, parts: PartList) -> str:
    own = _own(parts)
    return (
        f"SELECT {own}.uuid, {own}.id FROM {own} WHERE {own}.{parts.owner} = $2 "
        "AND EXISTS (SELECT FROM changes WHERE production_uuid = $1 AND entity_uuid = $2 "
        f"AND changes.changes -> '{name}' -> 0 @> jsonb_build_array("
        f"jsonb_build_object('uuid', {own}.uuid::text, 'id', $3::text)))"
    )


def _part_ids(entity: type[Row], parts: PartList) -> str:
    owner, own = table(entity), _own(parts)
    return (
        f"SELECT coalesce(array_agg({own}.id), '{{}}') FROM {_with_owner(entity, parts)} "
        f"WHERE {owner}.production_uuid = $1 AND NOT {owner}.is_deleted "
        f"AND ($2::uuid IS NULL OR {owner}.uuid = $2)"
    )

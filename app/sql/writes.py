"""The SQL that writes an entity, derived from its declaration.

A write is two statements. One reads all that it depends on. The other writes the row, counts the
production's change, logs it, announces it and returns the entity. The second does all of that or
nothing: it counts only from the number that the first one saw (``app.store.write_context`` says why
that is enough), and it fails where the row was changed without a number, as by another service.
"""

from dataclasses import dataclass
from typing import Final

from app.model.entity import Entity, PartList, Row
from app.sql.projection import MOMENT, as_json, live, object_or_empty, projection, table
from app.sql.reads import few_labelled, unique_everywhere
from app.sql.registry import statements_of_entities

# When the statement began, so after the production's last write was committed: times have the same
# order as labels and the log's numbers.
NOW: Final = "statement_timestamp()"
# Listeners hear which production changed, its number and the collection; the log has the rest.
CHANNEL: Final = "signalbook_changes"
# Where a row fails a constraint, PostgreSQL logs the whole row, unless it is told to be terse. Not
# every role may tell it.
_QUIET: Final = (
    " AND CASE WHEN has_parameter_privilege('log_error_verbosity', 'SET') "
    "THEN set_config('log_error_verbosity', 'terse', true) END IS DISTINCT FROM ''"
)
_LOGGED: Final = ("changes", "user_id", "user_name", "request_id", "uuid", "blind")


@dataclass(frozen=True)
class WriteStatements:
    """One entity's statements.

    Those that write take their parameters in this order: production, its change number, row,
    version, the values as a JSON object, last modified by; then the log's changes, user id, user
    name, request id, uuid, and whether the write was blind; then the field names, and a JSON array
    for each list of parts. ``create`` has no version, ``delete`` no values.
    """

    target: str
    """For a row to be made in production $1: ``production``, ``seq``, the labels in use as
    ``taken`` (of label $2 only those that count as the same), and whether a label is unique
    ``everywhere``. For what is in no production, the last two, of the spellings $1, and whether one
    of them was ``given_up`` lately: somebody may still mean the row that had it."""
    target_by_label: str
    """The same for the live production labelled $1; two rows where several are. ``former`` is the
    other live production that had the label lately, if any, as JSON."""
    live: str
    """The live row with uuid $1: ``body``, ``production`` and its change number ``seq``."""
    live_by_label: str
    """The same for the live row labelled $1; two rows where several are. Of a production also its
    ``former`` holder."""
    create: str
    update: str
    update_lists: str
    """An update that also replaces the lists of parts."""
    delete: str
    with_deleted: str
    """The row with uuid $1 as ``live``, ``deleted`` or not, and whether its production is
    ``closed``."""
    undelete: str
    """An update that brings a deleted row back, with its lists of parts, and logs a CREATE."""


@statements_of_entities
def write_statements(entity: type[Row]) -> WriteStatements:
    """Return an entity's statements."""
    own, scoped = table(entity), issubclass(entity, Entity)
    return WriteStatements(
        target=_target(entity, "uuid") if scoped else _own_target(entity),
        target_by_label=f"{_target(entity, 'id', FORMER)} LIMIT 2"
        if scoped
        else _own_target(entity),
        live=_read(entity, f"{own}.uuid = $1 AND {live(entity)}"),
        live_by_label=_read(entity, few_labelled(entity, 2), "" if scoped else FORMER),
        create=_create(entity),
        update=_update(entity, lists=False),
        update_lists=_update(entity, lists=True),
        delete=_whole(
            entity,
            "DELETE",
            _changed(entity, "is_deleted = true, last_modified_by = $5::text"),
            first_logged=6,
            lists=False,
        ),
        with_deleted=_read(entity, f"{own}.uuid = $1", _STATES),
        undelete=_update(entity, lists=bool(entity.parts), undelete=True),
    )


# How long a label that went from one live production to another is refused where it is to name one:
# somebody may have opened the show before that. A tab stays open over a weekend.
_LATELY: Final = "statement_timestamp() - interval '3 days'"
# Only the few that took their label lately need the second look.
FORMER: Final = f""", CASE WHEN place.created_at > {_LATELY} OR EXISTS (
    SELECT FROM changes AS renaming WHERE renaming.production_uuid = place.uuid
      AND renaming.entity_uuid = place.uuid AND renaming.at > {_LATELY}
      AND lower(renaming.changes -> 'id' ->> 1) = lower($1))
  THEN (SELECT json_build_object('uuid', former.uuid, 'productionId', former.id)
    FROM changes AS renaming JOIN productions AS former ON former.uuid = renaming.entity_uuid
    WHERE renaming.collection = 'productions' AND renaming.operation = 'UPDATE'
      AND renaming.at > {_LATELY} AND lower(renaming.changes -> 'id' ->> 0) = lower($1)
      AND former.uuid <> place.uuid AND NOT former.is_deleted LIMIT 1) END AS former"""


def _target(entity: type[Row], key: str, more: str = "") -> str:
    name = table(entity)
    own = f"{name} WHERE {name}.production_uuid = place.uuid AND NOT {name}.is_deleted"
    return (
        f"SELECT place.uuid AS production, place.change_seq AS seq, (SELECT coalesce(array_agg("
        f"{name}.id), '{{}}') FROM {own} AND ($2::text IS NULL OR lower({name}.id) = lower($2))) "
        "AS taken, "
        f"{unique_everywhere(name)} AS everywhere{more} FROM productions AS place "
        f"WHERE place.{key} = $1 AND NOT place.is_deleted"
    )


def _own_target(entity: type[Row]) -> str:
    name = table(entity)
    return (
        f"SELECT ARRAY(SELECT id FROM {name} WHERE id = ANY($1::text[]) AND NOT is_deleted) "
        "AS taken, "
        f"{unique_everywhere(name)} AS everywhere, EXISTS (SELECT FROM changes AS renaming "
        f"WHERE collection = '{entity.collection}' AND operation = 'UPDATE' AND at > {_LATELY} "
        "AND renaming.changes -> 'id' ->> 0 = ANY($1::text[])) AS given_up"
    )


# What ``app.store.stale_forms`` remembers of the row.
_FORMS: Final = (
    "(SELECT headers FROM idempotency_keys WHERE key = 'form ' || (entity.\"uuid\")::text) AS forms"
)
_STATES: Final = ', entity."isDeleted" AS deleted, place.is_deleted AS closed'


def _read(entity: type[Row], condition: str, more: str = "") -> str:
    scope = "productionUuid" if issubclass(entity, Entity) else "uuid"
    rows = projection(entity, condition)
    return (
        "SELECT row_to_json(entity) AS body, place.uuid AS production, place.change_seq AS seq"
        f"{more}, {_FORMS} "
        f'FROM ({rows}) AS entity JOIN productions AS place ON place.uuid = entity."{scope}"'
    )


def _columns(entity: type[Row]) -> str:
    return ", ".join(f"{table(entity)}.{name}" for name in entity.model_fields)


def _create(entity: type[Row]) -> str:
    name, scoped = table(entity), issubclass(entity, Entity)
    values = ", ".join(f"made.{column}" for column in entity.editable())
    own, value = ("production_uuid", "$1::uuid") if scoped else ("change_seq", "$2::bigint + 1")
    insert = (
        f"INSERT INTO {name} (uuid, {own}, {', '.join(entity.editable())}, last_modified_by, "
        f"created_at, updated_at) SELECT $3::uuid, {value}, {values}, $5::text, {NOW}, {NOW} "
        f"FROM {'counted, ' if scoped else ''}json_populate_record(NULL::{name}, $4::json) AS made "
        f"RETURNING {_columns(entity)}"
    )
    return _whole(entity, "CREATE", insert, first_logged=6, lists=bool(entity.parts))


def _update(entity: type[Row], *, lists: bool, undelete: bool = False) -> str:
    change = _changed(entity, f"{'is_deleted = false, ' if undelete else ''}{_edited(entity)}")
    operation = "CREATE" if undelete else "UPDATE"
    return _whole(entity, operation, change, first_logged=7, lists=lists, named=1)


def _edited(entity: type[Row]) -> str:
    name, columns = table(entity), entity.editable()
    values = ", ".join(f"edited.{column}" for column in columns)
    versions = (
        "SELECT jsonb_object_agg(field, jsonb_build_object('version', "
        f"{name}.version + 1, 'updatedAt', {MOMENT.format(column=NOW)})) "
        "FROM unnest($13::text[]) AS field"
    )
    return (
        f"({', '.join(columns)}) = (SELECT {values} FROM json_populate_record({name}, $5::json) "
        "AS edited), last_modified_by = $6::text, "
        f"field_versions = {object_or_empty('field_versions')} || coalesce(({versions}), '{{}}')"
    )


def _changed(entity: type[Row], change: str) -> str:
    """Return the UPDATE of one row, if it is still at version $4."""
    name, scoped = table(entity), issubclass(entity, Entity)
    counting, source = ("", " FROM counted") if scoped else (", change_seq = change_seq + 1", "")
    place = "" if scoped else " AND change_seq = $2"
    return (
        f"UPDATE {name} SET {change}, version = {name}.version + 1, updated_at = {NOW}{counting}"
        f"{source} WHERE {name}.uuid = $3 AND {name}.version = $4{place} "
        f"RETURNING {_columns(entity)}"
    )


def _whole(
    entity: type[Row], operation: str, write: str, *, first_logged: int, lists: bool, named: int = 0
) -> str:
    """Return the statement that counts, writes, logs, announces and returns the row.

    Between the log's parameters and the lists stand those of the ``named`` fields, one or none.
    No row comes back, and nothing is written, where the production has another number by now.
    Where only the row is at another version, the division by zero undoes the count.
    """
    count = (
        "UPDATE productions SET change_seq = change_seq + 1 "
        f"WHERE uuid = $1::uuid AND change_seq = $2{_QUIET if entity.secrets else ''} "
        "RETURNING change_seq"
    )
    own = f"written AS ({write})"
    if issubclass(entity, Entity):
        first = [f"counted AS ({count})", own]
    else:
        first = [own, "counted AS (SELECT change_seq FROM written)"]
    parts = _lists(entity, first_logged + len(_LOGGED) + named) if lists else []
    rows = projection(entity, "true", from_write=True, lists_from_write=lists)
    steps = [
        *first,
        *parts,
        f"shown AS ({as_json(entity, rows)})",
        f"logged AS ({_logged(entity, operation, first_logged)})",
    ]
    return (
        f"WITH {', '.join(steps)} SELECT body, change_seq AS seq, "
        f"1 / (SELECT count(*) FROM written) AS rows, {_announced(entity)} "
        "FROM counted LEFT JOIN shown ON true"
    )


def _announced(entity: type[Row]) -> str:
    # Nothing else announces the change; it is heard when the change is committed.
    return f"pg_notify('{CHANNEL}', $1::uuid || ' ' || change_seq || ' {entity.collection}')"


def _logged(entity: type[Row], operation: str, first: int) -> str:
    changes, user, name, request, uuid, blind = (f"${first + n}" for n in range(len(_LOGGED)))
    body = "public_body" if entity.secrets else "body"
    return (
        "INSERT INTO changes (uuid, production_uuid, seq, collection, entity_uuid, operation, "
        "version, changes, entity, blind, user_id, user_name, request_id, at) "
        f"SELECT {uuid}, $1::uuid, change_seq, '{entity.collection}', $3, '{operation}', version, "
        f"{changes}::jsonb, {body}, {blind}::boolean, {user}::text, {name}::text, "
        f"{request}::text, {NOW} "
        "FROM counted, shown"
    )


def _lists(entity: type[Row], first: int) -> list[str]:
    """Return the steps that replace lists by JSON arrays; another owner's uuid breaks its key."""
    return [
        step
        for number, (name, parts) in enumerate(entity.parts.items(), first)
        for step in _list(name, parts, number)
    ]


def _list(name: str, parts: PartList, number: int) -> list[str]:
    own, owner = str(parts.model.__tablename__), parts.owner
    columns = [owner, *parts.columns()]
    every = ", ".join(f"{own}.{column}" for column in parts.model.model_fields)
    values = ", ".join(f"given.{column}" for column in columns)
    same = f"{{}}.uuid = given.uuid AND {{}}.{owner} = given.{owner}"
    assignments = ", ".join(f"{column} = given.{column}" for column in columns)
    return [
        (
            f"{name}_given AS (SELECT {values} FROM written, "
            f"json_populate_recordset(NULL::{own}, ${number}::json) AS given)"
        ),
        (
            f"{name}_dropped AS (DELETE FROM {own} USING written WHERE {own}.{owner} = "
            f"written.uuid AND {own}.uuid NOT IN (SELECT uuid FROM {name}_given))"
        ),
        (
            f"{name}_kept AS (UPDATE {own} SET {assignments} FROM {name}_given AS given "
            f"WHERE {same.format(own, own)} RETURNING {every})"
        ),
        (
            f"{name}_made AS (INSERT INTO {own} ({', '.join(columns)}) SELECT {values} "
            f"FROM {name}_given AS given WHERE NOT EXISTS (SELECT FROM {own} AS stored "
            f"WHERE {same.format('stored', 'stored')}) RETURNING {every})"
        ),
        f"{name}_now AS (SELECT * FROM {name}_kept UNION ALL SELECT * FROM {name}_made)",
    ]

"""The history of one row, deleted or not: who changed what, and back to what it was earlier.

What it was, the change log says. A row is restored as any edit is written, by the same rules,
logged and numbered: nothing is ever taken out of the history.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import Field
from pydantic.alias_generators import to_camel
from pydantic_core import from_json, to_json

from app.access.audit.audit_entries import note_in, of_actor
from app.changelog.log import Actor
from app.database.database import Database
from app.entities import root
from app.errors import Conflict, Invalid, LogTrimmed, NotFound
from app.model.entity import Entity, Row, label_field
from app.model.schemas import DeleteBody, known_uuid, refuse_unbounded
from app.model.secret_fields import logged_changes, public
from app.rules.merge import Start, differing
from app.sql.projection import MOMENT, table
from app.sql.registry import statements_of_entities
from app.sql.writes import write_statements
from app.store import owned_rows, parts, references
from app.store.create import assign_label, find_target
from app.store.edit import Edit
from app.store.legs.leg_settling import settle_legs
from app.store.read import find_row
from app.store.update import update
from app.store.write_context import StoredRow, WriteContext, log_values

Values = Mapping[str, Any]
NEWEST: Final = 2**63 - 1
"""A number beyond all: the history from its end."""


@dataclass(frozen=True)
class HistoryStatements:
    """One entity's statements: $1 is the row's uuid; at most $3 entries before number $2.

    Both return ``entries`` as JSON, and ``next``: the last one's number where older ones follow.
    """

    brief: str
    full: str
    """The same, each entry with the row as it was then."""
    version: str
    """The row with uuid $1 as JSON at version $2, as ``entity``; and the ``oldest`` version that
    the log holds of it."""


@statements_of_entities
def history_statements(entity: type[Row]) -> HistoryStatements:
    """Return an entity's statements."""
    return HistoryStatements(
        brief=_entries(entity, ""), full=_entries(entity, ", entity"), version=_version(entity)
    )


def _logged(entity: type[Row]) -> str:
    owner = "production_uuid" if issubclass(entity, Entity) else "uuid"
    return f"changes.production_uuid = own.{owner} AND changes.entity_uuid = own.uuid"


def _entries(entity: type[Row], more: str) -> str:
    logged = _logged(entity)
    entries = (
        f'SELECT seq, changes.version, operation, {MOMENT.format(column="at")} AS "timestamp", '
        f'user_id AS "userId", user_name AS "userName", blind, changes.changes{more} FROM changes '
        f"WHERE {logged} AND seq < $2 ORDER BY seq DESC LIMIT $3"
    )
    older = f"SELECT FROM changes WHERE {logged} AND seq < page.last"
    return (
        f"SELECT page.entries, CASE WHEN EXISTS ({older}) THEN page.last END AS next "
        f"FROM {table(entity)} AS own, LATERAL (SELECT coalesce(json_agg(row_to_json(entry) "
        "ORDER BY entry.seq DESC), '[]') AS entries, min(entry.seq) AS last "
        f"FROM ({entries}) AS entry) AS page WHERE own.uuid = $1"
    )


def _version(entity: type[Row]) -> str:
    logged = _logged(entity)
    return (
        f"SELECT (SELECT entity FROM changes WHERE {logged} AND changes.version = $2 "
        "ORDER BY seq DESC LIMIT 1) AS entity, "
        f"(SELECT changes.version FROM changes WHERE {logged} ORDER BY seq LIMIT 1) AS oldest "
        f"FROM {table(entity)} AS own WHERE own.uuid = $1"
    )


async def of_row(
    database: Database, entity: type[Row], key: str, *, before: int, limit: int, full: bool
) -> bytes:
    """Return ``limit`` entries before a number as a JSON object. Raises NotFound, AmbiguousId."""
    sql = history_statements(entity).full if full else history_statements(entity).brief
    uuid = known_uuid(key)
    row = await database.row(sql, uuid, before, limit) if uuid else None
    if row is None:
        async with database.connection() as connection:
            row = await find_row(connection, entity, sql, key, before, limit)
    following = b"null" if row["next"] is None else b"%d" % row["next"]
    return b'{"history":%b,"next":%b}' % (row["entries"], following)


class RestoreBody(DeleteBody):
    """What to bring back, and who does. Without ``version`` a deleted row comes back as it was."""

    version: Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)] | None = None
    """The version to bring back. Without it a deleted row comes back as it was last."""
    fields: Annotated[list[str], Field(min_length=1, max_length=1_000)] | None = None
    """The members to bring back; without it all."""


async def restore(
    context: WriteContext, entity: type[Row], key: str, request: RestoreBody, actor: Actor
) -> bytes:
    """Write what differs from the version asked for, log and note it; return the row as JSON.

    Raises NotFound, AmbiguousId, LogTrimmed, Conflict for a row of a deleted production,
    DuplicateId (with ``suggestedId``), and Invalid for what may not be written today.
    """
    context.require_lock()
    names = _fields(entity, request.fields)
    row = await _read_any(context, entity, key)
    _refuse_partly(row, request)
    refuse_in_deleted_production(entity, row)
    body = await _bring_back(context, entity, row, names, request.version, actor)
    if body != row.body:
        details = {"type": entity.collection, "key": str(row.uuid), "version": request.version}
        await note_in(context.connection, of_actor(actor, "row.restored", **details))
    return body


async def _bring_back(
    context: WriteContext, entity: type[Row], row: StoredRow, names: Sequence[str],
    version: int | None, actor: Actor,
) -> bytes:  # fmt: skip
    """Return the row as it was at a version, written where it is another; its own for None."""
    stored = values_of(entity, row.members)
    earlier = await _values_at(context, entity, row, version)
    if row.is_deleted:
        return await _undelete(context, entity, row, {**stored, **earlier}, actor)
    if not earlier:
        return row.body
    same = echoes(entity, earlier, stored)
    values = {name: earlier[name] for name in names if name in earlier and name not in same}
    if "id" not in values:
        values |= parts.relabelled(entity, values, earlier["id"], stored["id"])
    edit = Edit(values, actor, Start(version=row.version))
    return await update(context, entity, str(row.uuid), edit)


async def _read_any(context: WriteContext, entity: type[Row], key: str) -> StoredRow:
    """Read a row, deleted or not. Raises NotFound, which says where a deleted row's uuid stands."""
    try:
        return await context.read_any(entity, key)
    except NotFound as error:
        if known_uuid(key):
            raise
        raise NotFound(
            f"{error.message} A deleted one is restored by its uuid, which is the entityId of its "
            "DELETE in GET /api/productions/…/events.", error=error.error,
        ) from None  # fmt: skip


def refuse_in_deleted_production(entity: type[Row], row: StoredRow) -> None:
    """Raise Conflict for a row whose production is deleted."""
    if entity is not root() and row.in_deleted_production:
        raise Conflict(
            f"This {entity.noun} belongs to a deleted production: restore the production "
            f"{row.production} first."
        )


def _fields(entity: type[Row], members: Sequence[str] | None) -> list[str]:
    """Return the fields that members name; the label of a reference names the reference."""
    own = [*entity.editable(), *entity.parts]
    if members is None:
        return own
    fields = {entity.wire(name): name for name in own}
    fields |= {word: name for word, name in entity.synonyms.items() if name in own}
    fields |= {to_camel(label_field(name)): name for name in entity.references()}
    for index, member in enumerate(members):
        if fields.get(member) in entity.secrets:
            words = "is a secret, and secrets do not go back: no log holds them, so enter it anew"
            raise Invalid.at(f"fields.{index}", words)
        if member not in fields:
            raise Invalid.at(f"fields.{index}", f"a {entity.noun} has no such field to restore")
    return [fields[member] for member in members]


def _refuse_partly(row: StoredRow, request: RestoreBody) -> None:
    """Raise Invalid for some members of a deleted row, or of no version."""
    if request.fields is None:
        return
    if row.is_deleted:
        raise Invalid.at("fields", "a deleted row comes back whole: leave this out")
    if request.version is None:
        raise Invalid.at("version", "say which version these fields had")


def values_of(entity: type[Row], members: Values) -> dict[str, Any]:
    """Return a row's values by field; a row from before a field was declared lacks it."""
    wires = {name: entity.wire(name) for name in (*entity.editable(), *entity.parts)}
    return {name: members[wire] for name, wire in wires.items() if wire in members}


async def _values_at(
    context: WriteContext, entity: type[Row], row: StoredRow, version: int | None
) -> Values:
    """Return the values at a version; none where that is the row's own, or not said."""
    if version is None or version == row.version:
        return {}
    if version > row.version:
        raise Invalid.at("version", f"this {entity.noun} is at version {row.version}")
    sql = history_statements(entity).version
    logged = await context.connection.fetchrow(sql, row.uuid, version)
    if logged["entity"] is None:
        oldest = logged["oldest"]
        rest = f"the oldest it holds is {oldest}" if oldest else "it holds none"
        raise LogTrimmed(
            f"The log does not hold version {version} of this {entity.noun}, {rest}: "
            "choose a version of its history.",
            oldestVersion=oldest, currentVersion=row.version,
        )  # fmt: skip
    return values_of(entity, public(entity, from_json(logged["entity"])))


def echoes(entity: type[Row], earlier: Values, stored: Values) -> set[str]:
    """Return the labels of ends that are still the same: they follow the device's own label."""
    kinds = {device.uuid: device.kind for device in entity.device_references}
    return {
        label
        for uuid, label in entity.ends().items()
        if earlier.get(uuid)
        and all(earlier.get(name) == stored.get(name) for name in (uuid, kinds.get(uuid, uuid)))
    }


async def _undelete(
    context: WriteContext, entity: type[Row], row: StoredRow, values: dict[str, Any], actor: Actor
) -> bytes:
    """Write a deleted row as a live one with these values, what they name looked up again."""
    stored = values_of(entity, row.members)
    target = await find_target(context, entity, str(row.production), values["id"], row.uuid)
    await references.resolve(context.connection, entity, row.production, None, values)
    values = {**dict.fromkeys(entity.references()), **values}
    # An older service's index, while it is there, also counts this row's own label.
    if not (target.everywhere and values["id"] == stored["id"]):
        values["id"] = await assign_label(context, entity, target, values["id"])
    entity.before_write(None, values)
    lists = parts.complete(entity, values, stored, {})
    legs, views = await settle_legs(
        context.connection, entity, (row.production, row.uuid), {}, lists
    )
    lists, values = lists | legs, values | views
    new = differing(stored, {**values, **lists})
    refuse_unbounded(entity, new)
    changes = logged_changes(entity, {n: [stored.get(n), value] for n, value in new.items()})
    own = {name: value for name, value in new.items() if name not in lists}
    body = await context.write(
        write_statements(entity).undelete,
        row.production, row.seq, row.uuid, row.version, to_json(own), actor.row_value,
        *log_values({"isDeleted": [True, False], **changes}, actor), list(changes),
        *parts.rows(entity, row.uuid, lists),
    )  # fmt: skip
    for kind, uuid, label in await owned_rows.deleted_with(context, entity, row, values["id"]):
        owned = await context.read_any(kind, str(uuid))
        back = {**values_of(kind, owned.members), "id": label}
        await _undelete(context, kind, owned, back, actor)
    return body

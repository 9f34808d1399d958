"""Undo a change by its number: one more edit, which merges and conflicts like any other.

An update goes back to what its fields were before it, where nobody has changed them since. A row
that was made is deleted, and one that was deleted is restored. Nothing is taken out of the log, so
an undo is a change with a number of its own, and can be undone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from pydantic_core import from_json

from app.changelog import log
from app.changelog.log import Actor
from app.entities import discovered, root
from app.errors import BulkFailed, Conflict, LogTrimmed, NotFound, VersionConflict
from app.model.entity import Row
from app.model.secret_fields import public, secret_members
from app.rules.merge import Start, differing
from app.rules.wording import member_words
from app.store import many_writes
from app.store.conflicts import ClientView
from app.store.delete import delete
from app.store.edit import Edit
from app.store.history import (
    RestoreBody,
    echoes,
    refuse_in_deleted_production,
    restore,
    values_of,
)
from app.store.references import device_type
from app.store.update import update
from app.store.write_context import StoredRow, WriteContext


@dataclass(frozen=True)
class LoggedChange:
    """An entry of the change log: what it did to which row, and the version that it made."""

    seq: int
    entity: type[Row]
    uuid: UUID
    operation: Literal["CREATE", "UPDATE", "DELETE"]
    version: int
    changes: Mapping[str, Any]


UndoOutcome = many_writes.Outcome[Literal["undone", "unchanged"]]
"""The row as it is now; ``unchanged`` where nothing was left of the change."""


async def undo(context: WriteContext, production: str, seq: int, actor: Actor) -> bytes:
    """Undo change ``seq`` of a production, and return its row as JSON.

    Nothing is written if nothing is left of the change. Raises NotFound, AmbiguousId, LogTrimmed,
    VersionConflict for what others have changed since, Conflict, and what the edit raises that
    takes it back: DuplicateId, and Invalid for a reference to what is no longer there.
    """
    change, *_ = await _find(context, production, seq)
    return await _undo(context, change, actor)


async def undo_request(
    context: WriteContext, production: str, seq: int, actor: Actor
) -> list[tuple[LoggedChange, UndoOutcome]]:
    """Undo all changes that were written by the request of change ``seq``, the last one first.

    Raises BulkFailed with ``results`` where one cannot be undone, and what ``undo`` raises for its
    number.
    """
    _, owner, oldest = await _find(context, production, seq)
    entries = await context.connection.fetch(log.OF_REQUEST, owner, seq)
    changes = [_change(entry) for entry in entries]
    if changes[-1].seq == oldest > 1:
        raise LogTrimmed(
            f"The log begins within the request of change {seq}, or just with it: undo its changes "
            "one by one.",
            oldest=oldest,
        )  # fmt: skip
    recording = many_writes.RecordingContext(**vars(context))

    async def work(change: LoggedChange) -> tuple[LoggedChange, UndoOutcome]:
        recording.bodies.clear()
        row = await _undo(recording, change, actor)
        return change, UndoOutcome("undone" if recording.bodies else "unchanged", row)

    try:
        return await many_writes.together(changes, work)
    except many_writes.ItemFailed as failed:
        number, error = changes[failed.index].seq, failed.error
        path = f"/api/{root().collection}/{owner}/changes/{number}/undo"
        raise BulkFailed(
            f"Change {number} cannot be undone, so none of its request was: {error.message}",
            results=[{"seq": number, "status": "failed", "error": error.body(path)}],
        ) from None


async def _find(context: WriteContext, production: str, seq: int) -> tuple[LoggedChange, UUID, int]:
    """Return a change, its production, which is locked, and the oldest number that the log holds.

    A deleted production is found by its uuid. Raises NotFound, AmbiguousId and LogTrimmed.
    """
    context.require_lock()
    owner = (await context.read_any(root(), production)).uuid
    entry = await context.connection.fetchrow(log.NUMBERED, owner, seq)
    oldest, latest = entry["oldest"], entry["latest"]
    if seq > latest:
        raise NotFound(f"This production has no change {seq}: the latest is {latest}.")
    if entry["seq"] is None:
        holds = f"the changes {oldest} to {latest}" if oldest else "none"
        raise LogTrimmed(
            f"The log does not hold change {seq} of this production, it holds {holds}: "
            "choose a later one, or restore the row.",
            oldest=oldest, latest=latest,
        )  # fmt: skip
    return _change(entry), owner, oldest


def _change(entry: Any) -> LoggedChange:
    entity = discovered().get(entry["collection"])
    if entity is None:
        raise Conflict(f"Nobody keeps {entry['collection']} any more: their changes stay.")
    return LoggedChange(
        entry["seq"], entity, entry["entity_uuid"], entry["operation"], entry["version"],
        from_json(entry["changes"]),
    )  # fmt: skip


async def _undo(context: WriteContext, change: LoggedChange, actor: Actor) -> bytes:
    entity, key = change.entity, str(change.uuid)
    row = await context.read_any(entity, key)
    refuse_in_deleted_production(entity, row)
    if change.operation == "DELETE":
        return await restore(context, entity, key, RestoreBody(), actor)
    if change.operation == "UPDATE":
        return await _take_back(context, change, row, actor)
    if row.is_deleted:
        return row.body
    await _refuse_changed(context, change, row)
    await delete(context, entity, key, actor)
    return (await context.read_any(entity, key)).body


async def _take_back(
    context: WriteContext, change: LoggedChange, row: StoredRow, actor: Actor
) -> bytes:
    """Write what an update's fields were before it. Raises Conflict, and what ``update`` does."""
    entity, stored = change.entity, values_of(change.entity, row.members)
    _refuse_secret(change)
    before = values_of(entity, {name: pair[0] for name, pair in change.changes.items()})
    if not before:
        raise Conflict(f"Change {change.seq} has changed no field that could go back.")
    same = echoes(entity, {**stored, **before}, stored)
    values = {name: value for name, value in before.items() if name not in same}
    gone_back = log.GONE_BACK, row.production, change.seq
    if not differing(stored, values) or await context.connection.fetchval(*gone_back):
        return row.body
    if row.is_deleted:
        raise VersionConflict(
            f"This {entity.noun} was deleted since: restore it, then undo change {change.seq}.",
            error=entity.conflict_error, reason="deleted", currentVersion=row.version,
            clientVersion=change.version, serverData=public(entity, row.members), conflicts=[],
            restore=f"/api/{entity.collection}/{row.uuid}/restore",
        )  # fmt: skip
    edit = Edit(values, actor, Start(version=change.version))
    return await update(context, entity, str(row.uuid), edit)


def _refuse_secret(change: LoggedChange) -> None:
    """Raise Conflict for a change of a secret: undone in part, it would seem undone."""
    if secrets := sorted(secret_members(change.entity) & change.changes.keys()):
        words = " and ".join(map(member_words, secrets))
        raise Conflict(
            f"Change {change.seq} changed the {words}, and secrets do not go back: no log holds "
            f"them. Enter it anew. For what else was changed, restore version {change.version - 1} "
            "with its `fields`."
        )


async def _refuse_changed(context: WriteContext, change: LoggedChange, row: StoredRow) -> None:
    """Raise VersionConflict or Conflict where a row that was made has been worked on since."""
    entity = change.entity
    view = ClientView(
        entity, Start(version=change.version), row.members, (row.production, row.uuid)
    )
    stored = values_of(entity, row.members)
    bases = {
        name: base
        for name, base in (await view.bases(context.connection, {})).items()
        if not base.is_known or differing(stored, {name: base.value})
    }
    for device in entity.device_references:
        # The label of a device of ours follows it, whatever the log says that it was.
        if device.uuid and device.uuid not in bases and device_type(stored.get(device.kind) or ""):
            bases.pop(device.label, None)
    if bases:
        raise await view.delete_conflict(context.connection, bases)
    if entity is root() and await context.connection.fetchval(
        log.WORKED_IN, row.production, change.seq
    ):
        raise Conflict(
            f"Others have worked in this {entity.noun.lower()} since it was made: delete it, if "
            "you mean that."
        )

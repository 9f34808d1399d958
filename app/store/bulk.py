"""Many writes of one collection in one request and one transaction, in the order given.

Either all of them or none (``atomic``), or each for itself in a savepoint: one that is refused
leaves no number, no entry in the log and no announcement.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from app.changelog.log import Actor
from app.errors import BrokenJson, Invalid, SignalbookError
from app.model.entity import Row
from app.model.fields import MaybeLine
from app.model.schemas import (
    Key,
    RequestModel,
    invalid,
    known_uuid,
    unknown_members,
    update_schema,
)
from app.rules.json_bounds import MOST_VALUES_OF_ONE, refuse_beyond_bounds
from app.rules.json_items import Unreadable
from app.sql.writes import write_statements
from app.store import many_writes
from app.store.create import create_in
from app.store.delete import delete
from app.store.edit import Edit, creation_from, edit_from, validate
from app.store.history import RestoreBody, restore
from app.store.update import update
from app.store.write_context import StoredRow, WriteContext

_Members = Annotated[dict[str, Any], Field(description="What a request for a single row takes.")]


class BulkCreate(RequestModel):
    """Make a row; ``productionId`` may be left out."""

    op: Literal["create"]
    """What to do."""
    data: _Members


class BulkUpdate(RequestModel):
    """Change the row under a uuid or a label of this production."""

    op: Literal["update"]
    """What to do."""
    key: Key
    """The uuid of the row, or its label in this show."""
    data: _Members


class BulkDelete(RequestModel):
    """Delete the row under a uuid or a label of this production."""

    op: Literal["delete"]
    """What to do."""
    key: Key
    """The uuid of the row, or its label in this show."""


class BulkRestore(RequestModel):
    """Bring the row back that has a uuid, deleted or not, or a label of this production.

    What a restore of a single row takes stands in ``data``, or beside it.
    """

    op: Literal["restore"]
    """What to do."""
    key: Key
    """The uuid of the row, deleted or not, or its label in this show."""
    data: _Members | None = None
    """What a restore of a single row takes."""


Operation = BulkCreate | BulkUpdate | BulkDelete | BulkRestore


@dataclass(frozen=True)
class FaultyOperation:
    """What stands in the place of an operation and is none."""

    fault: SignalbookError


def _read_leniently(
    value: Any, read: ValidatorFunctionWrapHandler, info: ValidationInfo
) -> Operation | FaultyOperation:
    """Return the operation, or else the error; with ``atomic`` raise it for the whole request."""
    atomic = info.data.get("atomic", True)
    if isinstance(value, Unreadable):
        words = f"This operation is not JSON: {value.reason}."
        if atomic:
            raise ValueError(words)
        return FaultyOperation(BrokenJson(words))
    try:
        refuse_beyond_bounds(value, most=MOST_VALUES_OF_ONE)
        operation: Operation = read(value)
    except Invalid as beyond:
        if atomic:
            raise ValueError(beyond.message) from None
        return FaultyOperation(beyond)
    except ValidationError as error:
        if atomic:
            raise
        return FaultyOperation(invalid(error.errors(include_input=False)))
    return operation


class Bulk(RequestModel):
    """Operations in their order; all or nothing, unless ``atomic`` is false.

    Who did it counts for every operation that does not say so itself.
    """

    # It stands before the operations because their validator reads it.
    atomic: Annotated[bool, Field(strict=True)] = True
    """Whether all is undone where one operation is refused."""
    operations: list[
        Annotated[Operation, Field(discriminator="op"), WrapValidator(_read_leniently)]
    ] = Field(min_length=1, max_length=many_writes.MOST)
    """What to do, in this order."""
    user_id: MaybeLine = Field(None, alias="userId")
    """Who does it, by the id that the client has for people."""
    user_name: MaybeLine = Field(None, alias="userName")
    """Who does it, by name. Others are shown it."""
    last_modified_by: MaybeLine = Field(None, alias="lastModifiedBy")
    """The same person once more, where an older client sends it so."""


Status = Literal["created", "updated", "unchanged", "deleted", "restored", "failed", "undone"]
BulkOutcome = many_writes.Outcome[Status]


@dataclass(frozen=True)
class BulkStep:
    """An operation whose data has been read: an edit, or what is wrong with it."""

    operation: Operation | FaultyOperation
    edit: Edit = Edit({})  # noqa: RUF009  # it is frozen
    restore: RestoreBody | None = None
    fault: SignalbookError | None = None
    ignored: Sequence[str] = ()


class Undone(Exception):
    """An operation of several that belong together was refused: all of them are rolled back."""

    def __init__(self, outcomes: list[BulkOutcome]) -> None:
        self.outcomes = outcomes


def read_step(
    entity: type[Row], production: str, operation: Operation | FaultyOperation, actor: Actor
) -> BulkStep:
    """Read an operation's data; ``actor`` did it if it names nobody."""
    if isinstance(operation, FaultyOperation):
        return BulkStep(operation, fault=operation.fault)
    unknown = unknown_members(operation)
    try:
        if isinstance(operation, BulkDelete):
            return BulkStep(operation, Edit({}, actor), ignored=unknown)
        if isinstance(operation, BulkRestore):
            members = {**(operation.data or {}), **(operation.model_extra or {})}
            body = validate(RestoreBody, members)
            own = Actor(body.user_id, body.user_name, body.last_modified_by).or_else(actor)
            return BulkStep(operation, Edit({}, own), body, ignored=unknown_members(body))
        if isinstance(operation, BulkCreate):
            edit, ignored = creation_from(entity, production, operation.data, actor)
        else:
            edit, ignored = edit_from(entity, update_schema(entity), operation.data, actor)
    except SignalbookError as fault:
        return BulkStep(operation, fault=fault, ignored=unknown)
    return BulkStep(operation, edit, ignored=[*unknown, *ignored])


async def run(
    context: WriteContext, entity: type[Row], key: str, steps: Sequence[BulkStep], *, atomic: bool
) -> list[BulkOutcome]:
    """Do the steps in their order in the production under a key. With ``atomic``, all or none.

    The context must be locked. Raises Undone with the outcomes where nothing may be kept, so that
    whoever opened the transaction or the savepoint rolls it back. Raises what no step is to blame
    for: NotFound and AmbiguousId for the production, Unavailable, and WriteRace.
    """
    production = await many_writes.lock_production(context, key)

    async def work(step: BulkStep) -> BulkOutcome:
        return await _do(context, entity, production, step)

    if not atomic:
        results = await many_writes.each(context.connection, steps, work)
        return [_failure(r) if isinstance(r, SignalbookError) else r for r in results]
    if any(step.fault for step in steps):
        raise Undone([_failure(step.fault) for step in steps])
    try:
        return await many_writes.together(steps, work)
    except many_writes.ItemFailed as failed:
        errors = [failed.error if index == failed.index else None for index in range(len(steps))]
        raise Undone([_failure(error) for error in errors]) from None


def _failure(error: SignalbookError | None) -> BulkOutcome:
    return BulkOutcome("failed", error=error) if error else BulkOutcome("undone")


async def _do(
    context: WriteContext, entity: type[Row], production: StoredRow, step: BulkStep
) -> BulkOutcome:
    operation, edit = step.operation, step.edit
    if isinstance(operation, FaultyOperation) or step.fault:
        return _failure(step.fault)
    if isinstance(operation, BulkCreate):
        return BulkOutcome("created", await create_in(context, entity, production, edit))
    recording = many_writes.RecordingContext(**vars(context))
    if step.restore:
        key = await _find_any(context, entity, production, operation.key)
        body = await restore(recording, entity, key, step.restore, edit.actor)
        return BulkOutcome("restored" if recording.bodies else "unchanged", body)
    key = str(await many_writes.find_in(context.connection, production, entity, operation.key))
    if isinstance(operation, BulkDelete):
        await delete(context, entity, key, edit.actor)
        return BulkOutcome("deleted")
    body = await update(recording, entity, key, edit)
    return BulkOutcome("updated" if recording.bodies else "unchanged", body)


async def _find_any(
    context: WriteContext, entity: type[Row], production: StoredRow, key: str
) -> str:
    """Return the uuid of its row under a key, also of a deleted one. Raises NotFound."""
    if uuid := known_uuid(key):
        row = await context.connection.fetchrow(write_statements(entity).with_deleted, uuid)
        if row and row["production"] == production.uuid:
            return str(uuid)
    return str(await many_writes.find_in(context.connection, production, entity, key))

"""Many writes of one collection in one request and one transaction, in the order given.

Either all of them or none (``atomic``), or each for itself in a savepoint: one that is refused
leaves no number, no entry in the log and no announcement.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.changelog.log import Actor
from app.errors import SignalbookError
from app.model.entity import Row
from app.model.fields import MaybeLine
from app.model.schemas import Key, unknown_members, update_shape
from app.store import update as store
from app.store.locked_production import LockedProduction, find_row, lock_production
from app.store.savepoints import Noting, Refused, create_in, creation, each, edit_from, together
from app.store.update import Edit
from app.store.write_context import WriteContext

MOST: Final = 1_000
"""How many rows one request may write."""

SPELLINGS: Final = ConfigDict(extra="allow", validate_by_name=True, validate_by_alias=True)
_Members = Annotated[dict[str, Any], Field(description="What POST or PATCH of a single row takes.")]


class BulkCreate(BaseModel):
    """Make a row; ``productionId`` may be left out."""

    model_config = SPELLINGS

    op: Literal["create"]
    data: _Members


class BulkUpdate(BaseModel):
    """Change the row under a uuid or a label of this production."""

    model_config = SPELLINGS

    op: Literal["update"]
    key: Key
    data: _Members


class BulkDelete(BaseModel):
    """Delete the row under a uuid or a label of this production."""

    model_config = SPELLINGS

    op: Literal["delete"]
    key: Key


Operation = BulkCreate | BulkUpdate | BulkDelete


class Bulk(BaseModel):
    """Operations in their order; all or nothing, unless ``atomic`` is false.

    Who did it counts for every operation that does not say so itself.
    """

    model_config = SPELLINGS

    operations: list[Annotated[Operation, Field(discriminator="op")]] = Field(
        min_length=1, max_length=MOST
    )
    atomic: Annotated[bool, Field(strict=True)] = True
    user_id: MaybeLine = Field(None, alias="userId")
    user_name: MaybeLine = Field(None, alias="userName")
    last_modified_by: MaybeLine = Field(None, alias="lastModifiedBy")


Status = Literal["created", "updated", "unchanged", "deleted", "failed", "undone"]


@dataclass(frozen=True)
class BulkOutcome:
    """What became of one operation: the row as JSON where there is one, the error if refused."""

    status: Status
    entity: bytes | None = None
    error: SignalbookError | None = None


@dataclass(frozen=True)
class BulkStep:
    """An operation whose data has been read: an edit, or what is wrong with it."""

    operation: Operation
    edit: Edit = Edit({})  # noqa: RUF009  # it is frozen
    fault: SignalbookError | None = None
    ignored: Sequence[str] = ()


class Undone(Exception):
    """An operation of several that belong together was refused: all of them are rolled back."""

    def __init__(self, outcomes: list[BulkOutcome]) -> None:
        self.outcomes = outcomes


def steps(entity: type[Row], production: str, bulk: Bulk, actor: Actor) -> list[BulkStep]:
    """Read every operation's data; ``actor`` did those that name nobody."""
    return [_step(entity, production, operation, actor) for operation in bulk.operations]


def _step(entity: type[Row], production: str, operation: Operation, actor: Actor) -> BulkStep:
    unknown = unknown_members(operation)
    try:
        if isinstance(operation, BulkDelete):
            return BulkStep(operation, Edit({}, actor), ignored=unknown)
        if isinstance(operation, BulkCreate):
            edit, ignored = creation(entity, production, operation.data, actor)
        else:
            edit, ignored = edit_from(entity, update_shape(entity), operation.data, actor)
    except SignalbookError as fault:
        return BulkStep(operation, fault=fault, ignored=unknown)
    return BulkStep(operation, edit, ignored=[*unknown, *ignored])


async def run(
    context: WriteContext,
    entity: type[Row],
    production: str,
    todo: Sequence[BulkStep],
    *,
    atomic: bool,
) -> list[BulkOutcome]:
    """Do them in their order, in a context that is locked. With ``atomic``, all or none.

    What fails is told in the outcomes. Raises Undone, with them, where nothing may be kept, so
    that whoever opened the transaction or the savepoint undoes it; and what no operation is to
    blame for: NotFound and AmbiguousId for the production, Unavailable, and WriteRace.
    """
    work = _together if atomic else _each
    return await work(context, entity, production, todo)


async def _together(
    context: WriteContext, entity: type[Row], production: str, todo: Sequence[BulkStep]
) -> list[BulkOutcome]:
    """Stop at the first that is refused; what is not valid is told of all at once."""
    place = await lock_production(context, production)
    if any(step.fault for step in todo):
        raise Undone([_undone(step.fault) for step in todo])
    try:
        return await together(todo, lambda step: _done(context, entity, place, step))
    except Refused as refused:
        raise Undone(
            [_undone(refused.error if n == refused.place else None) for n in range(len(todo))]
        ) from None


def _undone(error: SignalbookError | None) -> BulkOutcome:
    return BulkOutcome("failed", error=error) if error else BulkOutcome("undone")


async def _each(
    context: WriteContext, entity: type[Row], production: str, todo: Sequence[BulkStep]
) -> list[BulkOutcome]:
    place = await lock_production(context, production)
    made = await each(context.connection, todo, lambda step: _done(context, entity, place, step))
    return [BulkOutcome("failed", error=o) if isinstance(o, SignalbookError) else o for o in made]


async def _done(
    context: WriteContext, entity: type[Row], place: LockedProduction, step: BulkStep
) -> BulkOutcome:
    operation, edit = step.operation, step.edit
    if step.fault:
        return BulkOutcome("failed", error=step.fault)
    if isinstance(operation, BulkCreate):
        return BulkOutcome("created", await create_in(context, entity, place, edit))
    key = str(await find_row(context.connection, entity, place, operation.key))
    if isinstance(operation, BulkDelete):
        await store.delete(context, entity, key, edit.actor)
        return BulkOutcome("deleted")
    noting = Noting(**vars(context))
    body = await store.update(noting, entity, key, edit)
    return BulkOutcome("updated" if noting.written else "unchanged", body)

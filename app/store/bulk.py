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
from app.store.locked_production import Place, enter, named
from app.store.savepoints import Noting, Refused, create_in, creation, each, edit_from, together
from app.store.update import Edit
from app.store.write_context import Unit

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
class Outcome:
    """What became of one operation: the row as JSON where there is one, the error if refused."""

    status: Status
    entity: bytes | None = None
    error: SignalbookError | None = None


@dataclass(frozen=True)
class Step:
    """An operation whose data has been read: an edit, or what is wrong with it."""

    operation: Operation
    edit: Edit = Edit({})  # noqa: RUF009  # it is frozen
    fault: SignalbookError | None = None
    ignored: Sequence[str] = ()


class Undone(Exception):
    """An operation of several that belong together was refused: all of them are rolled back."""

    def __init__(self, outcomes: list[Outcome]) -> None:
        self.outcomes = outcomes


def steps(entity: type[Row], production: str, bulk: Bulk, actor: Actor) -> list[Step]:
    """Read every operation's data; ``actor`` did those that name nobody."""
    return [_step(entity, production, operation, actor) for operation in bulk.operations]


def _step(entity: type[Row], production: str, operation: Operation, actor: Actor) -> Step:
    unknown = unknown_members(operation)
    try:
        if isinstance(operation, BulkDelete):
            return Step(operation, Edit({}, actor), ignored=unknown)
        if isinstance(operation, BulkCreate):
            edit, ignored = creation(entity, production, operation.data, actor)
        else:
            edit, ignored = edit_from(entity, update_shape(entity), operation.data, actor)
    except SignalbookError as fault:
        return Step(operation, fault=fault, ignored=unknown)
    return Step(operation, edit, ignored=[*unknown, *ignored])


async def run(
    unit: Unit, entity: type[Row], production: str, todo: Sequence[Step], *, atomic: bool
) -> list[Outcome]:
    """Do them in their order, in a unit that is locked. With ``atomic``, all or none.

    What fails is told in the outcomes. Raises Undone, with them, where nothing may be kept, so
    that whoever opened the transaction or the savepoint undoes it; and what no operation is to
    blame for: NotFound and AmbiguousId for the production, Unavailable, and Overtaken.
    """
    work = _together if atomic else _each
    return await work(unit, entity, production, todo)


async def _together(
    unit: Unit, entity: type[Row], production: str, todo: Sequence[Step]
) -> list[Outcome]:
    """Stop at the first that is refused; what is not valid is told of all at once."""
    place = await enter(unit, production)
    if any(step.fault for step in todo):
        raise Undone([_undone(step.fault) for step in todo])
    try:
        return await together(todo, lambda step: _done(unit, entity, place, step))
    except Refused as refused:
        raise Undone(
            [_undone(refused.error if n == refused.place else None) for n in range(len(todo))]
        ) from None


def _undone(error: SignalbookError | None) -> Outcome:
    return Outcome("failed", error=error) if error else Outcome("undone")


async def _each(
    unit: Unit, entity: type[Row], production: str, todo: Sequence[Step]
) -> list[Outcome]:
    place = await enter(unit, production)
    made = await each(unit.connection, todo, lambda step: _done(unit, entity, place, step))
    return [Outcome("failed", error=o) if isinstance(o, SignalbookError) else o for o in made]


async def _done(unit: Unit, entity: type[Row], place: Place, step: Step) -> Outcome:
    operation, edit = step.operation, step.edit
    if step.fault:
        return Outcome("failed", error=step.fault)
    if isinstance(operation, BulkCreate):
        return Outcome("created", await create_in(unit, entity, place, edit))
    key = str(await named(unit.connection, entity, place, operation.key))
    if isinstance(operation, BulkDelete):
        await store.delete(unit, entity, key, edit.actor)
        return Outcome("deleted")
    noting = Noting(**vars(unit))
    body = await store.update(noting, entity, key, edit)
    return Outcome("updated" if noting.written else "unchanged", body)

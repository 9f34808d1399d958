"""Many writes of one collection in one request and one transaction, in the order given.

Either all of them or none (``atomic``), or each for itself in a savepoint: one that is refused
leaves no number, no entry in the log and no announcement.
"""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from app import store
from app.changes import Actor
from app.db import translated
from app.edits import edit_of, validated
from app.entity import Row
from app.errors import SignalbookError, Unavailable, WrongProduction
from app.fields import MaybeLine
from app.inside import Place, enter, named
from app.shapes import Key, create_shape, unknown_members, update_shape
from app.store import Edit
from app.writer import Unit, Writer

MOST: Final = 1_000
"""How many rows one request may write."""
# With many savepoints PostgreSQL takes several times as long.
_FEW: Final = 50

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


class _Undone(Exception):
    """An operation of several that belong together was refused: all of them are rolled back."""

    def __init__(self, outcomes: list[Outcome]) -> None:
        self.outcomes = outcomes


@dataclass(frozen=True)
class _Noting(Unit):
    """A unit that knows whether anything was written."""

    written: list[bytes] = field(default_factory=list)

    async def write(self, sql: str, *args: object) -> bytes:
        body = await super().write(sql, *args)
        self.written.append(body)
        return body


def steps(entity: type[Row], production: str, bulk: Bulk, actor: Actor) -> list[Step]:
    """Read every operation's data; ``actor`` did those that name nobody."""
    return [_step(entity, production, operation, actor) for operation in bulk.operations]


def _step(entity: type[Row], production: str, operation: Operation, actor: Actor) -> Step:
    if isinstance(operation, BulkDelete):
        return Step(operation, Edit({}, actor), ignored=unknown_members(operation))
    shape, members = update_shape(entity), operation.data
    if isinstance(operation, BulkCreate):
        shape = create_shape(entity)
        if not {"productionId", "production_id"} & members.keys():
            members = {**members, "productionId": production}
    try:
        body = validated(shape, members)
        edit = edit_of(entity, body)
    except SignalbookError as fault:
        return Step(operation, fault=fault, ignored=unknown_members(operation))
    taken = {word for word, name in entity.synonyms.items() if name in edit.twice}
    ignored = [name for name in unknown_members(body) if name not in taken]
    edit = replace(edit, actor=_who(edit.actor, actor))
    return Step(operation, edit, ignored=[*unknown_members(operation), *ignored])


def _who(said: Actor, otherwise: Actor) -> Actor:
    """Take who did it from the operation if it says so: id and name belong together."""
    person = said if said.user_id or said.user_name else otherwise
    modified_by = said.modified_by or otherwise.modified_by
    return replace(otherwise, user_id=person.user_id, user_name=person.user_name,
                   modified_by=modified_by)  # fmt: skip


async def run(
    writer: Writer, entity: type[Row], production: str, todo: Sequence[Step], *, atomic: bool
) -> list[Outcome]:
    """Do them in their order. With ``atomic``, nothing is written unless all succeed.

    What fails is told in the outcomes; only what no operation is to blame for is raised:
    NotFound and AmbiguousId for the production, and Unavailable.
    """
    work = _together if atomic else _each
    try:
        return await writer.write(production, lambda unit: work(unit, entity, production, todo))
    except _Undone as undone:
        return undone.outcomes


async def _together(
    unit: Unit, entity: type[Row], production: str, todo: Sequence[Step]
) -> list[Outcome]:
    """Stop at the first that is refused; what is not valid is told of all at once."""
    place = await enter(unit, production)
    if any(step.fault for step in todo):
        raise _Undone([_undone(step.fault) for step in todo])
    return await _unless_refused(unit, entity, place, todo)


async def _unless_refused(
    unit: Unit, entity: type[Row], place: Place, todo: Sequence[Step]
) -> list[Outcome]:
    """Do what is valid; raise _Undone as soon as one is refused."""
    done: list[Outcome] = []
    for number, step in enumerate(todo):
        done.append(await _outcome(unit, entity, place, step))
        if (error := done[-1].error) and not step.fault:
            raise _Undone([_undone(error if n == number else None) for n in range(len(todo))])
    return done


def _undone(error: SignalbookError | None) -> Outcome:
    return Outcome("failed", error=error) if error else Outcome("undone")


async def _each(
    unit: Unit, entity: type[Row], production: str, todo: Sequence[Step]
) -> list[Outcome]:
    """Try a few in one savepoint; where one of them is refused, do those again in one each."""
    place, savepoint = await enter(unit, production), unit.connection.transaction
    done: list[Outcome] = []
    for first in range(0, len(todo), _FEW):
        few = todo[first : first + _FEW]
        try:
            async with savepoint():
                made = await _unless_refused(unit, entity, place, few)
        except _Undone:
            made = [await _outcome(unit, entity, place, step, savepoint) for step in few]
        done += made
    return done


async def _outcome(
    unit: Unit,
    entity: type[Row],
    place: Place,
    step: Step,
    around: Callable[[], Any] | None = None,
) -> Outcome:
    """Do one operation, in ``around`` where that is given. Raises Unavailable."""
    if step.fault:
        return Outcome("failed", error=step.fault)
    try:
        with translated():
            async with AsyncExitStack() as stack:
                if around:
                    await stack.enter_async_context(around())
                return await _done(unit, entity, place, step)
    except Unavailable:
        raise
    except SignalbookError as error:
        return Outcome("failed", error=error)


async def _done(unit: Unit, entity: type[Row], place: Place, step: Step) -> Outcome:
    operation, edit = step.operation, step.edit
    if isinstance(operation, BulkCreate):
        return Outcome("created", await _create(unit, entity, place, edit))
    key = str(await named(unit.connection, entity, place, operation.key))
    if isinstance(operation, BulkDelete):
        await store.delete(unit, entity, key, edit.actor)
        return Outcome("deleted")
    noting = _Noting(**vars(unit))
    body = await store.update(noting, entity, key, edit)
    return Outcome("updated" if noting.written else "unchanged", body)


async def _create(unit: Unit, entity: type[Row], place: Place, edit: Edit) -> bytes:
    if not place.is_called(edit.production or ""):
        raise WrongProduction(
            f"This request writes to production {place.label!r}, and the row says "
            f"{edit.production!r}: leave productionId out."
        )
    return await store.create(unit, entity, replace(edit, production=str(place.uuid)))

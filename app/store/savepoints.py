"""Many writes in one locked transaction, one after the other: all of them, or each for itself.

What is refused leaves no number, no entry in the log and no announcement: it is done in a
savepoint that is rolled back.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from app.changelog.log import Actor
from app.database.database import DatabaseConnection
from app.database.driver_errors import translated
from app.errors import SignalbookError, Unavailable, WrongProduction
from app.model.entity import Row
from app.model.schemas import create_shape, unknown_members
from app.store import update
from app.store.edits import edit_of, validated
from app.store.locked_production import LockedProduction, is_key_of
from app.store.update import Edit
from app.store.write_context import WriteContext

T = TypeVar("T")
R = TypeVar("R")
# With many savepoints PostgreSQL takes several times as long.
_FEW: Final = 50


class Refused(Exception):
    """What stands at ``place`` was refused, and what was done before it must be undone."""

    def __init__(self, place: int, error: SignalbookError) -> None:
        self.place, self.error = place, error


@dataclass(frozen=True)
class Noting(WriteContext):
    """A context that remembers what was written, each row as JSON."""

    written: list[bytes] = field(default_factory=list)

    async def write(self, sql: str, *args: object) -> bytes:
        body = await super().write(sql, *args)
        self.written.append(body)
        return body


async def together(todo: Sequence[T], do: Callable[[T], Awaitable[R]]) -> list[R]:
    """Do all; raise Refused as soon as one is refused, and Unavailable."""
    done: list[R] = []
    for place, item in enumerate(todo):
        made = await _tried(item, do)
        if isinstance(made, SignalbookError):
            raise Refused(place, made)
        done.append(made)
    return done


async def each(
    connection: DatabaseConnection, todo: Sequence[T], do: Callable[[T], Awaitable[R]]
) -> list[R | SignalbookError]:
    """Do each for itself; give the error of what is refused. Raises Unavailable.

    A few are tried in one savepoint; where one of them is refused, those are done again in one
    each. So ``do`` must keep nothing of a try that failed.
    """
    done: list[R | SignalbookError] = []
    for first in range(0, len(todo), _FEW):
        few = todo[first : first + _FEW]
        try:
            async with connection.transaction():
                done += await together(few, do)
        except Refused:
            done += [await _tried(item, do, connection.transaction) for item in few]
    return done


async def _tried(
    item: T, do: Callable[[T], Awaitable[R]], around: Callable[[], Any] | None = None
) -> R | SignalbookError:
    """Do one, in ``around`` where that is given; give the error if it is refused."""
    try:
        with translated():
            async with AsyncExitStack() as stack:
                if around:
                    await stack.enter_async_context(around())
                return await do(item)
    except Unavailable:
        raise
    except SignalbookError as error:
        return error


def edit_from(
    entity: type[Row], shape: type[BaseModel], members: Mapping[str, Any], actor: Actor
) -> tuple[Edit, list[str]]:
    """Read what one of several writes says, and name what of it is ignored. Raises Invalid.

    ``actor`` did it where it does not say who.
    """
    body = validated(shape, members)
    edit = edit_of(entity, body)
    taken = {word for word, name in entity.synonyms.items() if name in edit.alternate_values}
    ignored = [name for name in unknown_members(body) if name not in taken]
    return replace(edit, actor=_who(edit.actor, actor)), ignored


def creation(
    entity: type[Row], production: str, members: Mapping[str, Any], actor: Actor
) -> tuple[Edit, list[str]]:
    """Read a create as ``edit_from`` does; ``productionId`` may be left out."""
    if not {"productionId", "production_id"} & members.keys():
        members = {**members, "productionId": production}
    return edit_from(entity, create_shape(entity), members, actor)


def _who(said: Actor, otherwise: Actor) -> Actor:
    """Take who did it from the write if it says so: id and name belong together."""
    person = said if said.user_id or said.user_name else otherwise
    modified_by = said.modified_by or otherwise.modified_by
    return replace(otherwise, user_id=person.user_id, user_name=person.user_name,
                   modified_by=modified_by)  # fmt: skip


async def create_in(
    context: WriteContext, entity: type[Row], place: LockedProduction, edit: Edit
) -> bytes:
    """Create a row in this production. Raises WrongProduction, and what ``store.create`` does."""
    if not await is_key_of(context.connection, place, edit.production or ""):
        raise WrongProduction(
            f"This request writes to production {place.label!r}, and the row says "
            f"{edit.production!r}: leave productionId out."
        )
    return await update.create(context, entity, replace(edit, production=str(place.uuid)))

"""Many writes in one locked production, one after the other: all of them, or each for itself.

A write that fails leaves no number, no entry in the log and no announcement: its savepoint is
rolled back.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from app.changelog.log import FORMER_LABEL
from app.database.database import Database, DatabaseConnection
from app.database.driver_errors import translated
from app.entities import root
from app.errors import SignalbookError, Unavailable
from app.model.entity import Row
from app.model.schemas import can_be_stored, known_uuid
from app.rules.labels import folded
from app.sql.reads import statements
from app.store import references
from app.store.read import ambiguous, not_found
from app.store.write_context import StoredRow, WriteContext

T = TypeVar("T")
R = TypeVar("R")
S = TypeVar("S", bound=str)
MOST: Final = 1_000
"""How many rows one request may write."""
# With many savepoints PostgreSQL takes several times as long.
_FEW: Final = 50


@dataclass(frozen=True)
class Outcome(Generic[S]):
    """What became of one: its row as JSON, if any, its error, if refused; the version it made."""

    status: S
    entity: bytes | None = None
    error: SignalbookError | None = None
    version: int | None = None


def first_error(outcomes: Iterable[Outcome[Any]]) -> tuple[int, SignalbookError] | None:
    """Return the first error, with its index."""
    return next(((n, o.error) for n, o in enumerate(outcomes) if o.error), None)


class ItemFailed(Exception):
    """The item at ``index`` failed, and what was done before it must be undone."""

    def __init__(self, index: int, error: SignalbookError) -> None:
        self.index, self.error = index, error


@dataclass(frozen=True)
class RecordingContext(WriteContext):
    """A context that remembers what was written, each row as JSON."""

    bodies: list[bytes] = field(default_factory=list)

    async def write(self, sql: str, *args: object) -> bytes:
        body = await super().write(sql, *args)
        self.bodies.append(body)
        return body


async def together(items: Sequence[T], work: Callable[[T], Awaitable[R]]) -> list[R]:
    """Do all; raise ItemFailed as soon as one fails, and Unavailable."""
    results: list[R] = []
    for index, item in enumerate(items):
        result = await _try(item, work)
        if isinstance(result, SignalbookError):
            raise ItemFailed(index, result)
        results.append(result)
    return results


async def each(
    connection: DatabaseConnection, items: Sequence[T], work: Callable[[T], Awaitable[R]]
) -> list[R | SignalbookError]:
    """Do each for itself; return the error of one that fails. Raises Unavailable.

    A few are tried in one savepoint. Where one of them fails, those are done again in a savepoint
    each. So ``work`` must keep nothing of a try that failed.
    """
    results: list[R | SignalbookError] = []
    for first in range(0, len(items), _FEW):
        few = items[first : first + _FEW]
        try:
            async with connection.transaction():
                results += await together(few, work)
        except ItemFailed:
            results += [await _try(item, work, connection.transaction) for item in few]
    return results


async def _try(
    item: T, work: Callable[[T], Awaitable[R]], savepoint: Callable[[], Any] = nullcontext
) -> R | SignalbookError:
    """Do one, in a savepoint where one is asked for; return the error if it fails."""
    try:
        with translated():
            async with savepoint():
                return await work(item)
    except Unavailable:
        raise
    except SignalbookError as error:
        return error


async def lock_production(context: WriteContext, key: str) -> StoredRow:
    """Lock a production before anything else is read. Raises NotFound, AmbiguousId, WriteRace."""
    context.require_lock()
    return await context.read(root(), key)


async def is_key_of(connection: DatabaseConnection, production: StoredRow, key: str) -> bool:
    """Return whether a key is the production's uuid or a label that it has or had."""
    if key == production.label or known_uuid(key) == production.uuid:
        return True
    if not can_be_stored(key):
        return False
    label = await connection.fetchval(statements(root()).label, production.uuid)
    former = FORMER_LABEL, production.uuid, production.uuid, key
    return folded(key) == folded(label) or bool(await connection.fetchval(*former))


async def find_in_show(database: Database, entity: type[Row], production: str, label: str) -> UUID:
    """Return the uuid of the row with a label in a production. Raises NotFound and AmbiguousId."""
    async with database.connection() as connection:
        show = known_uuid(production)
        if show is None:
            show = (await WriteContext(connection).read(root(), production)).uuid
        return _only(
            entity, label, production, await references.find_uuids(connection, entity, show, label)
        )


async def find_in(
    connection: DatabaseConnection, production: StoredRow, entity: type[Row], key: str
) -> UUID:
    """Return the uuid of its one live row under a key. Raises NotFound and AmbiguousId."""
    uuids = await references.find_uuids(connection, entity, production.uuid, key)
    return _only(entity, key, production.label, uuids)


def _only(entity: type[Row], key: str, production: str, uuids: Sequence[UUID]) -> UUID:
    if not uuids:
        raise not_found(entity, key)
    if len(uuids) > 1:
        raise ambiguous(key, [(uuid, production) for uuid in uuids])
    return uuids[0]

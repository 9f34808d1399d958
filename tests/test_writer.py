"""A write that is overtaken starts again, and one that fails leaves nothing.

It leaves no number, no log entry and no announcement.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from pydantic_core import from_json

from app.database.database import Database, DatabaseConnection
from app.database.pool import WriteRace
from app.database.url import DatabaseUrl
from app.entities import device_types, discovered, root
from app.errors import Busy, SignalbookError
from app.model.entity import Row
from app.model.schemas import create_schema
from app.sql.writes import CHANNEL
from app.store.create import create
from app.store.delete import delete
from app.store.edit import Edit, edit_of
from app.store.update import update
from app.store.write_context import WriteContext
from app.store.writer import Writer
from tests.legacy import connected
from tests.support import databases
from tests.support.bodies import (
    REPRESENTATIVES,
    SCOPED,
    SCOPED_REPRESENTATIVES,
    minimal,
    named,
)
from tests.support.service import settings

every = pytest.mark.parametrize("entity", REPRESENTATIVES, ids=named)
scoped = pytest.mark.parametrize("entity", SCOPED_REPRESENTATIVES, ids=named)
LOGGED = "SELECT seq FROM changes WHERE production_uuid = $1 ORDER BY seq"
COUNTED = "SELECT change_seq FROM productions WHERE uuid = $1"
Work = Callable[[WriteContext], Awaitable[Any]]


class Watched:
    """A connection that counts its statements, and lets ``first`` happen before the first write."""

    def __init__(
        self, real: DatabaseConnection, first: Callable[[], Awaitable[Any]] | None = None
    ) -> None:
        self.real, self.first, self.statements = real, first, 0

    def __getattr__(self, name: str) -> Any:
        async def run(sql: str, *args: Any) -> Any:
            self.statements += 1
            if sql.startswith("WITH") and self.first:
                first, self.first = self.first, None
                await first()
            return await getattr(self.real, name)(sql, *args)

        return run


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    database = Database(DatabaseUrl.parse(url), settings())
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def listening(url: str) -> AsyncIterator[list[str]]:
    """Collect what is announced."""
    heard: list[str] = []
    connection = await asyncpg.connect(**DatabaseUrl.parse(url).connect_args())
    await connection.add_listener(CHANNEL, lambda *told: heard.append(told[-1]))
    try:
        yield heard
        # Announcements arrive before the answer to what is asked after them.
        await connection.execute("SELECT 1")
    finally:
        await connection.close()


def owner(row: dict[str, Any]) -> UUID:
    return UUID(row.get("productionUuid", row["uuid"]))


def changing(entity: type[Row], row: dict[str, Any], value: str) -> Work:
    """Change the note of a row, or of a production its venue."""
    name = "note" if entity in SCOPED else "venue"
    start = replace(Edit({}).start, version=row["version"] if entity.version_required else None)
    edit = Edit({name: value}, start=start)
    return lambda context: update(context, entity, row["uuid"], edit)


def creation(entity: type[Row], **members: Any) -> Edit:
    """Return what a client's body would make."""
    return edit_of(entity, create_schema(entity).model_validate({**minimal(entity), **members}))


def writes(entity: type[Row], row: dict[str, Any]) -> dict[str, Work]:
    edit = creation(entity, productionId=str(owner(row)))
    return {
        "create": lambda context: create(context, entity, edit),
        "update": changing(entity, row, "Ours"),
        "delete": lambda context: delete(context, entity, row["uuid"], edit.actor),
    }


@pytest.mark.parametrize("operation", ["create", "update", "delete"])
@scoped
async def test_a_write_is_two_statements(
    shared_database: str, make: Any, entity: type[Row], operation: str
) -> None:
    row = make(entity.collection, **minimal(entity))
    clearing = sum(
        reference.collection == entity.collection and reference.on_delete == "clear"
        for other in discovered().values()
        for reference in other.references().values()
    )
    async with opened(shared_database) as database, database.write_connection() as connection:
        watched = Watched(connection)
        await writes(entity, row)[operation](WriteContext(watched))
        # A delete asks each type that points here for what it must clear; a device, its ports.
        asking = clearing + (entity in device_types())
        assert watched.statements == 2 + (asking if operation == "delete" else 0)


@pytest.mark.parametrize("operation", ["create", "update", "delete"])
@scoped
async def test_an_overtaken_write_leaves_nothing_and_starts_again(
    shared_database: str, make: Any, client: httpx.Client, entity: type[Row], operation: str
) -> None:
    """Another process writes to the production between our reading and our writing."""
    row = make(entity.collection, **minimal(entity))
    other = make(entity.collection, **minimal(entity))
    path = f"/api/{entity.collection}/{other['uuid']}"

    async def overtake() -> None:
        answer = await asyncio.to_thread(client.put, path, json={"note": "Theirs"})
        answer.raise_for_status()

    work = writes(entity, row)[operation]
    tries: list[int] = []

    async def interrupted(context: WriteContext) -> Any:
        tries.append(await counted(shared_database, row))
        first = overtake if len(tries) == 1 else None
        return await work(replace(context, connection=Watched(context.connection, first)))

    async with listening(shared_database) as heard, opened(shared_database) as database:
        await Writer(database, 5).write(row["uuid"], interrupted)
    before, then = tries
    assert then == before + 1
    assert await numbers(shared_database, row) == list(range(1, then + 2))
    ours = [told for told in heard if told.startswith(str(owner(row)))]
    assert ours == [f"{owner(row)} {seq} {entity.collection}" for seq in (then, then + 1)]


@pytest.mark.parametrize("operation", ["update", "delete"])
@every
async def test_a_row_that_moved_on_without_a_number_is_not_overwritten(
    own_database: str, entity: type[Row], operation: str
) -> None:
    """An older service raises the row's version only; the count must be undone."""
    async with opened(own_database) as database:
        row = await made(Writer(database, 5), entity)
        before = await numbers(own_database, row)
        sql = f"UPDATE {entity.__tablename__} SET version = version + 1 WHERE uuid = $1"

        async def older() -> None:
            await databases.execute(own_database, sql, row["uuid"])

        async with listening(own_database) as heard, database.write_connection() as connection:
            with pytest.raises(WriteRace):
                await writes(entity, row)[operation](WriteContext(Watched(connection, older)))
    assert not heard
    assert await numbers(own_database, row) == before
    assert await counted(own_database, row) == before[-1]


@every
async def test_every_write_is_announced_once_and_a_rejected_one_never(
    own_database: str, entity: type[Row]
) -> None:
    async with opened(own_database) as database, listening(own_database) as heard:
        writer = Writer(database, 5)
        row = await made(writer, entity)
        await writer.write(row["uuid"], changing(entity, row, "Once"))
        stale = replace(Edit({}).start, version=1)
        edit = Edit({"note" if entity in SCOPED else "venue": "Never"}, start=stale)
        with pytest.raises(SignalbookError):
            await writer.write("", lambda context: update(context, entity, row["uuid"], edit))
        with pytest.raises(ZeroDivisionError):
            await writer.locked(lambda context: rolled_back(context, entity, row))
        assert await writer.write("", changing(entity, {**row, "version": 2}, "Once"))
    numbered = await numbers(own_database, row)
    assert [told.rpartition(" ")[0] for told in heard] == [f"{owner(row)} {n}" for n in numbered]
    assert await counted(own_database, row) == len(numbered)


async def rolled_back(context: WriteContext, entity: type[Row], row: dict[str, Any]) -> None:
    await changing(entity, {**row, "version": 2}, "Never")(context)
    raise ZeroDivisionError


@pytest.mark.parametrize("processes", [2, 3])
async def test_several_processes_write_one_show_at_once(own_database: str, processes: int) -> None:
    entity = discovered()["cameras"]
    async with AsyncExitStack() as stack:
        lent = [await stack.enter_async_context(opened(own_database)) for _ in range(processes)]
        writers = [Writer(database, 5) for database in lent]
        row = await made(writers[0], entity)
        create = writes(entity, row)["create"]
        sixty = (writers[n % processes].write(row["uuid"], create) for n in range(60))
        await asyncio.gather(*sixty)
    sql = "SELECT id FROM cameras ORDER BY created_at, uuid"
    assert await databases.column(own_database, sql) == [f"CAM {n}" for n in range(1, 62)]
    assert await numbers(own_database, row) == list(range(1, 63))


async def test_who_is_always_overtaken_is_told_so(own_database: str) -> None:
    async def hopeless(_: WriteContext) -> None:
        raise WriteRace

    async with opened(own_database) as database:
        with pytest.raises(Busy, match="Another service"):
            await Writer(database, 5).write("x", hopeless)


async def test_who_stands_in_line_too_long_is_told_so(own_database: str) -> None:
    async with opened(own_database) as database:
        writer = Writer(database, 0.05)
        slow = asyncio.Event()

        async def holding(_: WriteContext) -> None:
            await slow.wait()

        held = asyncio.create_task(writer.write("x", holding))
        await asyncio.sleep(0)
        with pytest.raises(Busy, match="Too many"):
            await writer.write("x", holding)
        slow.set()
        await held


async def made(writer: Writer, entity: type[Row]) -> dict[str, Any]:
    """Make a show and, where the entity lives in one, a row in it."""
    show = creation(root(), name="A show")
    row = from_json(await writer.write("", lambda context: create(context, root(), show)))
    if entity is not root():
        work = writes(entity, row)["create"]
        row = from_json(await writer.write(row["uuid"], work))
    return dict(row)


async def numbers(url: str, row: dict[str, Any]) -> list[Any]:
    return await databases.column(url, LOGGED, owner(row))


async def counted(url: str, row: dict[str, Any]) -> int:
    [seq] = await databases.column(url, COUNTED, owner(row))
    return int(str(seq))


async def test_starting_again_costs_no_connection(own_database: str) -> None:
    """Each production that is made starts again, under a lock."""
    pids = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> "
    async with opened(own_database) as database, connected(own_database) as looking:
        writer, seen = Writer(database, 5), set()
        for _ in range(5):
            await made(writer, root())
            rows = await looking.fetch(
                f"{pids} pg_backend_pid() AND backend_type = 'client backend'"
            )
            seen |= {row["pid"] for row in rows}
    assert len(seen) == 1

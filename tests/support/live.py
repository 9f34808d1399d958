"""A process that watches, without HTTP: several in one test stand for several processes."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import asyncpg

from app.changelog.log import Actor
from app.database.database import Database
from app.database.url import DatabaseUrl
from app.entities import discovered
from app.errors import LogTrimmed
from app.live.feed.entries import FeedEntry
from app.live.feed.hub import Hub
from app.live.feed.listener import Listener, Pulse
from app.model.schemas import create_schema, update_schema
from app.store.create import create
from app.store.delete import delete
from app.store.edit import edit_of
from app.store.update import update
from app.store.writer import Writer
from tests.support.service import settings

QUICK: Final = Pulse(every=0.3, within=20.0, first=0.02, longest=0.2)
KILL: Final = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE datname = current_database() AND application_name = 'signalbook-listener'"
)
_LOG: Final = (
    "WITH counted AS (UPDATE productions SET change_seq = change_seq + 1 WHERE uuid = $1 "
    "RETURNING change_seq) INSERT INTO changes (production_uuid, seq, collection, entity_uuid, "
    "operation, version, changes, entity, user_id, user_name, at) SELECT $1, change_seq, $2, "
    "gen_random_uuid(), 'UPDATE', 1, $3::text::jsonb, '{}', 'raw', 'Raw', statement_timestamp() "
    "FROM counted RETURNING seq"
)


@dataclass
class Process:
    """What one process has, and what writes as its routes do."""

    database: Database
    listener: Listener
    hub: Hub
    writer: Writer

    async def create(self, collection: str, production: object = None, **members: Any) -> Any:
        """Create a row as Ann does, and give it."""
        entity, place = discovered()[collection], {}
        if production is not None:
            place = {"production_id": str(production)}
        body = {**members, **place, "user_id": "u1", "user_name": "Ann"}
        edit = edit_of(entity, create_schema(entity).model_validate(body))
        key = edit.production or ""
        made = await self.writer.write(key, lambda unit: create(unit, entity, edit))
        return json.loads(made)

    async def update(self, collection: str, uuid: str, **members: Any) -> Any:
        """Update a row and give it."""
        entity = discovered()[collection]
        edit = edit_of(entity, update_schema(entity).model_validate(members))
        made = await self.writer.write(uuid, lambda unit: update(unit, entity, uuid, edit))
        return json.loads(made)

    async def delete(self, collection: str, uuid: str) -> None:
        """Delete a row."""
        entity = discovered()[collection]
        await self.writer.write(uuid, lambda unit: delete(unit, entity, uuid, Actor()))

    async def show(self) -> UUID:
        """Create a production."""
        return UUID((await self.create("productions", show_name="A show"))["uuid"])


@asynccontextmanager
async def process(url: str, *, connected: bool = True, **how: Any) -> AsyncIterator[Process]:
    """Run what a process has; ``how`` is for its hub."""
    pulse = how.pop("pulse", QUICK)
    given = {"every": 0.2, **how}
    database = Database(DatabaseUrl.parse(url), settings())
    await database.open()
    listener = Listener(DatabaseUrl.parse(url), pulse)
    hub = Hub(database, listener, **given)
    try:
        async with hub.running(), listener.running():
            if connected:
                await asyncio.wait_for(listener.listening.wait(), 60)
            yield Process(database, listener, hub, Writer(database, 5))
        assert hub.idle
    finally:
        await database.close()


@asynccontextmanager
async def processes(url: str, count: int, **how: Any) -> AsyncIterator[list[Process]]:
    """Run several processes."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(process(url, **how)) for _ in range(count)]


@dataclass
class Ear:
    """Hears entries; tells when there are enough."""

    heard: list[FeedEntry] = field(default_factory=list)
    lost: list[LogTrimmed] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    more: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    largest: int = 0

    def __post_init__(self) -> None:
        self.open.set()

    async def hear(self, entries: Sequence[FeedEntry]) -> None:
        """Take entries while the ear is open."""
        self.largest = max(self.largest, len(entries))
        self.begun.set()
        await self.open.wait()
        self.heard += entries
        self.more.set()

    async def trimmed(self, lost: LogTrimmed) -> None:
        """Take the news that something is lost."""
        self.lost.append(lost)
        self.more.set()

    @property
    def seqs(self) -> list[int]:
        """The numbers that were heard."""
        return [entry.seq for entry in self.heard]

    async def until(self, count: int) -> list[int]:
        """Wait until at least so many entries were heard; give their numbers."""
        await self.when(lambda: len(self.heard) >= count)
        return self.seqs

    async def when(self, true: Callable[[], bool]) -> None:
        """Wait until what is true of the ear after something was heard is true."""
        async with asyncio.timeout(60):
            while not true():
                self.more.clear()
                await self.more.wait()


async def logged(
    connection: asyncpg.Connection, production: UUID, *, collection: str = "ccus", told: bool = True
) -> int:
    """Write an entry as no code of ours does, announced or not; give its number."""
    seq: int = await connection.fetchval(_LOG, production, collection, '{"name": ["a", "b"]}')
    if told:
        payload = f"{production} {seq} {collection}"
        await connection.execute("SELECT pg_notify('signalbook_changes', $1)", payload)
    return seq

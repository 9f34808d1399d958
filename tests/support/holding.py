"""A writer of another process that holds its transaction open, and what a log holds."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from app.database.database import Database
from app.database.url import DatabaseUrl
from app.store.write_context import WriteContext
from app.store.writer import Writer
from tests.support import databases
from tests.support.service import settings

LOG = (
    "SELECT json_build_array(seq, operation, entity ->> 'id', user_id)::text FROM changes "
    "WHERE production_uuid = $1 ORDER BY seq"
)
COUNTED = "SELECT change_seq FROM productions WHERE uuid = $1"


class Held(Writer):
    """A process's writer that has done its work, and commits when it is told to."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, 30)
        self.done, self.go = asyncio.Event(), asyncio.Event()

    async def write(
        self, key: str, work: Callable[..., Awaitable[Any]], *args: Any, **named: Any
    ) -> Any:
        async def held(context: WriteContext) -> Any:
            made = await work(context, *args, **named)
            self.done.set()
            await self.go.wait()
            return made

        return await self.locked(held)


@asynccontextmanager
async def holding(url: str) -> AsyncIterator[Held]:
    """Lend the writer of another process."""
    database = Database(DatabaseUrl.parse(url), settings())
    await database.open()
    try:
        yield Held(database)
    finally:
        await database.close()


async def after(
    url: str, first: Callable[[Held], Awaitable[Any]], then: Callable[[], Any]
) -> tuple[Any, Any]:
    """Let another process write first, and ``then`` while it has not committed; give both ends."""
    async with holding(url) as held:
        earlier = asyncio.ensure_future(first(held))
        await held.done.wait()
        later = asyncio.ensure_future(asyncio.to_thread(then))
        await databases.until_blocked(url)
        assert not later.done()
        held.go.set()
        return await earlier, await later


async def counted(url: str, production: str) -> int:
    """Return a production's change number."""
    [seq] = await databases.column(url, COUNTED, production)
    return int(str(seq))


async def logged(url: str, production: str) -> list[list[Any]]:
    """Return of each entry of a production's log: number, operation, label and who did it."""
    return [json.loads(str(row)) for row in await databases.column(url, LOG, production)]

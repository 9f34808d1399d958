"""Databases for tests: on the server that TEST_DATABASE_ADMIN_URL names, else the embedded one.

A database's name tells the process that made it, so that those of killed runs can be dropped.
"""

import asyncio
import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import asyncpg

from app.database import embedded as postgres
from app.database.url import DatabaseUrl
from app.releases.migrations import guard
from app.releases.migrations.alembic_runner import upgrade
from app.settings import PROJECT

_PREFIX: Final = "signalbook_test"
_count = itertools.count()


class Server:
    """A PostgreSQL server on which tests make and drop databases."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._address = DatabaseUrl.parse(url)

    def make(self, template: str = "template0") -> str:
        """Make a database and give its URL."""
        name = f"{_PREFIX}_{os.getpid()}_{next(_count)}"
        self.run(f'CREATE DATABASE {name} TEMPLATE "{template}"')
        guard.note_made(name)
        return self.within(name)

    @contextmanager
    def lent(self, template: str = "template0") -> Iterator[str]:
        """Make a database, give its URL, and drop it in the end."""
        url = self.make(template)
        try:
            yield url
        finally:
            self.drop(url)

    def within(self, database: str) -> str:
        """Give the URL of one of this server's databases."""
        return self._address.with_database(database).sqlalchemy_url()

    def drop(self, url: str) -> None:
        """Drop a database whoever is connected."""
        self.run(f"DROP DATABASE IF EXISTS {DatabaseUrl.parse(url).database} WITH (FORCE)")

    def run(self, sql: str) -> None:
        """Run a statement as the server's administrator."""
        asyncio.run(execute(self.url, sql))

    def sweep(self) -> None:
        """Drop what runs that no longer live have left behind."""
        names = asyncio.run(column(self.url, "SELECT datname FROM pg_database"))
        for name in names:
            prefix, _, rest = str(name).partition(f"{_PREFIX}_")
            if not prefix and rest and not _alive(int(rest.partition("_")[0])):
                self.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def server() -> Iterator[Server]:
    """Lend the server for a session."""
    if named := os.environ.get("TEST_DATABASE_ADMIN_URL"):
        yield Server(named)
        return
    with postgres.start(PROJECT / ".data" / "test-postgres", fast=True) as embedded:
        lent = Server(embedded.url)
        lent.sweep()
        yield lent


def migrated(lent: Server) -> str:
    """Make a database by running the migrations; give its name, to be used as a template."""
    url = lent.make()
    asyncio.run(upgrade(url, say=lambda _: None))
    return DatabaseUrl.parse(url).database


async def execute(url: str, sql: str, *args: object) -> None:
    """Run a statement on a connection of its own."""
    connection = await asyncpg.connect(**DatabaseUrl.parse(url).connect_args())
    try:
        await connection.execute(sql, *args)
    finally:
        await connection.close()


async def column(url: str, sql: str, *args: object) -> list[object]:
    """Give a query's first column."""
    connection = await asyncpg.connect(**DatabaseUrl.parse(url).connect_args())
    try:
        return [row[0] for row in await connection.fetch(sql, *args)]
    finally:
        await connection.close()


async def until_blocked(url: str) -> None:
    """Wait until somebody in this database waits for a lock. Raises TimeoutError after 10 s."""
    blocked = (
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() "
        "AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(10):
        while not await column(url, blocked):  # noqa: ASYNC110  # another process tells no event
            await asyncio.sleep(0.01)

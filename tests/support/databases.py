"""Databases for tests: on the server that TEST_DATABASE_ADMIN_URL names, else the embedded one.

The embedded one keeps its data in memory where there is room, or where TEST_DATABASE_FOLDER says.
A database's name tells the process that made it, so that those of killed runs can be dropped. A
template's name tells the sources it is made of.
"""

import asyncio
import inspect
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import asyncpg

from app.database import embedded as postgres
from app.database.url import DatabaseUrl
from app.releases.migrations import guard
from app.releases.migrations.alembic_runner import upgrade
from app.settings import PROJECT
from tests.support import generation

_PREFIX: Final = "signalbook_test"
_TEMPLATES: Final = f"sb_template_{generation.digest(os.fsencode(PROJECT))[:6]}"
_MEMORY: Final = Path("/dev/shm")  # noqa: S108  # a folder of ours within, made private
_ROOM: Final = 2 * 2**30
# Autovacuum keeps a template from being copied while it looks at it.
_SETTINGS: Final = ("autovacuum = off", "jit = off", "max_wal_size = '256MB'")
_LONGEST_NAME: Final = 63  # PostgreSQL cuts longer names
_count = itertools.count()


class Server:
    """A PostgreSQL server on which tests make and drop databases."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._address = DatabaseUrl.parse(url)

    def make(self, template: str = "template0") -> str:
        """Make a database and give its URL."""
        name = f"{_PREFIX}_{os.getpid()}_{next(_count)}"
        self.run(f'CREATE DATABASE {name} TEMPLATE "{template}" STRATEGY file_copy')
        guard.note_made(name)
        return self.within(name)

    def template(self, name: str, build: Callable[[str], None], on: str = "template0") -> str:
        """Return the name of the database that ``build`` makes of a copy of ``on``.

        It is built once for all processes and kept for later runs of the same sources.
        """
        module = Path(inspect.getfile(build)).read_bytes()
        made_of = generation.digest(module, on.encode())[:6]
        name = f"{_TEMPLATES}_{generation.current()}_{made_of}_{name}"
        assert len(name) <= _LONGEST_NAME, name
        with generation.alone(name):
            if name not in self._names():
                url = self.make(on)
                build(url)
                self.run(f"ALTER DATABASE {DatabaseUrl.parse(url).database} RENAME TO {name}")
        return name

    @contextmanager
    def lent(self, template: str = "template0") -> Iterator[str]:
        """Make a database, give its URL, and drop it in the end."""
        url = self.make(template)
        try:
            yield url
        finally:
            self.drop(url)

    def within(self, database: str) -> str:
        """Return the URL of one of this server's databases."""
        return self._address.with_database(database).sqlalchemy_url()

    def drop(self, url: str) -> None:
        """Drop a database whoever is connected."""
        self.run(f"DROP DATABASE IF EXISTS {DatabaseUrl.parse(url).database} WITH (FORCE)")

    def run(self, sql: str) -> None:
        """Run a statement as the server's administrator."""
        asyncio.run(execute(self.url, sql))

    def sweep(self) -> None:
        """Drop what runs that no longer live have left behind, and templates of other sources."""
        for name in self._names():
            prefix, _, rest = name.partition(f"{_PREFIX}_")
            ended = not prefix and rest and not _alive(int(rest.partition("_")[0]))
            if ended or (name.startswith(_TEMPLATES) and _is_over(name)):
                self.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _names(self) -> list[str]:
        return [*map(str, asyncio.run(column(self.url, "SELECT datname FROM pg_database")))]


def _is_over(template: str) -> bool:
    sources, born = template.removeprefix(f"{_TEMPLATES}_").split("_")[:2]
    return generation.is_over(f"{sources}_{born}")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def server() -> Iterator[Server]:
    """Lend the server for a session."""
    generation.current()
    if named := os.environ.get("TEST_DATABASE_ADMIN_URL"):
        lent = Server(named)
        lent.sweep()
        yield lent
        return
    with postgres.start(_folder(), fast=True) as embedded:
        lent = Server(embedded.url)
        for setting in _SETTINGS:
            lent.run(f"ALTER SYSTEM SET {setting}")
        lent.run("SELECT pg_reload_conf()")
        lent.sweep()
        yield lent


def _folder() -> Path:
    """Return where the embedded server keeps its data: this checkout's own folder."""
    if named := os.environ.get("TEST_DATABASE_FOLDER"):
        return Path(named)
    if _MEMORY.is_dir():
        _remove_folders_of_removed_checkouts()
        folder = (
            _MEMORY / f"signalbook-test-{os.getuid()}-{generation.digest(os.fsencode(PROJECT))}"
        )
        if folder.exists() or shutil.disk_usage(_MEMORY).free > _ROOM:
            folder.mkdir(mode=0o755, exist_ok=True)
            (folder / "checkout").write_text(str(PROJECT))
            return folder
    return PROJECT / ".data" / "test-postgres"


def _remove_folders_of_removed_checkouts() -> None:
    for note in _MEMORY.glob(f"signalbook-test-{os.getuid()}-*/checkout"):
        if not _checkout_of(note).exists():
            postgres.stop(note.parent)
            shutil.rmtree(note.parent, ignore_errors=True)  # another process may do the same


def _checkout_of(note: Path) -> Path:
    """Return the checkout that a note names; the root where none is named any more."""
    try:
        return Path(note.read_text() or "/")
    except FileNotFoundError:
        return Path("/")


def migrated(lent: Server) -> str:
    """Return the name of a template that has the migrations' schema and no rows."""
    return lent.template("migrated", _migrate)


def _migrate(url: str) -> None:
    asyncio.run(upgrade(url, say=lambda _: None))


async def execute(url: str, sql: str, *args: object) -> None:
    """Run a statement on a connection of its own."""
    connection = await asyncpg.connect(**DatabaseUrl.parse(url).connect_args())
    try:
        await connection.execute(sql, *args)
    finally:
        await connection.close()


async def column(url: str, sql: str, *args: object) -> list[object]:
    """Return a query's first column."""
    connection = await asyncpg.connect(**DatabaseUrl.parse(url).connect_args())
    try:
        return [row[0] for row in await connection.fetch(sql, *args)]
    finally:
        await connection.close()


async def until_blocked(url: str) -> None:
    """Wait until somebody in this database waits for a lock. Raises TimeoutError after 60 s."""
    blocked = (
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() "
        "AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(60):
        while not await column(url, blocked):  # noqa: ASYNC110  # another process tells no event
            await asyncio.sleep(0.01)

"""Scratch databases beside the live one: built by this image's own migrations, dropped always.

Each is named by a number, and whoever works in it holds the advisory lock of that number on a
connection to the live database. PostgreSQL lets the lock go when that process dies, however it
dies; so a scratch database whose lock nobody holds is a leftover, and the next run drops it.
"""

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from contextvars import ContextVar
from dataclasses import replace
from typing import Final

import asyncpg

from app.releases.connection.open_connection import open_connection
from app.releases.migrations import guard
from app.releases.migrations.alembic_runner import upgrade
from app.releases.migrations.revisions import names
from app.releases.output import discard_line
from app.releases.schema.introspection.introspect import read_snapshot
from app.releases.schema.snapshot import Snapshot, Traits
from app.releases.verdict import MigrationError

PREFIX: Final = "signalbook_scratch_"

# The first half of the advisory lock's key; any number that nothing else uses as one.
_LOCKS: Final = 531_694_727
_LEFTOVERS: Final = f"""SELECT datname FROM pg_database WHERE datname ~ '^{PREFIX}[0-9]+$'
  AND NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = {_LOCKS}
    AND objid = substr(datname, {len(PREFIX) + 1})::bigint)"""

# As the live database sorts and encodes, so that the same statements mean the same. The catalogue
# names its locale in another column from PostgreSQL 17 on.
_LIKE_LIVE: Final = """SELECT format('ENCODING %L LC_COLLATE %L LC_CTYPE %L',
    pg_encoding_to_char(encoding), datcollate, datctype)
  || CASE datlocprovider WHEN 'i' THEN format(' LOCALE_PROVIDER icu ICU_LOCALE %L', locale)
    WHEN 'b' THEN format(' LOCALE_PROVIDER builtin BUILTIN_LOCALE %L', locale)
    ELSE ' LOCALE_PROVIDER libc' END
  FROM pg_database d,
    coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale') AS locale
  WHERE datname = current_database()"""

_MAY_CREATE: Final = "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
# What is set for the role holds in a scratch database too, and could keep it from being built.
_PLAIN: Final = ("default_transaction_read_only = off", "search_path = public")

# A connection that ended while nothing was asked on it.
_GONE: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


class NoScratch(MigrationError):
    """No scratch database could be made; the message says why."""


async def expected_snapshot(url: str, revision: str) -> Snapshot:
    """Return the schema that this image's revisions build up to ``revision``, on this server.

    Raises NoScratch, or MigrationError when the migrations themselves fail.
    """
    growing = _GROWING.get()
    if growing is not None and (grown := await growing.snapshot(url, revision)):
        return grown
    async with scratch_database(url) as built:
        return await _build(built, revision)


async def _build(url: str, revision: str) -> Snapshot:
    await upgrade(url, revision, say=discard_line)
    async with open_connection(url) as connection:
        # What is set for a role holds in every database, also here; it is never expected.
        schema = await read_snapshot(connection)
        none: dict[str, Traits] = {"setting": {}, "search_path": {}, "shadow": {}}
        return replace(schema, replication={}, traits={**schema.traits, **none})


@asynccontextmanager
async def growing_scratch(url: str) -> AsyncIterator[None]:
    """Let the schemas that are expected within grow in one scratch database, oldest first.

    A release of many revisions looks after each of them, and would build all before it anew.
    """
    async with AsyncExitStack() as stack:
        token = _GROWING.set(_GrowingScratch(url, stack))
        try:
            yield
        finally:
            _GROWING.reset(token)


class _GrowingScratch:
    """The scratch database of one run: made when it is needed, and taken on from there.

    ``_snapshots`` holds what was read so far; the database is at the last of them.
    """

    def __init__(self, url: str, stack: AsyncExitStack) -> None:
        self._url, self._stack = url, stack
        self._built: str | None = None
        self._snapshots: dict[str, Snapshot] = {}
        self._is_lost = False

    async def snapshot(self, url: str, revision: str) -> Snapshot | None:
        """Return the schema at a revision; None where it cannot be built here."""
        if url != self._url or self._is_lost:
            return None
        if revision not in self._snapshots and self._leads_to(revision):
            try:
                if self._built is None:
                    self._built = await self._stack.enter_async_context(self._scratch())
                self._snapshots[revision] = await _build(self._built, revision)
            except (*_GONE, MigrationError):  # a database of its own tells whose fault it is
                self._is_lost = True
        return self._snapshots.get(revision)

    def _leads_to(self, revision: str) -> bool:
        order = names()
        last = next(reversed(self._snapshots), None)
        return revision in order and (
            last is None or (last in order and order.index(last) < order.index(revision))
        )

    @asynccontextmanager
    async def _scratch(self) -> AsyncIterator[str]:
        with suppress(*_GONE):  # what is left behind the next run drops
            async with scratch_database(self._url) as built:
                yield built


_GROWING: ContextVar[_GrowingScratch | None] = ContextVar("growing scratch", default=None)


@asynccontextmanager
async def scratch_database(url: str) -> AsyncIterator[str]:
    """Create an empty database on the server of ``url``; drop it at the end. Raises NoScratch."""
    number = secrets.randbelow(2**31)
    async with open_connection(url) as keeper:
        await keeper.execute("SET default_transaction_read_only = off")
        await keeper.execute(f"SELECT pg_advisory_lock({_LOCKS}, {number})")
        for row in await keeper.fetch(_LEFTOVERS):
            await _drop(keeper, row["datname"])
        name = await _create(keeper, f"{PREFIX}{number}")
        try:
            for setting in _PLAIN:
                await keeper.execute(f"ALTER ROLE CURRENT_USER IN DATABASE {name} SET {setting}")
            yield sibling_url(url, name)
        finally:
            await _drop(keeper, name)


def sibling_url(url: str, database: str) -> str:
    """Return the URL of another database on the same server, everything else as it was given.

    Of a repeated member the last counts, and a ``dbname`` wins over the path.
    """
    bare = url.strip(" \t\r\n\"'`")
    return f"{bare}{'&' if '?' in bare else '?'}dbname={database}"


async def refuse_without_right(url: str) -> None:
    """Raise NoScratch if the role may not create databases."""
    async with open_connection(url) as connection:
        if not await connection.fetchval(_MAY_CREATE):
            raise await _no_scratch(connection)


async def _no_scratch(connection: asyncpg.Connection) -> NoScratch:
    role = await connection.fetchval("SELECT quote_ident(current_user)")
    return NoScratch(
        "What the revisions build is read from a scratch database, a release is rehearsed in one, "
        f"and the role may not create any: let an administrator run ALTER ROLE {role} CREATEDB."
    )


async def _create(keeper: asyncpg.Connection, name: str) -> str:
    # template0: nobody is connected to it, and nothing was ever added to it.
    try:
        like_live = await keeper.fetchval(_LIKE_LIVE)
        await keeper.execute(f"CREATE DATABASE {name} TEMPLATE template0 {like_live}")
    except asyncpg.InsufficientPrivilegeError as refused:
        raise await _no_scratch(keeper) from refused
    guard.note_made(name)
    return name


async def _drop(keeper: asyncpg.Connection, name: str) -> None:
    guard.note_dropped(name)
    await keeper.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

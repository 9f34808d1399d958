"""The listener: it hears, it notices that it hears nothing any more, and it comes back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
import structlog

from app.database.url import DatabaseUrl
from app.live.feed.listener import Listener, Pulse
from tests.legacy import connected
from tests.support import databases
from tests.support.live import KILL, QUICK

CHANNEL = "signalbook_test_channel"


async def say(url: str, payload: str) -> None:
    await databases.execute(url, "SELECT pg_notify($1, $2)", CHANNEL, payload)


class Heard:
    """A listener that keeps what it hears, and how often it connected."""

    def __init__(self, url: DatabaseUrl, pulse: Pulse = QUICK) -> None:
        self.listener = Listener(url, pulse)
        self.payloads: asyncio.Queue[str] = asyncio.Queue()
        self.connects: asyncio.Queue[int] = asyncio.Queue()
        self.listener.listen(CHANNEL, self.payloads.put_nowait)
        self.listener.on_connect(self._connected)

    async def _connected(self, connection: asyncpg.Connection) -> None:
        self.connects.put_nowait(connection.get_server_pid())

    async def next(self) -> str:
        return await asyncio.wait_for(self.payloads.get(), 60)

    async def connect(self) -> int:
        pid = await asyncio.wait_for(self.connects.get(), 60)
        await asyncio.wait_for(self.listener.listening.wait(), 60)
        return pid


class Wire:
    """A way to the server that can be cut, and that can fall silent without being cut."""

    def __init__(self, url: str) -> None:
        self._to = DatabaseUrl.parse(url).connect_args()
        self.silent = asyncio.Event()
        self.flows = asyncio.Event()
        self.flows.set()
        self._open: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def laid(self) -> AsyncIterator[DatabaseUrl]:
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            given = self._to
            words = f"postgresql://{given['user']}:{given.get('password') or 'none'}@127.0.0.1"
            yield DatabaseUrl.parse(f"{words}:{port}/{given['database']}?sslmode=disable")
        finally:
            server.close()
            for writer in self._open:
                writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = str(self._to["host"]), self._to["port"]
        if host.startswith("/"):
            far = await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        else:
            far = await asyncio.open_connection(host, port)
        self._open |= {writer, far[1]}
        await asyncio.gather(self._pipe(reader, far[1]), self._pipe(far[0], writer))

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65_536):
            await self.flows.wait()
            writer.write(piece)
        writer.close()


async def test_what_is_announced_is_heard_in_order(shared_database: str) -> None:
    heard = Heard(DatabaseUrl.parse(shared_database))
    async with heard.listener.running():
        await heard.connect()
        assert heard.listener.listening.is_set()
        for word in ("a", "b", "c"):
            await say(shared_database, word)
        assert [await heard.next() for _ in range(3)] == ["a", "b", "c"]
    assert not heard.listener.listening.is_set()


async def test_a_killed_backend_is_noticed_at_once_and_replaced(own_database: str) -> None:
    """Long before the next sign of life is due."""
    heard = Heard(DatabaseUrl.parse(own_database), Pulse(every=60, first=0.02, longest=0.2))
    async with heard.listener.running():
        first = await heard.connect()
        with structlog.testing.capture_logs() as lines:
            for _ in range(3):
                await databases.execute(own_database, KILL)
                assert await heard.connect() != first
            await say(own_database, "back")
            assert await heard.next() == "back"
        assert [line["event"] for line in lines] == ["listener lost", "listener back"] * 3


async def test_a_silent_network_is_noticed(own_database: str) -> None:
    wire = Wire(own_database)
    async with wire.laid() as url:
        heard = Heard(url, Pulse(every=0.1, within=1.5, first=0.02, longest=0.1))
        async with heard.listener.running():
            await heard.connect()
            wire.flows.clear()
            async with asyncio.timeout(60):
                while heard.listener.listening.is_set():  # noqa: ASYNC110  # it tells no event
                    await asyncio.sleep(0.01)
            wire.flows.set()
            await heard.connect()
            await say(own_database, "again")
            assert await heard.next() == "again"


async def test_a_database_that_is_away_is_waited_for_with_one_line(
    monkeypatch: pytest.MonkeyPatch, own_database: str
) -> None:
    heard = Heard(DatabaseUrl.parse(own_database))
    tries, connect = asyncio.Queue[None](), asyncpg.connect
    away = True

    async def attempted(**arguments: Any) -> Any:
        if arguments.get("server_settings", {}).get("application_name") != "signalbook-listener":
            return await connect(**arguments)
        tries.put_nowait(None)
        if away:
            raise ConnectionRefusedError
        return await connect(**arguments)

    monkeypatch.setattr(asyncpg, "connect", attempted)
    with structlog.testing.capture_logs() as lines:
        async with heard.listener.running():
            for _ in range(4):
                await asyncio.wait_for(tries.get(), 60)
            assert not heard.listener.listening.is_set()
            away = False
            await heard.connect()
    assert [line["event"] for line in lines] == ["listener lost", "listener back"]


async def test_what_is_taken_on_connecting_lasts_as_long_as_the_connection(
    own_database: str,
) -> None:
    """So a lock of the session tells others that this process lives."""
    listener = Listener(DatabaseUrl.parse(own_database), QUICK)
    taken: asyncio.Queue[None] = asyncio.Queue()

    async def lock(connection: asyncpg.Connection) -> None:
        await connection.execute("SELECT pg_advisory_lock(4711)")
        taken.put_nowait(None)

    listener.on_connect(lock)
    held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711"
    async with connected(own_database) as looking:
        async with listener.running():
            await asyncio.wait_for(taken.get(), 60)
            assert await looking.fetchval(held) == 1
            await looking.execute(KILL)
            await asyncio.wait_for(taken.get(), 60)
            assert await looking.fetchval(held) == 1
        async with asyncio.timeout(60):
            while await looking.fetchval(held):  # noqa: ASYNC110  # a server tells no event
                await asyncio.sleep(0.01)


async def test_a_connection_on_which_something_failed_is_not_kept(own_database: str) -> None:
    heard = Heard(DatabaseUrl.parse(own_database))
    fails = [True, True, False]

    async def sometimes(_: asyncpg.Connection) -> None:
        if fails.pop(0):
            raise RuntimeError

    heard.listener.on_connect(sometimes)
    async with heard.listener.running():
        await asyncio.wait_for(heard.listener.listening.wait(), 60)
        assert not fails
        mine = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        mine += "AND application_name = 'signalbook-listener'"
        assert await databases.column(own_database, mine) == [1]

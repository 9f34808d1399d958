"""Our own lending of connections, against a real PostgreSQL and its real failures."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
import pytest

from app.database.pool import ConnectionPool
from app.database.url import DatabaseUrl
from app.errors import DatabaseAway, NotFound
from tests.support import databases

PID = "SELECT pg_backend_pid()"
BACKENDS = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> "
    "pg_backend_pid() AND application_name = 'lent'"
)
KILL = f"SELECT pg_terminate_backend(pid) FROM ({BACKENDS}) AS ours"


class Opening:
    """Opens connections, and counts; ``refusing`` stands for a server that is away."""

    def __init__(self, url: str) -> None:
        self._arguments = DatabaseUrl.parse(url).connect_args()
        self.opened, self.refusing = 0, False

    async def __call__(self) -> asyncpg.Connection:
        if self.refusing:
            raise ConnectionRefusedError
        settings = {**self._arguments.get("server_settings", {}), "application_name": "lent"}
        made: asyncpg.Connection = await asyncpg.connect(
            **{**self._arguments, "server_settings": settings, "command_timeout": 5}
        )
        self.opened += 1
        return made


@asynccontextmanager
async def lending(
    url: str, size: int, wait: float = 5.0, **how: Any
) -> AsyncIterator[tuple[ConnectionPool, Opening]]:
    opening = Opening(url)
    connections = ConnectionPool(opening, size, wait, **how)
    try:
        yield connections, opening
    finally:
        await connections.close(0.2)


async def pid(connections: ConnectionPool) -> int:
    async with connections.connection() as connection:
        return int(await connection.fetchval(PID))


async def backends(url: str, count: int) -> None:
    """Wait until so many of ours are left in the server."""
    async with asyncio.timeout(60):
        while len(await databases.column(url, BACKENDS)) != count:  # noqa: ASYNC110  # no event
            await asyncio.sleep(0.01)


async def in_line(connections: ConnectionPool, count: int) -> list[asyncio.Task[int]]:
    """Start so many who wait, in this order."""
    waiting = []
    for _ in range(count):
        waiting.append(asyncio.create_task(pid(connections)))
        await asyncio.sleep(0)
    return waiting


async def test_nothing_is_opened_before_it_is_needed(own_database: str) -> None:
    async with lending(own_database, 4) as (connections, opening):
        assert opening.opened == 0
        await pid(connections)
        await pid(connections)
        assert opening.opened == 1


async def test_the_one_used_last_is_lent_first(own_database: str) -> None:
    async with lending(own_database, 3) as (connections, _):
        lent = [await connections.acquire() for _ in range(3)]
        for connection in lent:
            connections.release(connection)
        assert [connections.take_idle() for _ in range(3)] == lent[::-1]
        for connection in lent:
            connections.release(connection)


async def test_who_waits_longest_is_served_first(own_database: str) -> None:
    async with lending(own_database, 1) as (connections, opening):
        served: list[int] = []

        async def use(number: int) -> None:
            async with connections.connection() as connection:
                await connection.fetchval(PID)
                served.append(number)

        async with connections.connection():
            tasks = [asyncio.create_task(use(number)) for number in range(8)]
            await asyncio.sleep(0)
        # One that comes when a connection is given back must not overtake the line.
        tasks.append(asyncio.create_task(use(8)))
        await asyncio.gather(*tasks)
        assert served == list(range(9))
        assert opening.opened == 1


async def test_who_waits_too_long_is_told_and_nothing_is_lost(own_database: str) -> None:
    async with lending(own_database, 1, wait=0.05) as (connections, opening):
        async with connections.connection():
            with pytest.raises(TimeoutError):
                await connections.acquire()
        await pid(connections)
        assert opening.opened == 1


@pytest.mark.parametrize("served", ["with a connection", "with a place"])
async def test_one_who_gives_up_in_the_moment_it_is_served_passes_it_on(
    own_database: str, served: str
) -> None:
    async with lending(own_database, 1) as (connections, opening):
        held = await connections.acquire()
        first, second = await in_line(connections, 2)
        unsound = TimeoutError() if served == "with a place" else None
        connections.release(held, unsound)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert await second
        assert opening.opened == (2 if unsound else 1)
        await pid(connections)
        assert opening.opened == (2 if unsound else 1)


async def test_one_who_gave_up_before_is_passed_over(own_database: str) -> None:
    async with lending(own_database, 1) as (connections, _):
        held = await connections.acquire()
        first, second = await in_line(connections, 2)
        first.cancel()
        connections.release(held)
        assert await second
        assert first.cancelled()


async def test_a_connect_that_fails_frees_its_place(own_database: str) -> None:
    async with lending(own_database, 1) as (connections, opening):
        opening.refusing = True
        answers = await asyncio.gather(
            *(connections.acquire() for _ in range(5)), return_exceptions=True
        )
        assert [type(answer) for answer in answers] == [ConnectionRefusedError] * 5
        opening.refusing = False
        assert await pid(connections)


ENDINGS = {
    "a refusal of PostgreSQL": (asyncpg.DivisionByZeroError, True),
    "an error of ours": (NotFound, True),
    "a value that does not fit": (asyncpg.DataError, True),
    "a cancelled statement": (asyncpg.QueryCanceledError, False),
    "a timeout": (TimeoutError, False),
    "an error of nobody": (ZeroDivisionError, False),
}


@pytest.mark.parametrize("ending", ENDINGS)
async def test_what_a_use_ended_in_decides_whether_it_is_lent_again(
    own_database: str, ending: str
) -> None:
    kind, kept = ENDINGS[ending]
    async with lending(own_database, 2) as (connections, opening):
        before = await pid(connections)
        with pytest.raises(kind):
            async with connections.connection() as connection:
                await _ended(connection, ending)
        assert (await pid(connections) == before) is kept
        assert opening.opened == (1 if kept else 2)
        await backends(own_database, 1)


async def _ended(connection: asyncpg.Connection, ending: str) -> None:
    match ending:
        case "a refusal of PostgreSQL":
            await connection.fetchval("SELECT 1 / 0")
        case "an error of ours":
            raise NotFound("gone")
        case "a value that does not fit":
            await connection.fetchval("SELECT $1::int", 2**40)
        case "a cancelled statement":
            await connection.execute("SET statement_timeout = 20")
            await connection.fetchval("SELECT pg_sleep(10)")
        case "a timeout":
            # The server may sleep it out: the cancelling goes with the connection.
            await connection.fetchval("SELECT pg_sleep(2)", timeout=0.05)
        case _:
            raise ZeroDivisionError


async def test_a_request_that_is_cancelled_takes_its_connection_with_it(own_database: str) -> None:
    async def sleep(connections: ConnectionPool) -> None:
        async with connections.connection() as connection:
            began.set()
            await connection.fetchval("SELECT pg_sleep(30)")

    async with lending(own_database, 1) as (connections, opening):
        began = asyncio.Event()
        sleeper = asyncio.create_task(sleep(connections))
        await began.wait()
        (waiting,) = await in_line(connections, 1)
        sleeper.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sleeper
        assert await waiting
        assert opening.opened == 2


async def test_an_open_transaction_is_never_lent_on(own_database: str) -> None:
    async with lending(own_database, 1) as (connections, opening):
        async with connections.connection() as connection:
            await connection.execute("BEGIN")
        async with connections.connection() as connection:
            assert not connection.is_in_transaction()
        assert opening.opened == 2


async def test_connections_that_died_idle_cost_no_request(own_database: str) -> None:
    async with lending(own_database, 4) as (connections, opening):
        for connection in [await connections.acquire() for _ in range(4)]:
            connections.release(connection)
        await databases.execute(own_database, KILL)
        await backends(own_database, 0)
        async with asyncio.timeout(60):
            while not all(  # noqa: ASYNC110  # the driver tells no event
                lent.is_closed()
                for lent, _ in connections._idle  # noqa: SLF001  # what waits there
            ):
                await asyncio.sleep(0.01)
        assert await pid(connections)
        assert opening.opened == 5
        await backends(own_database, 1)


async def test_one_that_dies_in_use_takes_the_idle_ones_along(own_database: str) -> None:
    async with lending(own_database, 3) as (connections, opening):
        used, *others = [await connections.acquire() for _ in range(3)]
        for connection in others:
            connections.release(connection)
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            await used.fetchval("SELECT pg_terminate_backend(pg_backend_pid())")
        connections.release(used)
        await backends(own_database, 0)
        assert await pid(connections)
        assert opening.opened == 4


async def test_those_that_nobody_used_are_closed_the_busiest_last(own_database: str) -> None:
    async with lending(own_database, 3, idle=0.3) as (connections, opening):
        lent = [await connections.acquire() for _ in range(3)]
        for connection in lent:
            connections.release(connection)
        busy = await pid(connections)
        ended = asyncio.create_task(backends(own_database, 1))
        while not ended.done():
            assert await pid(connections) == busy
            await asyncio.sleep(0.02)
        await ended
        await backends(own_database, 0)
        assert opening.opened == 3


async def test_closing_refuses_who_waits_and_lets_end_what_runs(own_database: str) -> None:
    async with lending(own_database, 2) as (connections, _):
        async with connections.connection() as first, connections.connection() as second:
            (waiting,) = await in_line(connections, 1)
            running = asyncio.create_task(first.fetchval("SELECT pg_sleep(0.2), 7", column=1))
            closing = asyncio.create_task(connections.close(5))
            with pytest.raises(DatabaseAway):
                await waiting
            with pytest.raises(DatabaseAway):
                await connections.acquire()
            assert await running == 7
            assert await second.fetchval("SELECT 1") == 1
            assert not closing.done()
        await closing
        await backends(own_database, 0)


async def test_closing_ends_what_runs_too_long(own_database: str) -> None:
    async with lending(own_database, 1) as (connections, _):
        connection = await connections.acquire()
        running = asyncio.create_task(connection.fetchval("SELECT pg_sleep(30)"))
        await asyncio.sleep(0)
        await connections.close(0.1)
        with pytest.raises(asyncpg.ConnectionDoesNotExistError):
            await running
        connections.release(connection)
        assert connection.is_closed()


@pytest.mark.parametrize("seed", range(3))
async def test_chaos_leaks_nothing(own_database: str, seed: int) -> None:
    """Hundreds come, many give up at any moment: never too many, and all is lent again."""
    chance = random.Random(seed)  # noqa: S311  # chaos is no secret
    most = 0

    async def use(connections: ConnectionPool) -> None:
        nonlocal most
        async with connections.connection() as connection:
            most = max(most, len(connections._open))  # noqa: SLF001  # must never exceed the size
            await connection.fetchval("SELECT pg_sleep($1)", chance.random() / 500)

    async with lending(own_database, 4) as (connections, _):
        tasks = []
        for _ in range(300):
            tasks.append(asyncio.create_task(use(connections)))
            if chance.random() < 0.5:
                await asyncio.sleep(chance.random() / 300)
            if chance.random() < 0.4:
                chance.choice(tasks).cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(end) for end in ended} <= {type(None), asyncio.CancelledError}
        assert most <= 4
        every = [await connections.acquire() for _ in range(4)]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await connections.acquire()
        for connection in every:
            assert await connection.fetchval("SELECT 1") == 1
            connections.release(connection)
        await backends(own_database, 4)


async def test_one_that_falls_silent_takes_the_idle_ones_along(own_database: str) -> None:
    """A network that swallows everything says so to nobody; the next one would wait as long."""
    async with lending(own_database, 3) as (connections, opening):
        async with connections.connection(), connections.connection(), connections.connection():
            pass
        with suppress(TimeoutError):
            async with connections.connection():
                raise TimeoutError
        await backends(own_database, 0)
        assert await pid(connections)
        assert opening.opened == 4

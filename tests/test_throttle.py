"""Guessing is throttled by address and by token, over all processes; the right token gets in."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import pytest
from pydantic import SecretStr

from app.access import tokens
from app.access.caller import Role
from app.access.peppers import Peppers
from app.access.refusals.throttle import FORGET_COUNTS, Throttle, ThrottleLimits
from app.access.refusals.token_lookups import TokenLookups
from app.errors import Busy, TooManyRefusals
from app.releases.connection.open_connection import open_connection
from tests.support import databases
from tests.support.processes import plain
from tests.support.service import service, settings
from tests.support.sockets import refused as refused_socket
from tests.support.sockets import tab
from tests.test_writer import opened

FEW = ThrottleLimits(refusals=5, shared=2, pause=0.01)
HOME, AWAY = "203.0.113.7", "198.51.100.9"


def refused(throttle: Throttle, times: int, address: str = HOME, key: str | None = None) -> int:
    """Send wrong credentials; return how many were throttled."""
    waits = []
    for _ in range(times):
        try:
            throttle.refuse(address, key)
        except TooManyRefusals as error:
            waits.append(int(error.headers["retry-after"]))
    assert all(1 <= seconds <= FEW.window for seconds in waits)
    return len(waits)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await holds():  # noqa: ASYNC110  # neither the database nor a throttle tells
            await asyncio.sleep(0.01)


@asynccontextmanager
async def throttles(url: str, count: int, limits: ThrottleLimits = FEW) -> AsyncIterator[Any]:
    """Run as many processes' throttles."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(opened(url))
        all_of_them = [Throttle(limits) for _ in range(count)]
        for throttle in all_of_them:
            await stack.enter_async_context(throttle.running(database))
        yield all_of_them


def test_an_address_is_throttled_and_no_other() -> None:
    throttle = Throttle(FEW)
    assert refused(throttle, 8) == 3
    assert refused(throttle, 1, AWAY) == 0


def test_a_customers_ipv6_addresses_are_one() -> None:
    throttle = Throttle(FEW)
    assert sum(refused(throttle, 1, f"2001:db8:1:2::{n}") for n in range(1, 9)) == 3
    assert refused(throttle, 1, "2001:db8:1:3::1") == 0


def test_a_token_is_throttled_wherever_it_is_tried() -> None:
    throttle = Throttle(FEW)
    assert sum(refused(throttle, 1, f"10.0.0.{n}", "known") for n in range(8)) == 3
    assert refused(throttle, 1, "10.0.1.1", "another") == 0


def test_it_ends_with_its_window(monkeypatch: pytest.MonkeyPatch) -> None:
    throttle, now = Throttle(FEW), 1_000.0
    monkeypatch.setattr("app.access.refusals.throttle.time.monotonic", lambda: now)
    assert refused(throttle, 8) == 3
    now += FEW.window
    assert refused(throttle, 5) == 0


def test_its_memory_is_bounded() -> None:
    throttle = Throttle(ThrottleLimits(most=10))
    for n in range(1_000):
        throttle.refuse(f"10.0.{n // 250}.{n % 250}")
    assert len(throttle._buckets) == 10  # noqa: SLF001  # nothing else tells


async def test_processes_count_together(own_database: str) -> None:
    async with throttles(own_database, 3) as (one, two, three):
        assert refused(one, 6) == 1
        await until(lambda: is_stored(own_database, 6))
        # Each notices with its second refusal, long before its own sixth.
        for other in (two, three):
            assert refused(other, 2) == 0
            await until(partial(is_throttled, other))
            assert refused(other, 1, AWAY) == 0


async def is_throttled(throttle: Throttle) -> bool:
    return refused(throttle, 1) == 1


async def is_stored(url: str, least: int) -> bool:
    [count] = await databases.column(url, "SELECT coalesce(sum(refusals), 0) FROM access_counts")
    return int(str(count)) >= least


async def test_a_flood_costs_few_statements_and_one_mistake_none(own_database: str) -> None:
    statements: list[str] = []
    limits = ThrottleLimits(refusals=5, shared=2, pause=0.2)
    async with opened(own_database) as database:
        connect = database.connection

        @asynccontextmanager
        async def counted() -> AsyncIterator[Any]:
            statements.append("one")
            async with connect() as connection:
                yield connection

        database.connection = counted  # type: ignore[method-assign]  # counts its uses
        throttle = Throttle(limits)
        async with throttle.running(database):
            refused(throttle, 1, AWAY)
            for n in range(2_000):
                refused(throttle, 1, f"10.0.0.{n % 50}")
                if n % 50 == 0:
                    await asyncio.sleep(0)
            await until(lambda: is_stored(own_database, 2_000))
    assert len(statements) <= 10
    stored = await databases.column(own_database, "SELECT bucket FROM access_counts")
    assert f"address {AWAY}" not in stored


async def test_counts_that_are_over_are_removed(own_database: str) -> None:
    await databases.execute(
        own_database,
        "INSERT INTO access_counts SELECT 'old ' || n, 5, now() - interval '1 s' "
        "FROM generate_series(1, 3) AS n UNION ALL SELECT 'new', 5, now() + interval '1 hour'",
    )
    assert await databases.column(own_database, FORGET_COUNTS) == [3]
    assert await databases.column(own_database, "SELECT bucket FROM access_counts") == ["new"]


async def test_tokens_are_looked_up_together() -> None:
    asked: list[list[str]] = []
    go = asyncio.Event()

    async def find(keys: Sequence[str]) -> dict[str, str]:
        asked.append(list(keys))
        await go.wait()
        return {"right": "its row"}

    lookups = TokenLookups(find)
    first = asyncio.create_task(lookups.row("first"))
    await asyncio.sleep(0)
    others = [asyncio.create_task(lookups.row(f"wrong {n}")) for n in range(150)]
    right = [asyncio.create_task(lookups.row("right")) for _ in range(2)]
    await asyncio.sleep(0)
    others[0].cancel()
    go.set()
    assert await asyncio.gather(*right) == ["its row"] * 2
    assert await asyncio.gather(first, *others[1:]) == [None] * 150
    assert [len(keys) for keys in asked] == [1, 151]


async def test_a_look_up_that_fails_tells_all_and_the_next_one_is_new() -> None:
    async def fail(_: Sequence[str]) -> dict[str, str]:
        raise Busy("x")

    lookups = TokenLookups(fail)
    for _ in range(2):
        found = await asyncio.gather(*map(lookups.row, "abc"), return_exceptions=True)
        assert [type(error) for error in found] == [Busy] * 3


WRONG = [f"sb_{n:016}.{'x' * 43}" for n in range(300)]
CREW = "a-token-for-the-crew"
PEPPERS = SecretStr(f"one:{'p' * 32}")


async def test_a_flood_is_refused_cheaply_and_who_has_a_token_gets_in(own_database: str) -> None:
    new = tokens.NewToken("Ann's laptop", "ann", "Ann", Role.EDITOR, "the tests")
    async with open_connection(own_database) as connection:
        own = await tokens.create(connection, Peppers(settings(token_peppers=PEPPERS)), new)
    limits = {"refusals_per_minute": 20, "trusted_proxies": ("127.0.0.1",)}
    guards = {"access_token": SecretStr(CREW), "token_peppers": PEPPERS}
    with service(own_database, **limits, **guards) as client:
        database, asked = client.service_app.state.database, []
        find = database.rows

        async def counted(*args: Any) -> Any:
            asked.append(args)
            return await find(*args)

        database.rows = counted
        async with plain(base_url=str(client.base_url), timeout=60) as flood:

            async def status(token: str, address: str = HOME) -> int:
                headers = {"authorization": f"Bearer {token}", "x-forwarded-for": address}
                answer = await flood.get("/api/productions", headers=headers)
                if answer.status_code == 429:
                    assert answer.json()["code"] == "TOO_MANY_REFUSALS"
                    assert 1 <= int(answer.headers["retry-after"]) <= 60
                return answer.status_code

            first = [await status(token) for token in WRONG[:30]]
            assert first == [401] * 20 + [429] * 10
            asked.clear()
            start_time = time.monotonic()
            everybody = [*map(status, WRONG), status(own), status(CREW)]
            *guesses, mine, crew = await asyncio.gather(*everybody)
            assert (set(guesses), mine, crew) == ({429}, 200, 200)
            assert len(asked) <= 20 * (time.monotonic() - start_time) + 5
            assert await status(WRONG[0], AWAY) == 401
        headers = {"x-forwarded-for": HOME}
        root, auth = str(client.base_url), {"token": WRONG[0]}
        told, _ = await refused_socket(root, auth=auth, headers=headers)
        assert told["data"]["code"] == "TOO_MANY_REFUSALS"
        async with tab(root, auth={"token": own}, headers=headers):
            pass

"""Trimming the log: the oldest go, never with a hole, in small batches, and no merge is misled."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx
import pytest
import structlog

from app.database.database import Database
from app.database.url import DatabaseUrl
from app.model.entity import Row
from app.retention import Retention
from tests.legacy import connected
from tests.support import databases
from tests.support.bodies import REPRESENTATIVES, SCOPED, minimal, named
from tests.support.service import created, service
from tests.test_writer import opened

every = pytest.mark.parametrize("entity", REPRESENTATIVES, ids=named)
# Makes the entries up to a number older than all others, by so many days.
AGE = "UPDATE changes SET at = at - $3 * interval '1 day' WHERE production_uuid = $1 AND seq <= $2"
LEFT = "SELECT seq FROM changes WHERE production_uuid = $1 ORDER BY seq"
TRIMMING = "SELECT pg_advisory_lock(7305791, 3)"


def retention(database: Database, *, batch: int = 1_000, days: int = 30) -> Retention:
    return Retention(database, days, first=0, every=0.01, pause=0, batch=batch)


async def trim(url: str, **limits: int) -> int:
    async with opened(url) as database:
        return await retention(database, **limits).trim()


async def age(url: str, show: dict[str, Any], upto: int, days: int = 31) -> None:
    await databases.execute(url, AGE, show["uuid"], upto, days)


@pytest.fixture
def serving(own_database: str) -> Iterator[httpx.Client]:
    with service(own_database) as client:
        yield client


def filled(client: httpx.Client, rows: int) -> dict[str, Any]:
    """Make a show whose log has one entry more than it has rows."""
    show = created(client, "productions", name="A show")
    for n in range(rows):
        created(client, "ccus", productionId=show["uuid"], name=f"CCU {n}")
    return show


@pytest.mark.parametrize("batch", [1, 2, 3, 1_000])
async def test_what_is_too_old_goes_and_the_rest_stays(
    own_database: str, serving: httpx.Client, batch: int
) -> None:
    old, new, empty = filled(serving, 6), filled(serving, 2), filled(serving, 0)
    await age(own_database, old, 5)
    await age(own_database, new, 3, days=29)
    await age(own_database, empty, 1)
    assert await trim(own_database, batch=batch) == 6
    left = [await databases.column(own_database, LEFT, show["uuid"]) for show in (old, new, empty)]
    assert left == [[6, 7], [1, 2, 3], []]
    assert await trim(own_database, batch=batch) == 0


async def test_nothing_behind_an_entry_that_stays_goes(
    own_database: str, serving: httpx.Client
) -> None:
    """A clock that was set back must not tear a hole."""
    show = filled(serving, 4)
    await age(own_database, show, 4)
    later = "UPDATE changes SET at = now() WHERE production_uuid = $1 AND seq = 3"
    await databases.execute(own_database, later, show["uuid"])
    assert await trim(own_database) == 2
    assert await databases.column(own_database, LEFT, show["uuid"]) == [3, 4, 5]


async def test_the_feed_of_a_trimmed_log_goes_on_behind_what_is_gone(
    own_database: str, serving: httpx.Client
) -> None:
    show = filled(serving, 4)
    await age(own_database, show, 3)
    await trim(own_database)
    path = f"/api/productions/{show['uuid']}/changes"
    assert serving.get(path, params={"since": 2}).status_code == 410
    kept = serving.get(path, params={"since": 3}).raise_for_status().json()["changes"]
    assert [entry["seq"] for entry in kept] == [4, 5]
    created(serving, "ccus", productionId=show["uuid"], name="Next")
    assert serving.get(path, params={"since": 5}).json()["changes"][0]["seq"] == 6


@every
async def test_a_merge_after_a_trimming_is_never_given_a_wrong_base(
    own_database: str, serving: httpx.Client, entity: type[Row]
) -> None:
    """Of three edits the first two are forgotten.

    Who started before them meets a conflict, who started behind them merges as ever.
    """
    name, other = next(iter(minimal(entity))), "note" if entity in SCOPED else "venue"
    show = created(serving, "productions", name="A show")
    row = created(serving, entity.collection, productionId=show["uuid"], **minimal(entity))
    owner = row.get("productionUuid", row["uuid"])
    path = f"/api/{entity.collection}/{row['uuid']}"
    for version, edit in enumerate(({name: "A"}, {name: row[name]}, {other: "C"}), 1):
        serving.put(path, json={**edit, "version": version}).raise_for_status()
    [seq] = await databases.column(
        own_database, "SELECT max(seq) - 1 FROM changes WHERE production_uuid = $1", owner
    )
    await age(own_database, {"uuid": owner}, int(str(seq)))
    assert await trim(own_database) == seq
    mine = {name: "Mine"}
    for version in (1, 2):
        answer = serving.put(path, json={**mine, "version": version})
        assert answer.status_code == 409
        [conflict] = answer.json()["conflicts"]
        assert (conflict["fieldName"], conflict["baseValue"]) == (name, None)
    after = serving.put(path, json={**mine, "version": 3}).raise_for_status().json()
    assert (after[name], after[other]) == ("Mine", "C")


async def test_one_process_trims_at_a_time(own_database: str, serving: httpx.Client) -> None:
    show = filled(serving, 2)
    await age(own_database, show, 2)
    async with connected(own_database) as elsewhere:
        await elsewhere.execute(TRIMMING)
        assert await trim(own_database) == 0
    assert await trim(own_database) == 2
    await age(own_database, show, 3)
    assert await trim(own_database) == 1, "nobody has kept the lock"


async def test_no_writer_waits_for_it_nor_it_for_a_writer(
    own_database: str, serving: httpx.Client
) -> None:
    show = filled(serving, 2)
    await age(own_database, show, 2)
    async with connected(own_database) as writer, writer.transaction():
        await writer.execute("SELECT FROM productions WHERE uuid = $1 FOR UPDATE", show["uuid"])
        async with asyncio.timeout(60):
            assert await trim(own_database) == 2


@asynccontextmanager
async def trimming(url: str) -> AsyncIterator[None]:
    async with opened(url) as database, retention(database).running():
        yield


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not happened():  # noqa: ASYNC110  # a log line sets no event
            await asyncio.sleep(0.01)


async def until_left(url: str, show: dict[str, Any], numbers: list[int]) -> None:
    async with asyncio.timeout(60):
        while (  # noqa: ASYNC110  # the database tells no event
            await databases.column(url, LEFT, show["uuid"]) != numbers
        ):
            await asyncio.sleep(0.01)


async def test_it_trims_in_the_background_and_says_so_in_one_line(
    own_database: str, serving: httpx.Client
) -> None:
    show = filled(serving, 3)
    await age(own_database, show, 2)
    with structlog.testing.capture_logs() as said:
        async with trimming(own_database):
            await until_left(own_database, show, [3, 4])
    told = [line for line in said if line["event"] == "log trimmed"]
    assert [(line["entries"], line["older_than_days"]) for line in told] == [(2, 30)]


async def test_it_survives_a_database_that_is_away(
    own_database: str, serving: httpx.Client
) -> None:
    show = filled(serving, 3)
    await age(own_database, show, 2)
    away = "ALTER TABLE changes RENAME TO away"
    await databases.execute(own_database, away)
    async with trimming(own_database):
        with structlog.testing.capture_logs() as said:
            await until(lambda: bool(said))
        assert "cannot trim" in said[0]["reason"]
        await databases.execute(own_database, "ALTER TABLE away RENAME TO changes")
        await until_left(own_database, show, [3, 4])


async def test_it_survives_that_nothing_answers_and_stops_at_once() -> None:
    nowhere = DatabaseUrl.parse("postgresql://nobody@127.0.0.1:1/none")
    async with opened(nowhere.sqlalchemy_url()) as database:
        with structlog.testing.capture_logs() as said:
            async with retention(database).running():
                await until(lambda: len(said) >= 2)
    reasons = [line["reason"] for line in said]
    assert reasons[0] == "cannot trim the log: DatabaseAway"
    assert all(reason.startswith("cannot ") for reason in reasons)
    assert all(reason.endswith(": DatabaseAway") for reason in reasons)


@pytest.mark.parametrize("days", [0, 30])
def test_the_service_trims_only_where_it_is_told_to(
    own_database: str, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    trimmed = threading.Event()

    async def trim(_: Retention) -> int:
        trimmed.set()
        return 0

    monkeypatch.setattr(Retention, "trim", trim)
    monkeypatch.setattr("app.main.Retention", partial(Retention, first=0))
    with service(own_database, log_retention_days=days) as client:
        client.get("/livez").raise_for_status()
        assert trimmed.wait(10 if days else 0.1) == bool(days)

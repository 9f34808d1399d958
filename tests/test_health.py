"""Health: 200 only when the service can really serve; the incident replayed."""

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from itertools import zip_longest
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from app.health.check import Checkup, Health
from app.releases.migrations import alembic_runner, revisions
from tests.support import databases
from tests.support.bodies import ALL, minimal
from tests.support.pace import at_most
from tests.support.service import service

TABLES = {entity.collection: str(entity.__tablename__) for entity in ALL}


def test_a_service_that_can_serve_is_healthy(client: httpx.Client) -> None:
    answer = client.get("/health")
    body = answer.json()
    assert answer.status_code == 200
    assert set(body) == {"status", "timestamp", "uptime", "version", "environment", "database",
                         "schema", "resources", "cause", "notes", "live"}  # fmt: skip
    assert body["status"] == "healthy"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", body["timestamp"])
    assert body["environment"] == "test"
    assert (body["cause"], body["notes"]) == (None, [])
    assert body["database"]["connected"] is True
    assert body["database"]["latencyMs"] >= 0
    head = revisions.head()
    assert body["schema"] == {"revision": head, "head": head, "state": "head"}
    assert body["resources"] == dict.fromkeys([*TABLES, "changes", "show", "installation"], "ok")


@pytest.mark.parametrize("collection", TABLES)
async def test_the_incident(own_database: str, collection: str) -> None:
    """A uuid column that no migration made: the migration tool says "up to date", we do not."""
    table = TABLES[collection]
    await databases.execute(own_database, f"ALTER TABLE {table} RENAME COLUMN uuid TO lost")
    with service(own_database) as client:
        answer = client.get("/health")
        body = answer.json()
        assert (answer.status_code, body["status"]) == (503, "unhealthy")
        assert body["schema"]["state"] == "head"
        assert f"{table}.uuid" in body["resources"][collection]
        assert client.get("/livez").status_code == 200
        listed = client.get(
            f"/api/{collection}/production/x" if collection != "productions" else "/api/productions"
        )
        assert (listed.status_code, listed.json()["code"]) == (503, "SCHEMA_MISMATCH")


async def test_every_column_of_every_collection_is_watched(own_database: str) -> None:
    """One of each table is lost at a time; alone, if a table beside it was named instead."""
    query = """SELECT attrelid::regclass::text || '.' || attname FROM pg_attribute
      WHERE attrelid = ANY($1::regclass[]) AND attnum > 0 AND NOT attisdropped ORDER BY 1"""
    named = await databases.column(own_database, query, list(TABLES.values()))
    columns = [str(name).split(".") for name in named]
    by_table = [[c for t, c in columns if t == table] for table in TABLES.values()]
    assert min(len(of_one) for of_one in by_table) > 10
    rounds = [dict(zip(TABLES, row, strict=True)) for row in zip_longest(*by_table)]
    with service(own_database) as client:

        async def unnamed(lost: dict[str, str | None]) -> dict[str, str]:
            gone = {collection: column for collection, column in lost.items() if column}
            there = [(TABLES[collection], column) for collection, column in gone.items()]
            away = [f"ALTER TABLE {t} RENAME COLUMN {c} TO lost" for t, c in there]
            back = [f"ALTER TABLE {t} RENAME COLUMN lost TO {c}" for t, c in there]
            await databases.execute(own_database, ";".join(away))
            answer = client.get("/health")
            await databases.execute(own_database, ";".join(back))
            assert answer.status_code == 503, lost
            said = answer.json()["resources"]
            return {name: column for name, column in gone.items() if column not in said[name]}

        for lost in rounds:
            for collection, column in (await unnamed(lost)).items():
                assert await unnamed({collection: column}) == {}
        assert client.get("/health").status_code == 200


def test_an_unmigrated_database_is_not_healthy(empty_database: str) -> None:
    with service(empty_database) as client:
        answer = client.get("/health")
        body = answer.json()
        assert answer.status_code == 503
        assert body["schema"] == {"revision": None, "head": revisions.head(), "state": "unmigrated"}
        assert "migrations" in body["resources"]["cameras"]
        assert client.get("/livez").status_code == 200
        waited = client.get("/api/health")
        assert waited.status_code == 503
        assert set(waited.json()) == {"status", "timestamp", "server", "version", "message"}
        assert waited.json()["status"] == "unavailable"
        assert "migrations" in waited.json()["message"]


async def test_an_image_that_starts_ungated_serves_nothing_and_migrates_nothing(
    empty_database: str,
) -> None:
    """As on a platform, between making a service and telling it of the gate."""
    production = {"environment": "production", "access_token": SecretStr("a" * 16)}
    with service(empty_database, **production) as client:
        answer = client.get("/health")
        assert (answer.status_code, answer.json()["schema"]["state"]) == (503, "unmigrated")
        assert "python -m app release" in answer.json()["cause"]
        listed = client.get("/api/productions", headers={"authorization": f"Bearer {'a' * 16}"})
        assert (listed.status_code, listed.json()["code"]) == (503, "SCHEMA_MISMATCH")
    tables = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    assert await databases.column(empty_database, tables) == []


async def test_a_schema_behind_what_the_code_needs_is_not_healthy(empty_database: str) -> None:
    before = revisions.history()[revisions.history().index(
        next(r for r in revisions.history() if r.name == revisions.needed())
    ) - 1].name  # fmt: skip
    await alembic_runner.upgrade(empty_database, before, say=lambda _: None)
    with service(empty_database) as client:
        answer = client.get("/health")
        assert (answer.status_code, answer.json()["schema"]["state"]) == (503, "behind")


async def test_the_service_works_from_the_needed_revision_on(empty_database: str) -> None:
    """Contracts may follow weeks later: every type is written and read before them."""
    await alembic_runner.upgrade(empty_database, revisions.needed(), say=lambda _: None)
    with service(empty_database) as client:
        answer = client.get("/health")
        assert (answer.status_code, answer.json()["schema"]["state"]) == (200, "ready")
        production = client.post("/api/productions", json={"name": "x"}).raise_for_status().json()
        for entity in ALL[1:]:
            body = {"productionId": production["id"], **minimal(entity)}
            row = client.post(f"/api/{entity.collection}", json=body).raise_for_status().json()
            path = f"/api/{entity.collection}/{row['uuid']}"
            after = client.put(path, json={"note": "n", "version": 1}).raise_for_status().json()
            assert after["note"] == "n"
            listed = client.get(f"/api/{entity.collection}/production/{production['id']}")
            assert listed.json() == [after]
            client.delete(path).raise_for_status()
        events = client.get(f"/api/productions/{production['id']}/events").json()
        assert len(events) == 1 + 3 * len(ALL[1:])
        await alembic_runner.upgrade(empty_database, "head", say=lambda _: None)
        assert client.get("/health").json()["schema"]["state"] == "head"
        assert client.get("/api/productions").json()[0]["id"] == production["id"]


async def test_a_database_migrated_by_a_newer_version_still_serves(own_database: str) -> None:
    await databases.execute(
        own_database, "UPDATE alembic_version SET version_num = 'from_tomorrow'"
    )
    with service(own_database) as client:
        answer = client.get("/health")
        assert (answer.status_code, answer.json()["schema"]["state"]) == (200, "ahead")


def test_a_database_that_is_away_is_said_in_time_and_without_its_address() -> None:
    url = "postgresql://someone:s3cret@127.0.0.1:1/none"
    with service(url, health_timeout=2.0) as client:
        answer = client.get("/health")
        body = answer.json()
        assert answer.status_code == 503
        assert body["database"] == {"connected": False, "latencyMs": None}
        assert set(body["resources"].values()) == {
            "The database does not answer: try again in a moment."
        }
        assert answer.elapsed.total_seconds() < at_most(3)
        for secret in ("s3cret", "someone", "127.0.0.1"):
            assert secret not in answer.text
        assert client.get("/livez").json()["status"] == "alive"


async def test_many_ask_and_one_examination_answers() -> None:
    asked = 0

    async def examine() -> Health:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.05)
        return Health(connected=True)

    checkup = Checkup(examine, lasts=60)
    await asyncio.gather(*(checkup() for _ in range(50)))
    await checkup()
    assert asked == 1
    brief = Checkup(examine, lasts=0.1)
    await brief()
    await asyncio.sleep(0.15)
    await brief()
    assert asked == 3


def test_fifty_callers_cost_one_connection(own_database: str) -> None:
    with service(own_database, health_cache=30) as client, ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda _: client.get("/health").json(), range(50)))
    assert len({answer["database"]["latencyMs"] for answer in answers}) == 1


def test_the_frontend_asks_whether_and_where(client: httpx.Client) -> None:
    health = client.get("/api/health").json()
    assert health["status"] == "ok"
    assert set(health) == {"status", "timestamp", "server", "version"}
    info: dict[str, Any] = client.get("/api/server/info").json()
    assert set(info) == {"serverName", "port", "addresses", "isLANServer", "uptime"}
    assert info["isLANServer"] is False

"""The service on a database carried over from the older one: awkward rows are served and edited."""

import json

import httpx
import pytest

from app.releases.migrations.alembic_runner import upgrade
from app.releases.migrations.revisions import history, needed
from tests import legacy
from tests.legacy import connected, quiet
from tests.support import databases
from tests.support.bodies import SCOPED, minimal
from tests.support.service import created, service

LIVE = "SELECT uuid::text FROM {table} WHERE production_uuid = $1 AND NOT is_deleted"


@pytest.fixture(params=["before the contracts", "after the contracts"])
async def carried_over(request: pytest.FixtureRequest, empty_database: str) -> str:
    await upgrade(empty_database, history()[0].name, say=quiet)
    async with connected(empty_database) as connection:
        await legacy.populate(connection, 0.1)
    last = needed() if request.param == "before the contracts" else "head"
    await upgrade(empty_database, last, say=quiet)
    return empty_database


async def test_every_row_is_listed_and_every_live_one_can_be_edited(carried_over: str) -> None:
    with service(carried_over) as client:
        productions = client.get("/api/productions").raise_for_status().json()
        live = "SELECT uuid::text FROM productions WHERE NOT is_deleted"
        assert {p["uuid"] for p in productions} == set(await databases.column(carried_over, live))
        for production in productions[:4]:
            await _walk(client, carried_over, production["uuid"])


async def _walk(client: httpx.Client, url: str, production: str) -> None:
    for entity in SCOPED:
        path = f"/api/{entity.collection}"
        listed = client.get(f"{path}/production/{production}")
        rows = listed.raise_for_status().json()
        query = LIVE.format(table=entity.__tablename__)
        assert {row["uuid"] for row in rows} == set(await databases.column(url, query, production))
        for row in rows[:3]:
            assert client.get(f"{path}/{row['uuid']}").raise_for_status().json() == row
            edit = {"note": "carried over", "version": row["version"]}
            after = client.put(f"{path}/{row['uuid']}", json=edit).raise_for_status().json()
            kept = {k: v for k, v in row.items() if k not in CHANGES}
            assert {k: v for k, v in after.items() if k not in CHANGES} == kept
            assert after["version"] == row["version"] + 1
    events = client.get(f"/api/productions/{production}/events?limit=1000").raise_for_status()
    assert json.loads(events.content)


CHANGES = {"note", "version", "updatedAt", "lastModifiedBy", "fieldVersions"}


def test_two_productions_may_count_from_one(carried_over: str) -> None:
    """Before the contracts a label is unique everywhere: then the next free one is given."""
    with service(carried_over) as client:
        shows = [created(client, "productions", name=name)["uuid"] for name in ("a", "b")]
        for entity in SCOPED:
            made = [
                created(client, entity.collection, **minimal(entity, productionId=show))["id"]
                for show in (shows[0], shows[1], shows[1])
            ]
            assert made[1] != made[2]
            taken = minimal(entity, productionId=shows[1], id=made[2])
            again = client.post(f"/api/{entity.collection}", json=taken)
            if entity.allow_duplicate_labels:
                assert again.status_code == 201, again.text
            else:
                assert again.status_code == 409
                assert again.json()["suggestedId"] not in made

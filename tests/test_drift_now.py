"""Drift in the migration status: when it was looked at and by whom, and a look on the spot."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest

from app.releases.connection.open_connection import open_connection
from app.releases.ledger.ledger import Ledger
from app.releases.migrations import revisions
from app.releases.schema.comparison.compare_snapshots import compare
from app.releases.schema.introspection.introspect import read_snapshot
from app.releases.schema.snapshot import Snapshot, from_json
from app.releases.status.recheck import look_at
from app.releases.status.status import status
from tests.support.databases import execute
from tests.support.ledgers import NOON, opened
from tests.support.pace import at_most
from tests.support.service import service
from tests.test_release_words import said

STATUS = "/api/admin/migration-status"
LOOK = {"look": "true"}
BY_HAND = "ALTER TABLE cameras ADD COLUMN lens_cap boolean"


@asynccontextmanager
async def gated(url: str) -> AsyncIterator[Ledger]:
    """Lend the ledger of a database whose gate has stored what should be, and found nothing."""
    async with opened(url) as ledger:
        live = await taken(url)
        should = replace(live, tables={n: t for n, t in live.tables.items() if n[:8] != "release_"})
        fact = {"revision": revisions.head(), "snapshot": should.as_json()}
        await ledger.set_fact("expected", fact)
        await ledger.keep_look(revisions.head(), [], NOON)
        yield ledger


async def taken(url: str) -> Snapshot:
    async with open_connection(url) as connection:
        return await read_snapshot(connection)


async def asked(client: httpx.Client, **parameters: str) -> dict[str, Any]:
    answer = await asyncio.to_thread(client.get, STATUS, params=parameters)
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


async def test_without_look_the_last_look_is_given_with_its_time_and_who(own_database: str) -> None:
    with service(own_database) as client:
        async with gated(own_database):
            await execute(own_database, BY_HAND)
            found = await asked(client)
    assert (found["drift"], found["driftCheckedBy"]) == ([], "gate")
    assert found["driftCheckedAt"] == "2027-03-01T12:00:00.000Z"


async def test_a_look_over_http_sees_what_was_done_since_and_what_was_undone(
    own_database: str,
) -> None:
    with service(own_database) as client:
        async with gated(own_database):
            await execute(own_database, BY_HAND)
            found = await asked(client, **LOOK)
            assert [each["object"] for each in found["drift"]] == ["lens_cap"]
            assert (found["driftCheckedBy"], found["unread"]) == ("question", [])
            assert found["driftCheckedAt"] > "2026"
            await execute(own_database, "ALTER TABLE cameras DROP COLUMN lens_cap")
            assert (await asked(client, **LOOK))["drift"] == []
            stored = await asked(client)
    assert stored["driftCheckedBy"] == "gate", "a question keeps nothing"


@pytest.mark.parametrize("when", ["locked", "migrating", "not stored", "another revision", "never"])
async def test_what_cannot_be_looked_at_in_time_is_named(own_database: str, when: str) -> None:
    with service(own_database) as client:
        async with gated(own_database) as ledger, open_connection(own_database) as other:
            if when == "locked":
                await other.execute("BEGIN; LOCK TABLE cameras IN ACCESS EXCLUSIVE MODE")
            if when == "migrating":
                assert await ledger.try_lock()
            if when == "not stored":
                await ledger.execute("DELETE FROM release_facts")
            if when == "another revision":
                sql = "UPDATE alembic_version SET version_num = '0001_older_schema'"
                await execute(own_database, sql)
            if when == "never":
                await execute(own_database, "ALTER TABLE release_looks RENAME TO looks_away")
            began = time.monotonic()
            found = await asked(client, **LOOK)
            assert time.monotonic() - began < at_most(2)
    assert (found["drift"], found["driftCheckedAt"], found["driftCheckedBy"]) == (None, None, None)
    assert "drift" in found["unread"]
    assert found["head"] == revisions.head()


def test_a_look_is_yes_or_no(client: httpx.Client) -> None:
    answer = client.get(STATUS, params={"look": "perhaps"})
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID")
    parameters = client.get("/openapi.json").json()["paths"][STATUS]["get"]["parameters"]
    assert [each["name"] for each in parameters if each["in"] == "query"] == ["look"]


async def test_a_look_of_an_older_image_names_nobody(own_database: str) -> None:
    async with gated(own_database) as ledger:
        await ledger.execute("UPDATE release_looks SET value = value - 'by' WHERE name = 'drift'")
        found = await status(own_database)
    assert (found["drift"], found["driftCheckedBy"]) == ([], None)


@pytest.mark.parametrize("stored", [True, False])
async def test_the_terminal_looks_where_it_is_asked_to(own_database: str, *, stored: bool) -> None:
    async with gated(own_database) as ledger:
        if not stored:
            await ledger.execute("DELETE FROM release_facts WHERE name = 'expected'")
        await execute(own_database, BY_HAND)
        last = await terminal(own_database, "status")
        anew = await terminal(own_database, "status", "--look")
        status_now = json.loads(await terminal(own_database, "status", "--look", "--json"))
    assert "none, at 2027-03-01T12:00:00.000Z, by the gate" in last
    assert "lens_cap" in anew
    assert "just now" in anew
    assert [each["object"] for each in status_now["drift"]] == ["lens_cap"]
    assert (status_now["driftCheckedBy"], status_now["unread"]) == ("question", [])


async def terminal(url: str, *words: str) -> str:
    done = await asyncio.to_thread(said, url, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_a_snapshot_of_an_older_image_is_read_and_finds_nothing_new(
    own_database: str,
) -> None:
    """It knew no traits: what it did not record is not compared, and what it did is."""
    async with gated(own_database) as ledger:
        stored = await ledger.get_fact("expected")
        for name in ("traits", "standins"):
            del stored["snapshot"][name]
        await ledger.set_fact("expected", stored)
        await execute(own_database, "ALTER TABLE cameras SET (fillfactor = 50)")
        assert compare(from_json(stored["snapshot"]), await taken(own_database)) == []
        async with open_connection(own_database) as app:
            assert await look_at(app) == (revisions.head(), [])
            await execute(own_database, BY_HAND)
            _, found = await look_at(app) or ("", [])
    assert [each.object for each in found] == ["lens_cap"]

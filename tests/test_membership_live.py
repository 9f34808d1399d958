"""Sockets and streams hear of own shows alone, and only as long as they may."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from app.access import memberships
from app.access.caller import Role
from app.live.sockets.limits import SocketLimits
from app.releases.connection.open_connection import open_connection
from tests.support.callers import PEPPERS, bearer, revoke, subject_of, token
from tests.support.processes import plain
from tests.support.sockets import Tab, served, tab

CREW = "a-token-for-the-crew"
Row = dict[str, Any]


@pytest.fixture(scope="module")
def root(shared_database: str) -> Iterator[str]:
    limits = SocketLimits(recheck=0.2)
    crew = SecretStr(CREW)
    with served(shared_database, limits, access_token=crew, token_peppers=PEPPERS) as url:
        yield url


@pytest.fixture
async def crew(root: str) -> AsyncIterator[httpx.AsyncClient]:
    async with plain(base_url=root, timeout=30, headers=bearer(CREW)) as client:
        yield client


async def show(crew: httpx.AsyncClient, name: str) -> Row:
    row: Row = (await crew.post("/api/productions", json={"name": name})).json()
    return row


async def camera(crew: httpx.AsyncClient, production: Row, name: str) -> None:
    body = {"name": name, "productionId": production["uuid"]}
    (await crew.post("/api/cameras", json=body)).raise_for_status()


async def joined(one: Tab, production: Row) -> Row:
    ack: Row = await one.ask("production:join", {"productionId": production["id"]})
    return ack


async def give(url: str, subject: str, production: Row, role: Role = Role.EDITOR) -> None:
    async with open_connection(url) as connection:
        await memberships.give(connection, subject, production["uuid"], role, "the tests")


async def take(url: str, subject: str, production: Row) -> None:
    async with open_connection(url) as connection:
        assert await memberships.take(connection, subject, production["uuid"])


async def test_a_foreign_show_cannot_be_joined(
    root: str, crew: httpx.AsyncClient, shared_database: str
) -> None:
    own, theirs = await show(crew, "Ours"), await show(crew, "Theirs")
    secret = await token(shared_database, Role.EDITOR, own)
    async with (
        tab(root, auth={"token": CREW}) as watching,
        tab(root, auth={"token": secret}) as one,
    ):
        await joined(watching, theirs)  # so that its room is open here
        never = {**theirs, "id": "NEVER 1"}
        foreign, unknown = await joined(one, theirs), await joined(one, never)
        for key in ("error", "code"):
            assert foreign[key] == unknown[key]
        words = foreign["message"].replace(theirs["id"], "NEVER 1")
        assert words == unknown["message"]
        by_uuid = await one.ask("production:join", {"productionId": theirs["uuid"]})
        assert by_uuid["code"] == foreign["code"]
        assert (await joined(one, own))["productionUuid"] == own["uuid"]
        change = {"productionId": theirs["uuid"], "changeType": "x"}
        assert (await one.ask("production:change", change))["code"] == "NOT_JOINED"


async def test_what_a_socket_may_see_is_looked_at_while_it_is_open(
    root: str, crew: httpx.AsyncClient, shared_database: str
) -> None:
    own, other = await show(crew, "Ours"), await show(crew, "Also ours")
    secret = await token(shared_database, Role.EDITOR, own, other)
    async with tab(root, auth={"token": secret}) as one, tab(root, auth={"token": CREW}) as all_of:
        for production in (own, other):
            await joined(one, production)
            await joined(all_of, production)
        await take(shared_database, subject_of(secret), own)
        told = await one.one("refused")
        assert (told["code"], told["productionId"]) == ("PRODUCTION_NOT_FOUND", own["uuid"])
        await camera(crew, own, "not for them")
        await camera(crew, other, "for both")
        await one.until(lambda: "for both" in json.dumps(one.told))
        await all_of.until(lambda: "for both" in json.dumps(all_of.told))
        assert "not for them" in json.dumps(all_of.told)
        assert "not for them" not in json.dumps(one.told)
        assert (await joined(one, own))["code"] == "PRODUCTION_NOT_FOUND"

        await give(shared_database, subject_of(secret), own, Role.VIEWER)
        async with asyncio.timeout(60):
            while "code" in await joined(one, own):  # noqa: ASYNC110  # nobody is told
                await asyncio.sleep(0.05)
        change = {"productionId": own["id"], "changeType": "x"}
        assert (await one.ask("production:change", change))["code"] == "FORBIDDEN"


async def test_a_socket_ends_with_its_token(
    root: str, crew: httpx.AsyncClient, shared_database: str
) -> None:
    own = await show(crew, "Ours")
    revoked = await token(shared_database, Role.EDITOR, own)
    soon = datetime.now(UTC) + timedelta(seconds=3)
    expiring = await token(shared_database, Role.EDITOR, own, expires_at=soon)
    async with (
        tab(root, auth={"token": revoked}) as one,
        tab(root, auth={"token": expiring}) as two,
    ):
        await revoke(shared_database, revoked)
        for each in (one, two):
            assert (await each.one("refused"))["code"] == "UNAUTHORIZED"
            async with asyncio.timeout(60):
                await each.ended.wait()


async def test_the_list_of_shows_is_of_own_ones(
    root: str, crew: httpx.AsyncClient, shared_database: str
) -> None:
    own = await show(crew, "Ours")
    secret = await token(shared_database, Role.EDITOR, own)
    async with tab(root, auth={"token": secret}) as one, tab(root, auth={"token": CREW}) as all_of:
        for each in (one, all_of):
            assert await each.ask("production-list:join") == {}
        theirs = await show(crew, "Theirs")
        edit = {"showName": "Ours, again", "version": own["version"]}
        await crew.patch(f"/api/productions/{own['uuid']}", json=edit)
        await one.until(lambda: own["uuid"] in json.dumps(one.told))
        await all_of.until(lambda: own["uuid"] in json.dumps(all_of.told))
        assert theirs["uuid"] in json.dumps(all_of.told)
        assert theirs["uuid"] not in json.dumps(one.told)

        await give(shared_database, subject_of(secret), theirs)
        assert (await one.one("resync"))["resync"] == "/api/productions"


async def test_a_stream_ends_when_its_show_is_taken(
    root: str, crew: httpx.AsyncClient, shared_database: str
) -> None:
    own = await show(crew, "Ours")
    secret = await token(shared_database, Role.VIEWER, own)
    path = f"/api/productions/{own['uuid']}/changes/stream"
    async with (
        plain(base_url=root, timeout=60, headers=bearer(secret)) as client,
        client.stream("GET", path) as answer,
    ):
        lines = answer.aiter_lines()
        assert await anext(lines) == "retry: 2000"
        await take(shared_database, subject_of(secret), own)
        assert [line async for line in lines if line.startswith("event")] == []
        assert (await client.get(path)).status_code == 404

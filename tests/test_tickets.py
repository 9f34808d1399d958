"""Event streams without a header: tickets; and what ends a stream or a socket that lives on."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg
import httpx
import pytest
from pydantic import SecretStr

from app.access import tickets
from app.access.caller import Caller, Role
from app.access.peppers import Peppers
from app.access.watches import Watches
from app.database.database import Database
from app.database.url import DatabaseUrl
from app.errors import Unauthorized
from tests.support.databases import execute
from tests.support.service import PlainClient, ServiceClient, created, service
from tests.support.service import settings as service_settings
from tests.support.sockets import tab
from tests.test_tokens import PEPPERS, bearer, key_of, made, revoke

CREW: Final = "a-token-for-the-crew"
KEY: Final = b"k" * 32


@pytest.fixture(scope="module")
def guarded(shared_database: str) -> Iterator[ServiceClient]:
    crew = SecretStr(CREW)
    with service(shared_database, token_peppers=PEPPERS, access_token=crew) as client:
        client.headers = httpx.Headers(bearer(CREW))
        yield client


@pytest.fixture(scope="module")
def stream(guarded: httpx.Client) -> str:
    show = created(guarded, "productions", name="x")
    return f"/api/productions/{show['uuid']}/changes/stream"


def ticket(client: httpx.Client, token: str) -> str:
    answer = client.post("/api/access/tickets", headers=bearer(token))
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    assert answer.json()["expiresAt"].endswith("Z")
    return str(answer.json()["ticket"])


def opened(client: httpx.Client, path: str, **query: str) -> tuple[int, str]:
    """Open a path without a header; return its status and first bytes."""
    with (
        PlainClient(base_url=client.base_url) as bare,
        bare.stream("GET", path, params=query, timeout=60) as answer,
    ):
        return answer.status_code, next(answer.iter_text())


@pytest.mark.parametrize("role", [None, Role.VIEWER])
async def test_a_ticket_opens_an_event_stream_and_nothing_else(
    guarded: ServiceClient, shared_database: str, stream: str, role: Role | None
) -> None:
    token = CREW if role is None else await made(shared_database, role)
    got = ticket(guarded, token)
    status, text = opened(guarded, stream, ticket=got)
    assert (status, "open" in text) == (200, True)
    for path in ("/api/productions", stream.removesuffix("/stream")):
        assert opened(guarded, path, ticket=got)[0] == 401
    assert opened(guarded, stream)[0] == 401


async def test_a_ticket_is_worth_what_its_token_is(
    guarded: ServiceClient, shared_database: str, stream: str
) -> None:
    token = await made(shared_database)
    got = ticket(guarded, token)
    await revoke(shared_database, token)
    status, text = opened(guarded, stream, ticket=got)
    assert (status, "was revoked" in text) == (401, True)


def test_a_ticket_stands_in_no_log(
    guarded: ServiceClient, stream: str, capfd: pytest.CaptureFixture[str]
) -> None:
    got = ticket(guarded, CREW)
    assert opened(guarded, stream, ticket=got)[0] == 200
    assert opened(guarded, stream, ticket=f"{got}x")[0] == 401
    said = "".join(capfd.readouterr())
    assert got[:40] not in said


def test_a_ticket_ends_and_cannot_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    until = datetime.now(UTC) + timedelta(hours=1)
    caller = Caller("issuer:abc", "ann", "Ann", Role.VIEWER, {}, expires_at=until)
    got = tickets.issue(caller, KEY)
    assert tickets.read(got, [b"other", KEY]) == caller, "its stream ends when the token does"
    over = replace(caller, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(Unauthorized, match="sign in again"):
        tickets.read(tickets.issue(over, KEY), [KEY])
    content, _, signature = got.partition(".")
    more = tickets.issue(Caller("token:abc", "ann", "Ann", Role.OPERATOR, {}), b"other")
    for wrong in (f"{content}x.{signature}", f"{more.partition('.')[0]}.{signature}", more, "",
                  ".", "é.é", content, f"{content}.", "a.b"):  # fmt: skip
        with pytest.raises(Unauthorized):
            tickets.read(wrong, [KEY])
    monkeypatch.setattr("time.time", lambda: datetime.now(UTC).timestamp() + tickets.SECONDS + 2)
    with pytest.raises(Unauthorized, match="has expired"):
        tickets.read(got, [KEY])


@pytest.mark.parametrize("stronger", [
    {"operator_token": SecretStr("a-token-for-operators")}, {"token_peppers": PEPPERS},
], ids=["an operator's", "a pepper"])  # fmt: skip
def test_who_holds_the_crews_token_signs_no_ticket_where_there_is_a_stronger_secret(
    stronger: dict[str, SecretStr],
) -> None:
    crew = SecretStr(CREW)
    of_crew = Peppers(service_settings(environment="production", access_token=crew))
    both = Peppers(service_settings(environment="production", access_token=crew, **stronger))
    forged = tickets.issue(Caller("issuer:x", "x", "x", Role.OPERATOR, {}), *of_crew.keys("t"))
    with pytest.raises(Unauthorized, match="no ticket of ours"):
        tickets.read(forged, both.keys("t"))


# What lives on


async def test_a_revoked_token_ends_its_sockets_and_no_others(
    guarded: ServiceClient, shared_database: str
) -> None:
    root = str(guarded.base_url).rstrip("/")
    token, other = await made(shared_database), await made(shared_database)
    async with (
        tab(root, auth={"token": token}) as one,
        tab(root, auth={"token": other}) as two,
    ):
        await revoke(shared_database, token)
        refusal = await one.one("refused")
        assert refusal["code"] == "UNAUTHORIZED"
        async with asyncio.timeout(60):
            await one.ended.wait()
        assert (await two.join("NOBODY"))["code"] == "PRODUCTION_NOT_FOUND"


async def test_a_token_that_expires_ends_its_sockets(
    guarded: ServiceClient, shared_database: str
) -> None:
    root = str(guarded.base_url).rstrip("/")
    token = await made(shared_database)
    expire = "UPDATE access_tokens SET expires_at = CURRENT_TIMESTAMP WHERE key = $1"
    async with tab(root, auth={"token": token}) as one:
        await execute(shared_database, expire, key_of(token))
        async with asyncio.timeout(60):
            await one.ended.wait()


class _FailsOnce(Database):
    """A database whose driver fails, once, in a way that nobody has foreseen."""

    has_failed = False

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        if not self.has_failed:
            self.has_failed = True
            raise RuntimeError("unforeseen")
        async with super().connection() as connection:
            yield connection


async def test_a_look_that_fails_is_not_the_last_one(own_database: str) -> None:
    database = _FailsOnce(DatabaseUrl.parse(own_database), service_settings())
    await database.open()
    watches, is_over = Watches(seconds=0.05), asyncio.Event()
    with watches.watching(Caller("token:none", "x", "x", Role.VIEWER, {}), is_over.set):
        async with watches.running(database), asyncio.timeout(60):
            await is_over.wait()
    assert database.has_failed
    await database.close()


async def test_an_issuers_token_ends_when_it_expires(own_database: str) -> None:
    """It is no row of ours, so nothing is announced."""
    database = Database(DatabaseUrl.parse(own_database), service_settings())
    watches, is_over = Watches(seconds=0.05), asyncio.Event()
    past = datetime.now(UTC) - timedelta(seconds=1)
    over, valid = (Caller(f"issuer:{name}", name, name, Role.VIEWER, {}) for name in "ab")
    with (
        watches.watching(replace(over, expires_at=past), is_over.set),
        watches.watching(valid, lambda: pytest.fail("it is valid")),
    ):
        async with watches.running(database), asyncio.timeout(60):
            await is_over.wait()


async def test_a_revoked_token_ends_its_streams(
    guarded: ServiceClient, shared_database: str, stream: str
) -> None:
    token, is_open, rest = await made(shared_database), threading.Event(), []

    def read() -> None:
        with guarded.stream("GET", stream, headers=bearer(token), timeout=60) as answer:
            parts = answer.iter_text()
            rest.append(next(parts))
            is_open.set()
            rest.extend(parts)

    reading = asyncio.create_task(asyncio.to_thread(read))
    assert await asyncio.to_thread(is_open.wait, 60)
    await revoke(shared_database, token)
    async with asyncio.timeout(60):
        await reading
    assert rest[0].startswith("retry")

"""Event streams without a header: tickets; and what ends a stream or a socket that lives on."""

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import httpx
import pytest
from pydantic import SecretStr

from app.access import tickets
from app.access.caller import Caller, Role
from app.errors import Unauthorized
from tests.support.service import PlainClient, ServiceClient, created, service
from tests.support.sockets import tab
from tests.test_tokens import PEPPERS, bearer, made, revoke

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
    caller = Caller("token:abc", "ann", "Ann", Role.VIEWER, {})
    got = tickets.issue(caller, KEY)
    assert tickets.read(got, [b"other", KEY]) == caller
    content, _, signature = got.partition(".")
    more = tickets.issue(Caller("token:abc", "ann", "Ann", Role.OPERATOR, {}), b"other")
    for wrong in (f"{content}x.{signature}", f"{more.partition('.')[0]}.{signature}", more, "",
                  ".", "é.é", content, f"{content}.", "a.b"):  # fmt: skip
        with pytest.raises(Unauthorized):
            tickets.read(wrong, [KEY])
    monkeypatch.setattr("time.time", lambda: datetime.now(UTC).timestamp() + tickets.SECONDS + 2)
    with pytest.raises(Unauthorized, match="has expired"):
        tickets.read(got, [KEY])


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
    soon = datetime.now(UTC) + timedelta(seconds=5)
    token = await made(shared_database, expires_at=soon)
    async with tab(root, auth={"token": token}) as one:
        async with asyncio.timeout(60):
            await one.ended.wait()
        assert datetime.now(UTC) >= soon


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

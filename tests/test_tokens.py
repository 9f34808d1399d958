"""Tokens of people and devices: whom they let in, where, and until when."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx
import pytest
from pydantic import SecretStr

from app.access import tokens
from app.access.caller import Caller, Role
from app.access.peppers import Peppers
from app.access.token_cache import TokenCache
from app.releases.connection.open_connection import open_connection
from app.settings import BadSettings
from tests.support.service import ServiceClient, service, settings
from tests.support.sockets import refused, tab

PEPPERS: Final = SecretStr(f"new:{'n' * 32},old:{'o' * 32}")
OLD: Final = SecretStr(f"old:{'o' * 32}")
STATUS: Final = "/api/admin/migration-status"


@pytest.fixture(scope="module")
def guarded(shared_database: str) -> Iterator[ServiceClient]:
    with service(shared_database, token_peppers=PEPPERS) as client:
        yield client


async def made(
    url: str, role: Role = Role.EDITOR, peppers: SecretStr = PEPPERS, **more: Any
) -> str:
    new = tokens.NewToken("Ann's laptop", "ann", "Ann", role, "the tests", **more)
    async with open_connection(url) as connection:
        return await tokens.create(connection, Peppers(settings(token_peppers=peppers)), new)


async def revoke(url: str, token: str) -> None:
    async with open_connection(url) as connection:
        await connection.execute(tokens.REVOKE, key_of(token))


def key_of(token: str) -> str:
    return token[3:19]


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def until(is_so: Any) -> None:
    """Wait until something is so; it tells nobody when it becomes so."""
    async with asyncio.timeout(60):
        while not is_so():  # noqa: ASYNC110  # see above
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("role", "statuses"),
    [(Role.VIEWER, (200, 403, 403)), (Role.EDITOR, (200, 201, 403)),
     (Role.OPERATOR, (200, 201, 200))],
)  # fmt: skip
async def test_a_role_may_what_lower_ones_may(
    guarded: httpx.Client, shared_database: str, role: Role, statuses: tuple[int, ...]
) -> None:
    headers = bearer(await made(shared_database, role))
    read = guarded.get("/api/productions", headers=headers)
    write = guarded.post("/api/productions", headers=headers, json={"name": "x"})
    operate = guarded.get(STATUS, headers=headers)
    assert (read.status_code, write.status_code, operate.status_code) == statuses
    if role is Role.VIEWER:
        assert write.json()["code"] == "FORBIDDEN"
        assert "editor" in write.json()["message"]


async def test_nobody_else_is_let_in(guarded: httpx.Client, shared_database: str) -> None:
    token = await made(shared_database)
    assert guarded.get("/api/productions", headers=bearer(token)).status_code == 200
    other = await made(shared_database)
    for wrong in (
        token[:-1], f"{token}x", token.upper(), f"{token[:19]}.{'x' * 43}", token[3:],
        f"{other[:19]}{token[19:]}", f"sb_{'x' * 16}{token[19:]}", token.replace(".", ""), "a.b.c",
    ):  # fmt: skip
        answer = guarded.get("/api/productions", headers=bearer(wrong))
        assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")
        assert token[19:] not in answer.text
    assert guarded.get("/api/productions").status_code == 401


async def test_a_token_ends_when_it_was_said(guarded: httpx.Client, shared_database: str) -> None:
    over = await made(shared_database, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    answer = guarded.get("/api/productions", headers=bearer(over))
    assert answer.status_code == 401
    assert "has expired" in answer.json()["message"]
    later = await made(shared_database, expires_at=datetime.now(UTC) + timedelta(days=1))
    assert guarded.get("/api/productions", headers=bearer(later)).status_code == 200


async def test_a_revoked_token_is_refused_though_it_was_right_a_moment_ago(
    guarded: ServiceClient, shared_database: str
) -> None:
    token = await made(shared_database)
    listening = guarded.service_app.state.listener.listening
    await until(listening.is_set)
    assert guarded.get("/api/productions", headers=bearer(token)).status_code == 200
    begun = time.monotonic()
    await revoke(shared_database, token)
    await until(lambda: guarded.get("/api/productions", headers=bearer(token)).status_code == 401)
    answer = guarded.get("/api/productions", headers=bearer(token))
    assert "was revoked" in answer.json()["message"] or time.monotonic() - begun > 5


async def test_a_token_that_was_right_costs_no_statement(
    guarded: ServiceClient, shared_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = bearer(await made(shared_database))
    asked: list[str] = []
    database = guarded.service_app.state.database
    rows = database.rows

    async def counted(sql: str, *args: Any) -> Any:
        asked.append(sql)
        return await rows(sql, *args)

    monkeypatch.setattr(database, "rows", counted)
    for _ in range(3):
        assert guarded.get("/api/productions", headers=headers).status_code == 200
    assert asked.count(tokens.FIND) == 1


async def test_its_last_use_is_noted(guarded: httpx.Client, shared_database: str) -> None:
    token = await made(shared_database)
    assert guarded.get("/api/productions", headers=bearer(token)).status_code == 200
    async with open_connection(shared_database) as connection, asyncio.timeout(60):
        used = "SELECT last_used_at FROM access_tokens WHERE key = $1"
        while await connection.fetchval(used, key_of(token)) is None:  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.05)


async def test_who_belongs_to_some_shows_has_no_role_elsewhere(
    guarded: httpx.Client, shared_database: str
) -> None:
    editor = bearer(await made(shared_database))
    show = guarded.post("/api/productions", headers=editor, json={"name": "x"}).json()
    token = await made(shared_database, productions=[UUID(show["uuid"])])
    async with open_connection(shared_database) as connection:
        await connection.set_type_codec(
            "json", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary"
        )
        row = await connection.fetchrow(tokens.FIND, [key_of(token)])
    peppers = Peppers(settings(token_peppers=PEPPERS))
    caller = tokens.verified(row, *tokens.read(token) or ("", ""), peppers)
    assert (caller.role, caller.role_in(UUID(show["uuid"]))) == (None, Role.EDITOR)
    assert caller.role_in(UUID(int=0)) is None


# Peppers


async def test_an_older_pepper_verifies_until_it_is_taken_away(
    guarded: httpx.Client, shared_database: str
) -> None:
    token = await made(shared_database, peppers=OLD)
    assert guarded.get("/api/productions", headers=bearer(token)).status_code == 200
    newer = SecretStr(f"new:{'n' * 32}")
    with service(shared_database, token_peppers=newer) as client:
        assert client.get("/api/productions", headers=bearer(token)).status_code == 401


def test_of_a_secret_only_a_keyed_hash_is_stored() -> None:
    name, one = Peppers(settings(token_peppers=PEPPERS)).hash_new("secret")
    _, other = Peppers(settings(token_peppers=OLD)).hash_new("secret")
    assert (name, len(one)) == ("new", 32)
    assert one != other


def test_outside_production_a_pepper_is_made_once(tmp_path: Path) -> None:
    one, other = (Peppers(settings(data_dir=tmp_path / "data")) for _ in range(2))
    name, stored = one.hash_new("secret")
    assert other.matches(name, "secret", stored)
    assert not other.matches(name, "other", stored)
    (file,) = (tmp_path / "data").iterdir()
    assert file.stat().st_mode & 0o077 == 0
    production = Peppers(settings(data_dir=tmp_path / "data", environment="production"))
    assert not production.matches(name, "secret", stored)
    with pytest.raises(BadSettings, match="TOKEN_PEPPERS"):
        production.hash_new("secret")


# Sockets


async def test_a_socket_is_let_in_by_its_token(guarded: httpx.Client, shared_database: str) -> None:
    root = str(guarded.base_url).rstrip("/")
    editor, viewer = await made(shared_database), await made(shared_database, Role.VIEWER)
    show = guarded.post("/api/productions", headers=bearer(editor), json={"name": "x"}).json()
    said = {"productionId": show["id"], "data": "hello"}
    async with (
        tab(root, auth={"token": viewer}) as watching,
        tab(root, headers=bearer(editor)) as writing,
    ):
        assert (await watching.join(show["id"]))["productionUuid"] == show["uuid"]
        await writing.join(show["id"])
        assert (await watching.ask("production:change", said))["code"] == "FORBIDDEN"
        assert await writing.ask("production:change", said) == {}
        assert (await watching.one("production:change"))["data"] == "hello"


async def test_a_socket_with_a_wrong_token_is_refused(
    guarded: httpx.Client, shared_database: str
) -> None:
    root = str(guarded.base_url).rstrip("/")
    over = await made(shared_database, expires_at=datetime.now(UTC))
    told, ended = await refused(root, auth={"token": over})
    assert (told["data"]["code"], ended) == ("UNAUTHORIZED", True)
    assert "has expired" in told["message"]
    headers = bearer(f"{over}x")
    opened = guarded.get("/socket.io/?EIO=4&transport=polling", headers=headers)
    assert opened.status_code == 401


# What a process remembers


def test_what_was_revoked_while_it_was_verified_is_not_remembered() -> None:
    cache, caller = TokenCache(), Caller.nobody(Role.VIEWER)
    cache.put("key", "secret", caller, None, cache.generation)
    assert cache.find("key", "secret") is caller
    assert cache.find("key", "other") is None
    begun = cache.generation
    cache.forget("key")
    assert cache.find("key", "secret") is None
    cache.put("key", "secret", caller, None, begun)
    assert cache.find("key", "secret") is None


def test_a_token_is_remembered_no_longer_than_it_lasts() -> None:
    cache, caller = TokenCache(most=1), Caller.nobody(Role.VIEWER)
    cache.put("over", "secret", caller, time.time() - 1, cache.generation)
    assert cache.find("over", "secret") is None
    cache.put("key", "secret", caller, time.time() + 60, cache.generation)
    assert cache.find("key", "secret") is caller
    cache.put("more", "secret", caller, None, cache.generation)
    assert cache.find("key", "secret") is None

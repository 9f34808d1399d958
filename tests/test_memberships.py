"""Operators give and take memberships, and every process hears of it."""

from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from pydantic import SecretStr

from app.access.caller import Role
from app.access.memberships import CHANNEL, Memberships, give, take
from app.database.database import Database
from app.database.url import DatabaseUrl
from tests.legacy import connected
from tests.support.service import PlainClient, created, service, settings

CREW, OPERATOR = "a-token-for-the-crew", "a-token-for-operators"
PATH = "/api/admin/memberships"


@pytest.fixture(scope="module")
def crew(shared_database: str) -> Iterator[httpx.Client]:
    tokens = {"access_token": SecretStr(CREW), "operator_token": SecretStr(OPERATOR)}
    with service(shared_database, **tokens) as client:
        client.headers["authorization"] = f"Bearer {CREW}"
        yield client


@pytest.fixture
def operator(crew: httpx.Client) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {OPERATOR}"}
    with PlainClient(base_url=crew.base_url, headers=headers, timeout=30) as client:
        yield client


@pytest.fixture
def show(crew: httpx.Client) -> dict[str, Any]:
    return created(crew, "productions", name="A show of theirs")


@pytest.fixture
def subject() -> str:
    return f"issuer:{uuid4()}"


def test_a_role_is_given_replaced_and_taken(
    operator: httpx.Client, show: dict[str, Any], subject: str
) -> None:
    body = {"subject": subject, "production": show["id"], "role": "viewer"}
    [membership] = operator.put(PATH, json=body).raise_for_status().json()
    assert membership["productionUuid"] == show["uuid"]
    assert membership["productionId"] == show["id"]
    assert membership["role"] == "viewer"

    body |= {"production": show["uuid"], "role": "editor"}
    [membership] = operator.put(PATH, json=body).raise_for_status().json()
    assert membership["role"] == "editor"
    assert operator.get(PATH, params={"subject": subject}).json() == [membership]
    assert operator.get(PATH, params={"production": show["id"]}).json() == [membership]
    assert membership in operator.get(PATH).json()

    which = {"subject": subject, "production": show["id"]}
    assert operator.delete(PATH, params=which).json() == {"success": True}
    assert operator.get(PATH, params={"subject": subject}).json() == []
    assert operator.delete(PATH, params=which).status_code == 404


@pytest.mark.parametrize("wrong", [{"role": "operator"}, {"subject": ""}, {"production": "X\0"}])
def test_what_is_no_membership_is_refused(
    operator: httpx.Client, show: dict[str, Any], subject: str, wrong: dict[str, str]
) -> None:
    body = {"subject": subject, "production": show["id"], "role": "viewer", **wrong}
    assert operator.put(PATH, json=body).status_code == 422


def test_an_unknown_production_is_named(operator: httpx.Client, subject: str) -> None:
    body = {"subject": subject, "production": "NO SUCH 1", "role": "viewer"}
    answer = operator.put(PATH, json=body)
    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
    assert operator.get(PATH, params={"production": "NO SUCH 1"}).status_code == 404


@pytest.fixture
async def database(shared_database: str) -> AsyncIterator[Database]:
    made = Database(DatabaseUrl.parse(shared_database), settings())
    await made.open()
    yield made
    await made.close()


async def test_what_is_remembered_is_forgotten_when_it_changes(
    database: Database, show: dict[str, Any], subject: str
) -> None:
    memberships, uuid = Memberships(database), UUID(show["uuid"])
    assert await memberships.of(subject) == {}
    async with database.transaction() as connection:
        await give(connection, subject, uuid, Role.EDITOR, "test")
    assert await memberships.of(subject) == {}  # remembered

    memberships.forget(subject)
    assert await memberships.of(subject) == {uuid: Role.EDITOR}
    async with database.transaction() as connection:
        assert await take(connection, subject, uuid)
        assert not await take(connection, subject, uuid)
    memberships.forget_all()
    assert await memberships.of(subject) == {}


async def test_what_was_read_before_a_change_is_not_remembered_after_it(
    database: Database, show: dict[str, Any], subject: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    memberships, uuid = Memberships(database), UUID(show["uuid"])
    borrow = database.connection

    def forgetting() -> Any:
        memberships.forget(subject)
        return borrow()

    monkeypatch.setattr(database, "connection", forgetting)
    assert await memberships.of(subject) == {}
    monkeypatch.setattr(database, "connection", borrow)
    async with database.transaction() as connection:
        await give(connection, subject, uuid, Role.VIEWER, "test")
    assert await memberships.of(subject) == {uuid: Role.VIEWER}


async def test_a_change_is_announced_when_it_is_committed(
    shared_database: str, database: Database, show: dict[str, Any], subject: str
) -> None:
    uuid, announced = UUID(show["uuid"]), []
    async with connected(shared_database) as listening:
        await listening.add_listener(CHANNEL, lambda *args: announced.append(args[-1]))
        for change in (
            lambda connection: give(connection, subject, uuid, Role.VIEWER, "test"),
            lambda connection: take(connection, subject, uuid),
            lambda connection: take(connection, subject, uuid),  # nothing changes
        ):
            async with database.transaction() as connection:
                await change(connection)
        await listening.execute(f"NOTIFY {CHANNEL}, 'the end'")
        while "the end" not in announced:
            await listening.execute("SELECT 1")
    assert [each for each in announced if each == subject] == [subject, subject]

"""Fixtures: a server, databases made by the migrations, a running service, a production."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.support import databases
from tests.support.service import service


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[databases.Server]:
    with databases.server() as lent:
        yield lent


@pytest.fixture(scope="session")
def template(postgres_server: databases.Server) -> str:
    return databases.migrated(postgres_server)


@pytest.fixture
def empty_database(postgres_server: databases.Server) -> Iterator[str]:
    url = postgres_server.make()
    yield url
    postgres_server.drop(url)


@pytest.fixture
def own_database(postgres_server: databases.Server, template: str) -> Iterator[str]:
    url = postgres_server.make(template)
    yield url
    postgres_server.drop(url)


@pytest.fixture(scope="session")
def shared_database(postgres_server: databases.Server, template: str) -> Iterator[str]:
    url = postgres_server.make(template)
    yield url
    postgres_server.drop(url)


@pytest.fixture(scope="session")
def client(shared_database: str) -> Iterator[httpx.Client]:
    with service(shared_database) as made:
        yield made


@pytest.fixture
def production(client: httpx.Client) -> dict[str, Any]:
    answer = client.post("/api/productions", json={"name": "A show"})
    made: dict[str, Any] = answer.raise_for_status().json()
    return made


@pytest.fixture
def make(client: httpx.Client, production: dict[str, Any]) -> Callable[..., dict[str, Any]]:
    """Make a row of a collection in the test's production."""

    def made(collection: str, **body: Any) -> dict[str, Any]:
        scope = {} if collection == "productions" else {"productionId": production["id"]}
        answer = client.post(f"/api/{collection}", json={**scope, **body})
        row: dict[str, Any] = answer.raise_for_status().json()
        return row

    return made

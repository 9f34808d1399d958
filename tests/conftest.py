"""Fixtures: a server, databases made by the migrations, a running service, a production."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.support import databases
from tests.support.service import created, service

pytest_plugins = ["tests.support.older", "tests.support.order", "tests.support.whole"]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[databases.Server]:
    with databases.server() as lent:
        yield lent


@pytest.fixture(scope="session")
def template(postgres_server: databases.Server) -> str:
    return databases.migrated(postgres_server)


@pytest.fixture
def empty_database(postgres_server: databases.Server) -> Iterator[str]:
    with postgres_server.lent() as url:
        yield url


@pytest.fixture
def own_database(postgres_server: databases.Server, template: str) -> Iterator[str]:
    with postgres_server.lent(template) as url:
        yield url


@pytest.fixture(scope="session")
def shared_database(postgres_server: databases.Server, template: str) -> Iterator[str]:
    with postgres_server.lent(template) as url:
        yield url


@pytest.fixture(scope="session")
def client(shared_database: str) -> Iterator[httpx.Client]:
    with service(shared_database) as made:
        yield made


@pytest.fixture
def production(client: httpx.Client) -> dict[str, Any]:
    return created(client, "productions", name="A show")


@pytest.fixture
def make(client: httpx.Client, production: dict[str, Any]) -> Callable[..., dict[str, Any]]:
    def made(collection: str, **body: Any) -> dict[str, Any]:
        return created(client, collection, **{"productionId": production["id"], **body})

    return made

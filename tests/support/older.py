"""Fixtures: an older service's database at each point of its way through the release gate.

Each is made from the one before, once in a process; a test gets a copy of its own.
"""

import asyncio
from collections.abc import Iterator

import pytest

from app.database_url import DatabaseUrl
from tests.support.databases import Server
from tests.support.gates import approved, older_database, ran


@pytest.fixture(scope="session")
def adopted_template(postgres_server: Server) -> str:
    return older_database(postgres_server)


@pytest.fixture(scope="session")
def rehearsed_template(postgres_server: Server, adopted_template: str) -> str:
    url = postgres_server.make(adopted_template)
    assert asyncio.run(ran(url)).verdict.name == "AWAITING_APPROVAL"
    return DatabaseUrl.parse(url).database


@pytest.fixture(scope="session")
def approved_template(postgres_server: Server, rehearsed_template: str) -> str:
    return _approved(postgres_server, rehearsed_template)


@pytest.fixture(scope="session")
def stepped_template(postgres_server: Server, approved_template: str) -> str:
    url = postgres_server.make(approved_template)
    assert asyncio.run(ran(url)).verdict.name == "STEP_DONE"
    return DatabaseUrl.parse(url).database


@pytest.fixture(scope="session")
def ready_template(postgres_server: Server, stepped_template: str) -> str:
    return _approved(postgres_server, stepped_template)


def _approved(server: Server, template: str) -> str:
    url = server.make(template)

    async def approve() -> None:
        await approved(url, await ran(url))

    asyncio.run(approve())
    return DatabaseUrl.parse(url).database


@pytest.fixture
def adopted_database(postgres_server: Server, adopted_template: str) -> Iterator[str]:
    """Adopted, and nothing more."""
    with postgres_server.lent(adopted_template) as url:
        yield url


@pytest.fixture
def rehearsed_database(postgres_server: Server, rehearsed_template: str) -> Iterator[str]:
    """Its first release is rehearsed and waits for approval."""
    with postgres_server.lent(rehearsed_template) as url:
        yield url


@pytest.fixture
def approved_database(postgres_server: Server, approved_template: str) -> Iterator[str]:
    """Its first release is rehearsed and approved, and not begun."""
    with postgres_server.lent(approved_template) as url:
        yield url


@pytest.fixture
def stepped_database(postgres_server: Server, stepped_template: str) -> Iterator[str]:
    """Its first release is done; the soak was none."""
    with postgres_server.lent(stepped_template) as url:
        yield url


@pytest.fixture
def ready_database(postgres_server: Server, ready_template: str) -> Iterator[str]:
    """Its second release, of the cable snakes, is rehearsed and approved, and not begun."""
    with postgres_server.lent(ready_template) as url:
        yield url

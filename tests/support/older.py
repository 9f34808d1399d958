"""Fixtures: an older service's database at each point of its way through the release gate.

Each is made from the one before, once for all processes; a test gets a copy of its own.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.databases import Server
from tests.support.gates import approved, older_database, ran


@pytest.fixture(scope="session")
def adopted_template(postgres_server: Server) -> str:
    return postgres_server.template("adopted", older_database)


@pytest.fixture(scope="session")
def rehearsed_template(postgres_server: Server, adopted_template: str) -> str:
    return postgres_server.template("rehearsed", _rehearse, adopted_template)


@pytest.fixture(scope="session")
def approved_template(postgres_server: Server, rehearsed_template: str) -> str:
    return postgres_server.template("approved", _approve, rehearsed_template)


@pytest.fixture(scope="session")
def stepped_template(postgres_server: Server, approved_template: str) -> str:
    return postgres_server.template("stepped", _step, approved_template)


@pytest.fixture(scope="session")
def ready_template(postgres_server: Server, stepped_template: str) -> str:
    return postgres_server.template("ready", _approve, stepped_template)


def _rehearse(url: str) -> None:
    assert asyncio.run(ran(url)).verdict.name == "AWAITING_APPROVAL"


def _step(url: str) -> None:
    assert asyncio.run(ran(url)).verdict.name == "STEP_DONE"


def _approve(url: str) -> None:
    async def approve() -> None:
        await approved(url, await ran(url))

    asyncio.run(approve())


def _copy_of(template: str) -> Any:
    @pytest.fixture
    def copy(postgres_server: Server, request: pytest.FixtureRequest) -> Iterator[str]:
        with postgres_server.lent(request.getfixturevalue(template)) as url:
            yield url

    return copy


# Adopted, and nothing more.
adopted_database = _copy_of("adopted_template")
# Its first release is rehearsed and waits for approval; then approved, and not begun.
rehearsed_database = _copy_of("rehearsed_template")
approved_database = _copy_of("approved_template")
# Its first release is done; the soak was none.
stepped_database = _copy_of("stepped_template")
# Its second release, of the cable snakes, is rehearsed and approved, and not begun.
ready_database = _copy_of("ready_template")

"""Databases on the way of a small team: all expands and switches together, then all contracts."""

import asyncio
from collections.abc import Iterator
from typing import Any, Final

import pytest

from app.releases.gate.gate import REHEARSE
from app.releases.gate.run import Ended
from tests.support.databases import Server
from tests.support.gates import approved, ran

# Of older writes only those count that a test makes itself: filling the database is one, too.
CALM: Final[dict[str, Any]] = {"quiet_seconds": 0.0, "wall_clock": 300.0}


async def rehearsed_whole(url: str, **changes: Any) -> Ended:
    """Rehearse the next release of several tables, as ``release rehearse --whole`` does."""
    asked = {"word": "rehearse", "contract": True, "anew": True, "whole": True}
    return await ran(url, REHEARSE, **{**asked, **CALM, **changes})


async def contracts_approved(url: str) -> Ended:
    """Rehearse and approve all contracts together."""
    waiting = await rehearsed_whole(url)
    assert waiting.plan is not None, waiting
    await approved(url, waiting, destroys=waiting.plan.destroyed)
    return waiting


@pytest.fixture(scope="session")
def whole_template(postgres_server: Server, adopted_template: str) -> str:
    """All expands and switches are approved together, and not begun."""

    async def prepare(url: str) -> None:
        await approved(url, await rehearsed_whole(url))

    return postgres_server.template(
        "whole", lambda url: asyncio.run(prepare(url)), adopted_template
    )


@pytest.fixture(scope="session")
def switched_template(postgres_server: Server, whole_template: str) -> str:
    """All expands and switches are done together; the soak was none."""

    def switch(url: str) -> None:
        assert asyncio.run(ran(url, **CALM)).verdict.name == "DONE"

    return postgres_server.template("switched", switch, whole_template)


@pytest.fixture
def whole_database(postgres_server: Server, whole_template: str) -> Iterator[str]:
    with postgres_server.lent(whole_template) as url:
        yield url


@pytest.fixture
def switched_database(postgres_server: Server, switched_template: str) -> Iterator[str]:
    with postgres_server.lent(switched_template) as url:
        yield url

"""docs/architecture.md says how a write and a read go through the modules; they are followed."""

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.database.url import DatabaseUrl
from app.main import create_app
from app.settings import PROJECT
from tests.support.crossings import Crossings, followed
from tests.support.service import settings

PAGE = (PROJECT / "docs" / "architecture.md").read_text()
MODULE = re.compile(r"`app/([\w/]+)\.py`")


def steps(title: str) -> list[list[str]]:
    """Return the modules of each numbered step below a title of the page."""
    section = PAGE.split(f"## {title}\n")[1].split("\n## ")[0]
    return [MODULE.findall(step) for step in re.split(r"^\d+\. ", section, flags=re.MULTILINE)[1:]]


@pytest.fixture
async def app(own_database: str) -> AsyncIterator[FastAPI]:
    application = create_app(settings(), DatabaseUrl.parse(own_database))
    async with application.router.lifespan_context(application):
        yield application


@pytest.fixture
async def camera(app: FastAPI) -> dict[str, Any]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        show = (await client.post("/api/productions", json={"name": "A show"})).json()
        body = {"name": "Wide", "productionId": show["id"]}
        made: dict[str, Any] = (await client.post("/api/cameras", json=body)).json()
        return made


def hold_the_page_to(crossings: Crossings, title: str) -> None:
    """Assert that the page names each module that was crossed, in the order of the first steps."""
    page = steps(title)
    assert sorted({*crossings.order} ^ {module for step in page for module in step}) == []
    first = [min(crossings.order.index(module) for module in step) for step in page]
    assert first == sorted(first), crossings.order


async def test_a_write_crosses_what_the_page_says(app: FastAPI, camera: dict[str, Any]) -> None:
    path = f"/api/cameras/{camera['uuid']}"
    crossings = await followed(app, "PATCH", path, json={"name": "Close", "version": 1})
    hold_the_page_to(crossings, "The life of a write")


async def test_a_read_crosses_what_the_page_says(app: FastAPI, camera: dict[str, Any]) -> None:
    path = f"/api/cameras/production/{camera['productionId']}"
    hold_the_page_to(await followed(app, "GET", path), "The life of a read")


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
async def test_no_module_is_entered_again_while_it_waits(
    app: FastAPI, camera: dict[str, Any], method: str
) -> None:
    """A write goes down; what comes back up is values."""
    body = {"name": "Close", "productionId": camera["productionId"]}
    path = "/api/cameras" if method == "POST" else f"/api/cameras/{camera['uuid']}"
    crossings = await followed(app, method, path, **({} if method == "DELETE" else {"json": body}))
    assert crossings.turning_back() == []

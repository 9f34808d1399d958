"""The older service is retired by removing its folder: the rest builds, releases and serves."""

import shutil
from pathlib import Path

import pytest

import app.older_service
from app.releases import product
from app.releases.verdict import Verdict
from tests.support.images import Image
from tests.support.processes import Process, plain


@pytest.fixture
def image(tmp_path: Path) -> Image:
    """Return this version of the code, without the older service's folder."""
    made = Image(tmp_path / "image")
    shutil.rmtree(made.folder / "app" / "older_service")
    return made


def test_the_folder_offers_what_the_gate_asks_of_it() -> None:
    offered: product.OlderService = app.older_service  # the type checker compares the two
    assert offered
    assert product.older_service is offered


async def test_the_rest_serves_without_the_folder(
    image: Image, empty_database: str, tmp_path: Path
) -> None:
    released = image.run("release", DATABASE_URL=empty_database)
    assert released.returncode == Verdict.DONE, released.stderr
    process = Process(1, empty_database, tmp_path, image.folder)
    process.start()
    try:
        await process.ready()
        async with plain(base_url=process.root) as client:
            sent = {"name": "A show"}
            made = await client.post("/api/productions", json=sent)
            assert made.status_code == 201, made.text
            read = await client.get(f"/api/productions/{made.json()['uuid']}")
            assert read.json() == made.json()
            health = await client.get("/health")
            assert health.status_code == 200, health.text
    finally:
        process.end()


def test_without_the_folder_nothing_is_adopted(image: Image, empty_database: str) -> None:
    words = ("release", "adopt", "--who", "anna", "--why", "carry it over")
    adopted = image.run(*words, DATABASE_URL=empty_database)
    assert adopted.returncode == Verdict.REFUSED
    assert "carries no older service over" in adopted.stderr

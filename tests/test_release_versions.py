"""Code and database of different ages, and the incident that all this is for."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.releases.migrations import revisions
from app.releases.migrations.alembic_runner import upgrade
from tests.legacy import quiet
from tests.support.images import Image
from tests.support.service import PlainClient

NEW = "0058_cameras_housing"
ADDS = """def upgrade() -> None:
    with beside() as steps:
        ddl.add_columns(steps, "cameras", {"housing": "text"})


def downgrade() -> None:
    with beside() as steps:
        steps.brief(ddl.drop_columns("cameras", ["housing"]))
"""


@pytest.fixture
def image(tmp_path: Path) -> Image:
    return Image(tmp_path)


@pytest.fixture
def newer(image: Image) -> Image:
    """Return an image whose cameras have a housing, with its migration."""
    with_housing(image)
    image.revision(NEW, revisions.head(), phase="expand", table="cameras", body=ADDS)
    return image


def with_housing(image: Image) -> None:
    name = "    name: Name"
    image.replace("app/entities/camera.py", name, f"    housing: MaybeLine = None\n{name}")


@contextmanager
def served(image: Image, url: str) -> Iterator[httpx.Client]:
    """Serve a database with an image; stop it by its own means."""
    process = image.start("serve", DATABASE_URL=url, PORT=0, HEALTH_CACHE=0)
    try:
        assert process.stderr is not None
        line = next(line for line in process.stderr if "serves on" in line)
        with PlainClient(base_url=line.split()[-1], timeout=20) as client:
            yield client
    finally:
        process.terminate()
        process.communicate(timeout=20)


def fates(client: httpx.Client) -> dict[str, Any]:
    """Ask for everything; give health's answer and the status of every list."""
    health = client.get("/health")
    lists = {
        name: client.get(f"/api/{name}/production/{uuid4()}").status_code
        for name in health.json()["resources"]
        if name not in {"changes", "installation", "productions", "show"}
    }
    for name in ("equipment", "formats", "settings"):
        lists[name] = client.get(f"/api/{name}").status_code
    return {"health": health.status_code, "body": health.json(), "lists": lists}


def test_the_incident_replayed(image: Image, empty_database: str) -> None:
    """A field of the model, and no migration."""
    with_housing(image)
    refused = image.run("release", "--json", DATABASE_URL=empty_database)
    told = json.loads(refused.stdout)
    assert (refused.returncode, told["verdict"]) == (13, "BROKEN")
    assert "cameras" in told["words"]
    assert "housing" in told["words"]


def test_the_incident_forced(image: Image, own_database: str) -> None:
    with_housing(image)
    with served(image, own_database) as client:
        found = fates(client)
    assert found["health"] == 503
    assert "housing" in found["body"]["resources"]["cameras"]
    assert found["lists"]["cameras"] == 503
    assert 500 not in found["lists"].values()


def test_the_newer_image_on_the_older_schema_waits(newer: Image, own_database: str) -> None:
    with served(newer, own_database) as client:
        found = fates(client)
    assert (found["health"], found["body"]["schema"]["state"]) == (503, "behind")
    assert 500 not in found["lists"].values()


def test_the_previous_image_on_the_newer_schema_serves(
    newer: Image, tmp_path_factory: pytest.TempPathFactory, own_database: str
) -> None:
    migrated = newer.run("release", DATABASE_URL=own_database)
    assert migrated.returncode == 0, migrated.stderr
    previous = Image(tmp_path_factory.mktemp("previous"))
    with served(previous, own_database) as client:
        found = fates(client)
    assert (found["health"], found["body"]["schema"]["state"]) == (200, "ahead")
    assert set(found["lists"].values()) == {200}

    ahead = previous.run("release", DATABASE_URL=own_database)
    assert (ahead.returncode, NEW in ahead.stderr) == (14, True)
    allowed = previous.run("release", "--allow-ahead", DATABASE_URL=own_database)
    assert allowed.returncode == 0, allowed.stderr


def test_the_previous_image_on_a_schema_that_broke_it_says_so(
    own_database: str, image: Image, tmp_path_factory: pytest.TempPathFactory
) -> None:
    image.revision(
        NEW, revisions.head(), phase="contract", table="cameras",
        body='def upgrade() -> None:\n    with beside() as steps:\n'
             '        steps.brief(ddl.drop_columns("cameras", ["lens_type"]))\n',
    )  # fmt: skip
    image.replace("app/entities/camera.py", "    lens_type: MaybeLine = None\n", "")
    migrated = image.run("release", DATABASE_URL=own_database)
    assert migrated.returncode == 0, migrated.stderr
    previous = Image(tmp_path_factory.mktemp("previous"))
    with served(previous, own_database) as client:
        found = fates(client)
    assert (found["health"], found["body"]["schema"]["state"]) == (503, "ahead")
    assert found["lists"]["cameras"] == 503
    allowed = previous.run("release", "--allow-ahead", DATABASE_URL=own_database)
    assert (allowed.returncode, "lens_type" in allowed.stderr) == (14, True)


async def test_an_image_that_needs_more_does_not_serve_in_between(empty_database: str) -> None:
    names = [revision.name for revision in revisions.history()]
    before = names[: names.index(revisions.needed())]
    assert [name for name in names if revisions.state(name) == "behind"] == before
    await upgrade(empty_database, revisions.needed(), say=quiet)

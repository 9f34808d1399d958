"""The rows that are measured: made through the service's own store, then put at rest."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import Any, Final
from uuid import UUID

import asyncpg

from app import postgres
from app.database_url import DatabaseUrl
from app.db import Database
from app.postgres_home import existing_homes
from app.releases import migrate
from app.settings import Settings
from app.show import load

SMALL, LARGE = 20, 500

# Rows as they are after a night's rest: times that JSON and PostgreSQL both write exactly, no
# dead rows, fresh statistics.
_REST: Final = (
    "UPDATE cameras SET created_at = date_trunc('milliseconds', created_at), "
    "updated_at = date_trunc('milliseconds', updated_at), "
    "field_versions = coalesce(field_versions, '{}')"
)
_TIDY: Final = ("TRUNCATE changes", "VACUUM (ANALYZE) cameras", "VACUUM (ANALYZE) productions")
_EXTRA: Final = "DELETE FROM cameras WHERE production_uuid = $1 AND uuid <> ALL($2::uuid[])"
_CAMERAS: Final = (
    "SELECT uuid FROM cameras WHERE production_uuid = $1 ORDER BY created_at, cameras.uuid"
)


@dataclass(frozen=True)
class Show:
    """What was seeded, as uuids: two productions to read and one to write in."""

    small: str
    large: str
    scratch: str
    scratch_label: str
    cameras: tuple[str, ...]
    scratch_cameras: tuple[str, ...]


@contextmanager
def postgresql() -> Iterator[str]:
    """Run an empty PostgreSQL in a folder of its own; give its URL. Durable, as in production."""
    with TemporaryDirectory(prefix="signalbook-bench-") as name:
        Path(name).chmod(0o711)  # root's PostgreSQL runs as another account, which must get in
        folder = Path(name) / "postgres"
        try:
            with postgres.start(folder) as server:
                yield server.url
        finally:
            for home in existing_homes(folder):
                rmtree(home.folder, ignore_errors=True)


async def seed(url: str) -> Show:
    """Migrate the database and fill it."""
    await migrate.upgrade(url, say=_quietly)
    database = Database(DatabaseUrl.parse(url), Settings())
    await database.open()
    try:
        labels = [await _load(database, count) for count in (SMALL, LARGE, SMALL)]
    finally:
        await database.close()
    return await _settled(url, labels)


async def tidy(url: str, show: Show) -> None:
    """Take away what the last turn wrote, so that every turn starts from the same rows."""
    connection = await connect(url)
    try:
        await connection.execute(_EXTRA, show.scratch, list(show.scratch_cameras))
        for statement in _TIDY:
            await connection.execute(statement)
    finally:
        await connection.close()


async def version(url: str) -> str:
    """Give the version of the PostgreSQL that answers."""
    connection = await connect(url)
    try:
        return str(await connection.fetchval("SHOW server_version"))
    finally:
        await connection.close()


async def connect(url: str) -> asyncpg.Connection:
    """Open a connection of our own, beside the servers'."""
    return await asyncpg.connect(**DatabaseUrl.parse(url).connect_args())


def _quietly(_: str) -> None:
    """Say nothing."""


async def _load(database: Database, count: int) -> str:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "show.json"
        file.write_text(json.dumps(_show(count)))
        return await load(database, file, _quietly)


async def _settled(url: str, labels: list[str]) -> Show:
    connection = await connect(url)
    try:
        await connection.execute(_REST)
        small, large, scratch = [await _production(connection, label) for label in labels]
        show = Show(
            small=str(small),
            large=str(large),
            scratch=str(scratch),
            scratch_label=labels[2],
            cameras=await _cameras(connection, small),
            scratch_cameras=await _cameras(connection, scratch),
        )
    finally:
        await connection.close()
    await tidy(url, show)
    return show


async def _production(connection: asyncpg.Connection, label: str) -> UUID:
    found: UUID = await connection.fetchval("SELECT uuid FROM productions WHERE id = $1", label)
    return found


async def _cameras(connection: asyncpg.Connection, production: UUID) -> tuple[str, ...]:
    return tuple(str(row["uuid"]) for row in await connection.fetch(_CAMERAS, production))


def _show(count: int) -> dict[str, Any]:
    """Give a show with every field of its cameras filled, one CCU for four of them."""
    return {
        "production": {"showName": f"Benchmark of {count}", "venue": "Convention Center"},
        "ccus": [{"id": f"CCU {n}", "name": f"CCU {n}"} for n in range(1, count // 4 + 1)],
        "cameras": [_camera(n) for n in range(count)],
    }


def _camera(number: int) -> dict[str, Any]:
    supports = ("HeavyTripod", "MediumTripod", "Tripod", "ShortTripod", "Dolly", "Jib",
                "Steadicam", "MagicArm")  # fmt: skip
    return {
        "id": f"CAM {number + 1}",
        "name": f"LONG LENS CENTER {number + 1}",
        "note": "On the riser behind row 20; “tally” over fibre.",
        "manufacturer": "Example Optics",
        "model": "EX-4300",
        "formatMode": "1080p59.94",
        "lensType": "Box",
        "maxZoom": 86,
        "shootingDistance": 112.5 + number,
        "calculatedZoom": 71.3,
        "focalLength": 764.2,
        "smpteCableLength": 330,
        **{f"has{support}": n == number % 8 for n, support in enumerate(supports)},
        "ccuId": f"CCU {number // 4 + 1}",
        "equipmentUuid": f"00000000-0000-4000-8000-{number:012d}",
        "lastModifiedBy": "benchmark",
    }

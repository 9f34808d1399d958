"""The rows that are measured: made by the service's own store, then vacuumed and analysed."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import Any, Final
from uuid import UUID

import asyncpg
from pydantic_core import from_json

from app.cli.load_show import SAMPLE, load
from app.database import embedded
from app.database.database import Database
from app.database.embedded_home import existing_homes
from app.database.url import DatabaseUrl
from app.releases.migrations import alembic_runner
from app.settings import Settings

SMALL, LARGE, EDITED = 20, 500, 100
MADE: Final = "Made by the benchmark"
"""The name of the productions that a workload creates."""

# Rows as they are after a quiet night: times that JSON and PostgreSQL both write exactly, no dead
# rows, fresh statistics.
_REST: Final = (
    "UPDATE {table} SET created_at = date_trunc('milliseconds', created_at), "
    "updated_at = date_trunc('milliseconds', updated_at), "
    "field_versions = coalesce(field_versions, '{{}}')"
)
_RESTING: Final = ("cameras", "ccus", "sources", "sends", "cable_snakes", "connections")
# Without foreign keys: deleting a production would search every other table for its rows, and there
# are none.
_TIDY: Final = (
    "TRUNCATE changes", "SET session_replication_role = replica",
    f"DELETE FROM productions WHERE show_name = '{MADE}'",
    "VACUUM (ANALYZE) cameras", "VACUUM (ANALYZE) productions", "CHECKPOINT",
)  # fmt: skip
_EXTRA: Final = (
    "DELETE FROM cameras WHERE production_uuid = $1 AND NOT is_deleted AND uuid <> ALL($2::uuid[])"
)
_PRODUCTION: Final = "SELECT uuid FROM productions WHERE id = $1"
_CAMERAS: Final = (
    "SELECT uuid FROM cameras WHERE production_uuid = $1 AND NOT is_deleted "
    "ORDER BY created_at, cameras.uuid"
)


@dataclass(frozen=True)
class Show:
    """What was seeded, as uuids.

    ``small`` are productions of 20 cameras and ``large`` is one of 500; ``sample`` is the sample
    show, ``cameras`` are those to get, ``scratch`` is the production to write in, and ``edited``
    are cameras of as many productions.
    """

    small: tuple[str, ...]
    cameras: tuple[str, ...]
    scratch: str
    scratch_label: str
    scratch_cameras: tuple[str, ...]
    large: str = ""
    sample: str = ""
    edited: tuple[str, ...] = ()


Fill = Callable[[asyncpg.Connection], Awaitable[Show]]


@contextmanager
def postgresql() -> Iterator[str]:
    """Run an empty PostgreSQL in a folder of its own, durable as in production; yield its URL."""
    with TemporaryDirectory(prefix="signalbook-bench-") as name:
        Path(name).chmod(0o711)  # run by root, PostgreSQL uses another account, which must get in
        folder = Path(name) / "postgres"
        try:
            with embedded.start(folder) as server:
                yield server.url
        finally:
            for home in existing_homes(folder):
                rmtree(home.folder, ignore_errors=True)


async def seed(url: str) -> Show:
    """Migrate the database and fill it."""
    shows = [_show(SMALL), _show(LARGE), _show(SMALL), from_json(SAMPLE.read_bytes())]
    labels = await _loaded(url, [*shows, *[_show(1)] * EDITED])
    return await _settled(url, partial(_places, labels))


async def seed_small(url: str, fill: Fill) -> Show:
    """Migrate the database, make one show of 20 cameras labelled SHOW 1, and fill it further."""
    await _loaded(url, [_show(SMALL)])
    return await _settled(url, fill)


async def tidy(url: str, show: Show) -> None:
    """Delete what the last turn wrote, so that every turn starts from the same rows."""
    connection = await connect(url)
    try:
        await connection.execute(_EXTRA, show.scratch, list(show.scratch_cameras))
        for statement in _TIDY:
            await connection.execute(statement)
    finally:
        await connection.close()


async def logged(url: str) -> int:
    """Count the entries of the change log."""
    connection = await connect(url)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM changes"))
    finally:
        await connection.close()


async def version(url: str) -> str:
    """Return the version of the PostgreSQL that answers."""
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


async def _loaded(url: str, shows: list[dict[str, Any]]) -> list[str]:
    """Migrate, load the shows and return their labels."""
    await alembic_runner.upgrade(url, say=_quietly)
    database = Database(DatabaseUrl.parse(url), Settings())
    await database.open()
    try:
        return [await load(database, show, _quietly) for show in shows]
    finally:
        await database.close()


async def _settled(url: str, find: Fill) -> Show:
    connection = await connect(url)
    try:
        for table in _RESTING:
            await connection.execute(_REST.format(table=table))
        show = await find(connection)
        await connection.execute("VACUUM (ANALYZE)")
    finally:
        await connection.close()
    await tidy(url, show)
    return show


async def _places(labels: list[str], connection: asyncpg.Connection) -> Show:
    """Find the rows of the shows that ``seed`` loaded."""
    places = [await connection.fetchval(_PRODUCTION, label) for label in labels]
    small, large, scratch, sample, *others = places
    return Show(
        small=(str(small),),
        large=str(large),
        scratch=str(scratch),
        scratch_label=labels[2],
        sample=str(sample),
        cameras=await cameras(connection, small),
        scratch_cameras=await cameras(connection, scratch),
        edited=tuple([(await cameras(connection, other))[0] for other in others]),
    )


async def cameras(connection: asyncpg.Connection, production: UUID) -> tuple[str, ...]:
    """Return the uuids of a production's cameras, oldest first."""
    return tuple(str(row["uuid"]) for row in await connection.fetch(_CAMERAS, production))


def _show(count: int) -> dict[str, Any]:
    """Return a show with every field of its cameras filled, and one CCU for four of them."""
    return {
        "production": {"showName": f"Benchmark of {count}", "venue": "Convention Center"},
        "ccus": [{"id": f"CCU {n}", "name": f"CCU {n}"} for n in range(1, -(-count // 4) + 1)],
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

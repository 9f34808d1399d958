"""Databases of 10, 1,000 and 100,000 productions, all on one server.

Each has a show made by the store. SQL copies its 20 cameras and five CCUs into the other shows;
through the API that would take an hour. In the largest database only every hundredth show is whole,
and the others have four cameras and a CCU, so that filling it takes less than a minute.
"""

import asyncio
from functools import partial
from typing import Final

import asyncpg

from app.database.url import DatabaseUrl
from scripts.benchmarks import show
from scripts.benchmarks.load import Generator
from scripts.benchmarks.serving import Stage
from scripts.benchmarks.show import Show

SIZES: Final = (10, 1_000, 100_000)
_WHOLE: Final = 1_000  # whole shows in a database, if it has as many
_READ: Final = 200  # whole shows that are read
_FIRST: Final = (
    "(SELECT uuid FROM productions WHERE id = 'SHOW 1')"  # made by the store; written to
)
_PRODUCTIONS: Final = f"""
    INSERT INTO productions (uuid, id, client, show_name, venue, source_types, created_at)
    SELECT gen_random_uuid(), 'SHOW ' || n, client, show_name || ' ' || n, venue, source_types,
        date_trunc('milliseconds', now()) - n * interval '1 minute'
    FROM productions, generate_series(2, $1) AS n WHERE productions.uuid = {_FIRST}
"""
# A copy's uuid is derived from its original's, so references can be derived too. The rows of a show
# stand together, as they do when a show is made in one day.
_COPIES: Final = f"""
    INSERT INTO {{table}} ({{columns}}) SELECT {{values}}
    FROM {{table}} AS original, productions AS p
    WHERE original.production_uuid = {_FIRST} AND p.uuid <> {_FIRST}
        AND ({{whole}} OR original.id IN ('CAM 1', 'CAM 2', 'CAM 3', 'CAM 4', 'CCU 1'))
    ORDER BY p.uuid, original.created_at, original.uuid
"""
_COLUMNS: Final = (
    "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 "
    "AND NOT attisdropped ORDER BY attnum"
)
_SPREAD: Final = (
    f"SELECT uuid FROM productions AS p WHERE uuid <> {_FIRST} AND {{whole}} "
    "ORDER BY md5(uuid::text) LIMIT $1"
)


def database(url: str, size: int, generator: Generator) -> Stage:
    """Make a database of so many productions beside the one at ``url``, and fill it."""
    return asyncio.run(_stage(url, size, generator))


async def _stage(url: str, size: int, generator: Generator) -> Stage:
    grown = await _created(url, f"grown_{size}")
    return Stage(grown, await show.seed_small(grown, partial(_fill, size)), generator)


async def _created(url: str, name: str) -> str:
    connection = await show.connect(url)
    try:
        await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()
    # The server asks for no password, so the redacted form is complete.
    return DatabaseUrl.parse(url).with_database(name).redacted()


async def _fill(size: int, connection: asyncpg.Connection) -> Show:
    """Copy the first show until there are ``size``; return the rows to measure."""
    whole = f"substr(p.id, 6)::int % {max(1, size // _WHOLE)} = 0"
    async with connection.transaction():
        # No foreign key is checked: each row is copied together with the row that it names.
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute("SET LOCAL work_mem = '256MB'")
        await connection.execute(_PRODUCTIONS, size)
        for table in ("ccus", "cameras"):
            await connection.execute(await _copies(connection, table, whole))
    await connection.execute("ANALYZE")
    return await _measured(connection, whole)


async def _copies(connection: asyncpg.Connection, table: str, whole: str) -> str:
    columns = [row["attname"] for row in await connection.fetch(_COLUMNS, table)]
    values = ", ".join(_COPIED.get(column, f'original."{column}"') for column in columns)
    quoted = ", ".join(f'"{column}"' for column in columns)
    return _COPIES.format(table=table, columns=quoted, values=values, whole=whole)


def _derived(column: str) -> str:
    return f"md5(p.uuid::text || original.{column}::text)::uuid"


_COPIED: Final = {
    "uuid": _derived("uuid"),
    "ccu_uuid": _derived("ccu_uuid"),
    "production_uuid": "p.uuid",
}


async def _measured(connection: asyncpg.Connection, whole: str) -> Show:
    """Choose productions from everywhere in the table to read, and the store's one to write."""
    scratch = await connection.fetchval(_FIRST)
    read = [row["uuid"] for row in await connection.fetch(_SPREAD.format(whole=whole), _READ)]
    return Show(
        small=tuple(map(str, read)),
        cameras=tuple([(await show.cameras(connection, production))[0] for production in read]),
        scratch=str(scratch),
        scratch_label="SHOW 1",
        scratch_cameras=await show.cameras(connection, scratch),
    )

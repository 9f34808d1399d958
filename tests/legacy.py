"""An older service's database as a carry-over may meet it, and ways to compare it afterwards."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from app.database.url import DatabaseUrl
from app.installation.shipped_devices import OURS
from app.releases.migrations.alembic_runner import upgrade
from app.releases.migrations.revisions import history
from tests import foreign_tables, older_rows

TABLES: Final = older_rows.TABLES


def quiet(_: str) -> None:
    """Say nothing."""


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Lend a connection as a service has it."""
    connection = await asyncpg.connect(**DatabaseUrl.parse(url).connect_args())
    try:
        yield connection
    finally:
        await connection.close()


async def live(
    url: str, connection: asyncpg.Connection, share: float = 1.0, *, lacking: Sequence[str] = ()
) -> None:
    """Make an empty database one of a live older service: no history of ours, tables not ours.

    ``lacking`` are tables that its version does not have yet, with their types.
    """
    await upgrade(url, history()[0].name, say=quiet)
    await connection.execute("DROP TABLE alembic_version")
    await populate(connection, share)
    await lose(connection, lacking)
    await foreign_tables.add(connection)


async def lose(connection: asyncpg.Connection, tables: Sequence[str]) -> None:
    """Drop tables as if they had never been there; so too the types that nothing uses then."""
    for table in tables:
        await connection.execute(f"DROP TABLE {table} CASCADE")
    unused = await connection.fetch(
        "SELECT oid::regtype::text AS name FROM pg_type WHERE typtype = 'e'"
        " AND NOT EXISTS (SELECT FROM pg_attribute WHERE atttypid = pg_type.oid)"
    )
    for kind in unused:
        await connection.execute(f"DROP TYPE {kind['name']}")


async def populate(connection: asyncpg.Connection, share: float = 1.0) -> None:
    """Fill all its tables with ``share`` of about 13,000 rows."""
    async with connection.transaction():
        for table, rows in older_rows.make_rows(share).items():
            await connection.execute(
                f"INSERT INTO {table} SELECT * FROM jsonb_populate_recordset(NULL::{table}, $1)",
                json.dumps(rows),
            )
        # A JSON null is not SQL's NULL; both must survive.
        await connection.execute("UPDATE ccus SET outputs = 'null' WHERE id LIKE '%7'")
        await connection.execute("UPDATE equipment_specs SET specs = 'null' WHERE id LIKE '%7'")


# What a text key reads as once only its uuid is left; the note texts are compared as lists.
SUCCEEDED: Final = {
    "production_id": "(SELECT p.id FROM productions p WHERE p.uuid = t.production_uuid)",
    "ccu_id": "(SELECT p.id FROM ccus p WHERE p.uuid = t.ccu_uuid)",
    "source_id": "(SELECT p.id FROM sources p WHERE p.uuid = t.source_uuid)",
}

Columns = dict[str, dict[str, str]]


async def columns(connection: asyncpg.Connection) -> Columns:
    """Return each older table's columns with their types, as they are now; none if it is not."""
    found = await connection.fetch(
        "SELECT table_name, column_name, data_type FROM information_schema.columns"
        " WHERE table_name = ANY($1) ORDER BY 1, ordinal_position",
        TABLES,
    )
    grouped: Columns = {table: {} for table in TABLES}
    for table, column, kind in found:
        grouped[table][column] = kind
    return grouped


_SHIPPED: Final = f"s.last_modified_by = '{OURS}'"
_OLDER: Final = {
    "equipment_specs": f" WHERE (SELECT {_SHIPPED} FROM equipment_specs s WHERE s.id = t.id) "
    "IS NOT TRUE",
    "equipment_io_ports": f" WHERE NOT EXISTS (SELECT FROM equipment_specs s WHERE {_SHIPPED} "
    "AND s.id = t.equipment_id)",
}


async def contents(connection: asyncpg.Connection, older: Columns) -> dict[str, tuple[int, str]]:
    """Return each table's row count and a hash of its ``older`` columns, whatever holds them now.

    Times are compared as instants in UTC; a text key that is gone is read through its uuid. Tables
    without older columns are left out, and so are the devices that a release has loaded.
    """
    now = await columns(connection)
    answer = {}
    for table in filter(older.get, TABLES):
        chosen = ", ".join(
            f"{reading(name, now[table].get(name))} AS {name}"
            for name in older[table]
            if name not in {"completion_note", "more_info"} or name in now[table]
        )
        rows = f"SELECT {chosen} FROM {table} t{_OLDER.get(table, '')}"
        found = await connection.fetchrow(
            "SELECT count(*), md5(string_agg(to_json(r)::text, E'\\n'"
            f' ORDER BY r.id COLLATE "C")) FROM ({rows}) r'
        )
        assert found is not None
        answer[table] = (found[0], found[1])
    return answer


def reading(name: str, kind: str | None) -> str:
    """Return the expression that reads an older column of a row ``t``, whatever holds it now."""
    if kind is None:
        return SUCCEEDED[name]
    return f"extract(epoch FROM t.{name})" if kind.startswith("timestamp") else f"t.{name}"


async def catalogue(connection: asyncpg.Connection) -> list[str]:
    """Describe the schema in lines: columns, constraints, indexes, triggers and functions."""
    found = await connection.fetch(
        """
        SELECT format('%s.%s %s %s %s', attrelid::regclass, attname,
            format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid)) AS line
        FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
            LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0
            AND NOT attisdropped AND relname <> ALL('{alembic_version, release_backfill}')
        UNION ALL
        SELECT format('%s %s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid),
            convalidated)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
        UNION ALL
        SELECT format('%s %s', pg_get_indexdef(indexrelid), indisvalid)
        FROM pg_index JOIN pg_class c ON c.oid = indexrelid
        WHERE relnamespace = 'public'::regnamespace
        UNION ALL
        SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL
        SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        ORDER BY 1"""
    )
    return [row["line"] for row in found if "release_backfill" not in row["line"]]


async def files(connection: asyncpg.Connection) -> dict[str, int]:
    """Return the file each table is stored in: another file means that it was rewritten."""
    found = await connection.fetch(
        "SELECT relname, relfilenode FROM pg_class WHERE relname = ANY($1) AND relkind = 'r'",
        TABLES,
    )
    return {row["relname"]: row["relfilenode"] for row in found}

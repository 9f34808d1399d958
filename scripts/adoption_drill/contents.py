"""Hashes of the rows that nobody touches, and rows whose foreign key names nothing.

A table's hash is a sum over hashes of its rows, so it needs no order and no memory.
"""

from typing import Final

import asyncpg

from scripts.adoption_drill.older_database import YOUNGER
from tests import legacy
from tests.legacy import Columns

Contents = dict[str, tuple[int, str]]

# Two sums: with one of 64 bits alone, two tables could be equal by chance.
_HASHED: Final = """SELECT count(*), concat(sum(hashtextextended(line, 1)::numeric), ' ',
    sum(hashtextextended(line, 2)::numeric)) FROM (SELECT to_json(r)::text AS line
    FROM (SELECT {chosen} FROM {table} t WHERE {when} < '{younger}') r) lines"""
# Notes become lists; they are compared as the lists that they should have become.
_NOTES: Final = ("more_info", "completion_note")
_AS_LIST: Final = """CASE WHEN t.{note} LIKE '[%' THEN t.{note}::jsonb
    WHEN t.{note} IS NOT NULL THEN jsonb_build_array(t.{note}) END"""


async def contents(connection: asyncpg.Connection, older: Columns) -> Contents:
    """Return count and hash of the untouched rows of every table, over its ``older`` columns."""
    now = await legacy.columns(connection)
    answer: Contents = {}
    for table, columns in older.items():
        chosen = ", ".join(f"{_reading(name, now[table])} AS {name}" for name in columns)
        when = '"timestamp"' if table == "events" else "created_at"
        sql = _HASHED.format(chosen=chosen, table=table, when=f"t.{when}", younger=YOUNGER)
        row = await connection.fetchrow(sql)
        assert row is not None
        answer[table] = (row[0], row[1])
    return answer


def _reading(name: str, now: dict[str, str]) -> str:
    if name in _NOTES:
        return _AS_LIST.format(note=name) if name in now else f"t.{name}_list"
    return legacy.reading(name, now.get(name))


_FOREIGN_KEYS: Final = """SELECT conname, conrelid::regclass::text AS child,
    confrelid::regclass::text AS parent, convalidated,
    (SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = conrelid
        AND attnum = conkey[1]) AS link,
    (SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = confrelid
        AND attnum = confkey[1]) AS key
    FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace
        AND array_length(conkey, 1) = 1 ORDER BY 1"""


async def orphans(connection: asyncpg.Connection) -> tuple[int, list[str]]:
    """Return how many foreign keys there are, and a fault for each that is broken or NOT VALID."""
    keys = await connection.fetch(_FOREIGN_KEYS)
    faults = []
    for key in keys:
        count = await connection.fetchval(
            f"SELECT count(*) FROM {key['child']} c WHERE c.{key['link']} IS NOT NULL AND NOT"
            f" EXISTS (SELECT FROM {key['parent']} p WHERE p.{key['key']} = c.{key['link']})"
        )
        if count:
            faults.append(f"{count} rows of {key['child']} name nothing by {key['conname']}")
        if not key["convalidated"]:
            faults.append(f"{key['conname']} of {key['child']} is NOT VALID")
    return len(keys), faults

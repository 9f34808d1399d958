"""The one row in which Alembic keeps the database's revision, read whatever it has become.

A table of two rows, of NULL or of another form is no revision: guessing one would migrate from the
wrong place.
"""

from collections.abc import Sequence
from typing import Any, Final

import asyncpg

from app.releases.verdict import MigrationError

# Whether the table is there, wherever a session searches, and whether its form is Alembic's.
FORM: Final = """SELECT c.oid IS NOT NULL AS there, coalesce(c.relkind IN ('r', 'p') AND EXISTS (
    SELECT FROM pg_attribute WHERE attrelid = c.oid AND attname = 'version_num' AND attnum > 0
      AND NOT attisdropped AND atttypid IN ('varchar'::regtype, 'text'::regtype)), false) AS fits
  FROM (SELECT to_regclass('public.alembic_version') AS oid) AS named
  LEFT JOIN pg_class c USING (oid)"""
ROWS: Final = "SELECT version_num FROM public.alembic_version ORDER BY 1 LIMIT 5"
_FOUND: Final = "alembic_version, in which the database's revision stands,"
_MEND: Final = (
    "Nothing was changed. Find out which revision the schema is at (python -m app release status "
    "lists the runs of the gate; a backup may tell), and leave that one row"
)


class BadVersionRow(MigrationError):
    """``alembic_version`` names no single revision; the message says how, and what to do."""


LOST: Final = (
    "Tables of ours stand here and no revision is noted (alembic_version is empty or gone): find "
    "out which revision the schema is at, and note it. A backup may tell, and the runs in python "
    "-m app release status."
)


def single_revision(rows: Sequence[str | None]) -> str | None:
    """Return the revision of these rows, None for no row. Raises BadVersionRow: two, or blank."""
    if len(rows) > 1:
        listed = ", ".join(row or "NULL" for row in rows)
        raise BadVersionRow(
            f"{_FOUND} holds {len(rows)} rows ({listed}) where it must hold one. {_MEND}: "
            "DELETE FROM alembic_version WHERE version_num <> 'THE_REVISION'."
        )
    if rows and not (rows[0] or "").strip():
        raise BadVersionRow(
            f"{_FOUND} holds a row that names no revision. {_MEND}: "
            "UPDATE alembic_version SET version_num = 'THE_REVISION'."
        )
    return rows[0] if rows else None


def raise_unless_fits(*, there: bool, fits: bool) -> None:
    """Raise BadVersionRow where a table of that name is not Alembic's."""
    if there and not fits:
        raise BadVersionRow(
            f"{_FOUND} is no table with a column version_num of text: something else has that "
            "name. Nothing was changed. Rename it, or give Signalbook a database of its own."
        )


async def live_revision(connection: asyncpg.Connection) -> str | None:
    """Return the database's revision, None where it was never migrated. Raises BadVersionRow."""
    form: Any = await connection.fetchrow(FORM)
    raise_unless_fits(there=form["there"], fits=form["fits"])
    if not form["there"]:
        return None
    return single_revision([row["version_num"] for row in await connection.fetch(ROWS)])

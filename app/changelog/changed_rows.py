"""What became of each row of a production since a change number, and when a change was made."""

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from app.changelog.feed import OLDEST, gap
from app.database.database import Database
from app.sql.registry import statement

# Of each row that changed after number $2: whether it was made since, and how it is now.
_CHANGED: Final = statement(
    "SELECT place.change_seq AS latest, "
    f"coalesce(({OLDEST}), place.change_seq + 1) AS oldest, one.* "
    "FROM productions AS place LEFT JOIN LATERAL (SELECT collection, entity_uuid, "
    "(array_agg(operation ORDER BY seq))[1] AS first, "
    "(array_agg(operation ORDER BY seq DESC))[1] AS last, "
    "(array_agg(entity->>'id' ORDER BY seq DESC))[1] AS label "
    "FROM changes WHERE production_uuid = place.uuid AND seq > $2 "
    "GROUP BY collection, entity_uuid) AS one ON TRUE WHERE place.uuid = $1"
)
_MOMENT: Final = statement("SELECT at FROM changes WHERE production_uuid = $1 AND seq = $2")


class ChangedRow(NamedTuple):
    """A row that changed, by the label that it has or had."""

    collection: str
    uuid: str
    label: str
    is_new: bool
    is_deleted: bool


async def changed_rows(database: Database, production: UUID, since: int) -> list[ChangedRow]:
    """Return each row that changed after a number.

    Raises LogTrimmed where the log does not hold what followed it.
    """
    async with database.connection() as connection:
        rows = await connection.fetch(_CHANGED, production, since)
    if rows and (error := gap(production, rows[0], since)):
        raise error
    return [
        ChangedRow(
            row["collection"], str(row["entity_uuid"]), row["label"] or str(row["entity_uuid"]),
            row["first"] == "CREATE", row["last"] == "DELETE",
        )
        for row in rows
        if row["entity_uuid"] is not None
    ]  # fmt: skip


async def moment_of(database: Database, production: UUID, seq: int) -> datetime | None:
    """Return when a change was made; None where the log does not hold it."""
    row = await database.row(_MOMENT, production, seq)
    return row["at"] if row else None

"""What stands in the database's catalogue, so that a step can see whether it is already done.

Offline there is no catalogue: every question is answered so that the step prints in full.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from app.releases.migrations.steps import Steps

_UNVALIDATED: Final = "Signalbook validates this again"


class ForeignKey(NamedTuple):
    """A foreign key: on which table, under which name, its definition, and whether validated.

    Table and name come quoted, ready to stand in a statement. ``marked`` when we made it
    unvalidated and have to validate it again.
    """

    table: str
    name: str
    definition: str
    valid: bool
    marked: bool

    def mark(self) -> str:
        """Return the statement that notes, in the catalogue itself, that it is to be validated."""
        return f"COMMENT ON CONSTRAINT {self.name} ON {self.table} IS '{_UNVALIDATED}'"


def index_is_valid(steps: Steps, name: str) -> bool | None:
    """Return whether the index stands; False is a build that was interrupted, None no index."""
    return steps.value("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)", name)


def constraint_is_valid(steps: Steps, table: str, name: str) -> bool | None:
    """Return whether the constraint is validated; None when there is no such constraint."""
    return steps.value(
        "SELECT convalidated FROM pg_constraint"
        " WHERE conrelid = to_regclass($1) AND conname = $2::text",
        table, name,
    )  # fmt: skip


def is_not_null(steps: Steps, table: str, column: str) -> bool:
    """Return whether the column already refuses NULL."""
    return bool(steps.value(
        "SELECT attnotnull FROM pg_attribute"
        " WHERE attrelid = to_regclass($1) AND attname = $2::text",
        table, column,
    ))  # fmt: skip


def key_column(steps: Steps, table: str) -> str | None:
    """Return the (first) column of the table's primary key."""
    return steps.value(
        "SELECT attname::text FROM pg_index JOIN pg_attribute"
        " ON attrelid = indrelid AND attnum = indkey[0]"
        " WHERE indrelid = to_regclass($1) AND indisprimary",
        table,
    )


def foreign_keys_on(steps: Steps, index: str) -> list[ForeignKey]:
    """List the foreign keys that depend on this unique index, whoever's tables they stand on."""
    rows = steps.rows(
        "SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid),"
        " convalidated, obj_description(oid, 'pg_constraint') IS NOT DISTINCT FROM $2::text"
        " FROM pg_constraint WHERE contype = 'f' AND conindid = to_regclass($1) ORDER BY 1, 2",
        index,
        _UNVALIDATED,
    )
    return [ForeignKey(*row) for row in rows]


def without_zone(steps: Steps, table: str, columns: Sequence[str]) -> list[str]:
    """Name those of the columns that are still timestamps without a zone, in the given order."""
    rows = steps.rows(
        "SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass($1)"
        " AND attname = ANY($2::text[]) AND atttypid <> 'timestamp'::regtype",
        table, list(columns),
    )  # fmt: skip
    other = {row[0] for row in rows}
    return [column for column in columns if column not in other]

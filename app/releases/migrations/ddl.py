"""The single steps of a phased change: each idempotent, each under the weakest lock that does it.

Names follow PostgreSQL's own: ``cameras_ccu_uuid_fkey``, ``cameras_ccu_uuid_idx``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.releases.migrations import catalogue
from app.releases.migrations.migration_session import ACROSS_TABLES
from app.releases.migrations.steps import Steps

NOW: Final = "CURRENT_TIMESTAMP"
LIVE: Final = "NOT is_deleted"


@dataclass(frozen=True)
class Index:
    """An index on ``columns`` ("production_uuid, id"), over all rows or those ``where`` says.

    One on an expression is ``called`` something; any other bears PostgreSQL's own name for it.
    """

    columns: str
    where: str = ""
    unique: bool = False
    called: str = ""

    def name(self, table: str) -> str:
        """Return its name."""
        return self.called or "_".join(
            [table, *self.columns.split(", "), "key" if self.unique else "idx"]
        )


def add_columns(steps: Steps, table: str, columns: Mapping[str, str]) -> None:
    """Add columns. A NOT NULL one needs a constant default, else every row is rewritten."""
    added = (f"ADD COLUMN IF NOT EXISTS {name} {kind}" for name, kind in columns.items())
    steps.brief(f"ALTER TABLE {table} {', '.join(added)}")


def drop_columns(table: str, columns: Iterable[str]) -> str:
    """Return the statement that drops columns, and with them their indexes and constraints."""
    dropped = (f"DROP COLUMN IF EXISTS {name}" for name in columns)
    return f"ALTER TABLE {table} {', '.join(dropped)}"


def add_key(steps: Steps, table: str) -> None:
    """Add the ``uuid`` column; its default is for new rows, so that no row is rewritten."""
    steps.brief(
        f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS uuid uuid",
        f"ALTER TABLE {table} ALTER COLUMN uuid SET DEFAULT gen_random_uuid()",
    )


def build_index(steps: Steps, table: str, index: Index) -> None:
    """Build an index while others write; one that an interrupted build left INVALID is rebuilt.

    IF NOT EXISTS would call such a leftover done.
    """
    name = index.name(table)
    valid = catalogue.index_is_valid(steps, name)
    if valid is False:
        steps.say(f"Index {name} was left invalid by an interrupted build; building it again.")
        drop_index(steps, name)
    if not valid:
        kind = "UNIQUE INDEX" if index.unique else "INDEX"
        where = f" WHERE {index.where}" if index.where else ""
        steps.patient(
            f"CREATE {kind} CONCURRENTLY {name} ON {table} ({index.columns}){where}",
            undo=_drop_index(name),
        )


def drop_index(steps: Steps, name: str) -> None:
    """Drop an index while others read and write its table."""
    steps.patient(_drop_index(name))


def _drop_index(name: str) -> str:
    return f"DROP INDEX CONCURRENTLY IF EXISTS {name}"


def set_not_null(steps: Steps, table: str, column: str) -> None:
    """Refuse NULL from now on, scanning the table without a lock that stops writers."""
    check = f"{table}_{column}_present"
    if not catalogue.is_not_null(steps, table, column):
        if catalogue.constraint_is_valid(steps, table, check) is None:
            steps.brief(
                f"ALTER TABLE {table} ADD CONSTRAINT {check} CHECK ({column} IS NOT NULL) NOT VALID"
            )
        validate(steps, table, check)
        steps.brief(f"ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL")
    steps.brief(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {check}")


def add_foreign_key(
    steps: Steps, table: str, column: str, parent: str, *, key: str = "uuid", actions: str
) -> None:
    """Tie ``column`` to ``parent``: new rows at once, old ones without stopping writers."""
    name = f"{table}_{column}_fkey"
    if catalogue.constraint_is_valid(steps, table, name) is None:
        steps.brief(
            f"ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY ({column})"
            f" REFERENCES {parent} ({key}) {actions} NOT VALID",
            lock_timeout=ACROSS_TABLES,
        )
    validate(steps, table, name)


def validate(steps: Steps, table: str, constraint: str) -> None:
    """Check the rows that were there before the constraint; others go on writing."""
    if not catalogue.constraint_is_valid(steps, table, constraint):
        steps.patient(f"ALTER TABLE {table} VALIDATE CONSTRAINT {constraint}")


def give_zone(steps: Steps, table: str, columns: Sequence[str], stamped: Iterable[str]) -> None:
    """Turn timestamps that were UTC by habit into ``timestamptz``, rewriting no row.

    That holds only while the session's zone is UTC and no USING or precision is given. The
    defaults of the ``stamped`` columns are set anew: they carry a cast to the old type.
    """
    pending = catalogue.without_zone(steps, table, columns)
    if not pending:
        return
    changes = [f"ALTER COLUMN {column} TYPE timestamptz" for column in pending]
    changes += [f"ALTER COLUMN {c} SET DEFAULT {NOW}" for c in stamped if c in pending]
    steps.brief("SET LOCAL TimeZone = 'UTC'", f"ALTER TABLE {table} {', '.join(changes)}")


def analyze(steps: Steps, table: str) -> None:
    """Renew the planner's statistics: a changed column has none."""
    steps.patient(f"ANALYZE {table}")

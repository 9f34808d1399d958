"""The SQL that mends a drift, under the weakest lock that does it. Pure: it makes text.

A mend is a list of statements to be run one by one, outside a transaction (CONCURRENTLY refuses to
run in one). What cannot be done safely without looking first is all comments: the reason, and the
steps, each indented. No statement here drops rows, columns or tables.
"""

import re
from hashlib import sha256
from typing import Final

from app.releases.schema.snapshot import Column, Constraint, Sequence, Table, TableIndex, Trigger

Mend = tuple[str, ...]

# Keys that an index built beforehand can become; others (INCLUDE, DEFERRABLE) are built under lock.
_PLAIN_KEY: Final = re.compile(r"(PRIMARY KEY|UNIQUE) (\([^()]*\))")
# A default that is the same for every row: added with the column, it rewrites nothing.
_CONSTANT: Final = re.compile(r"[^(]*|CURRENT_TIMESTAMP(\(\d\))?")


def brief(*statements: str) -> Mend:
    """Wrap statements that need their locks for a moment only in a lock timeout.

    They give up rather than queue everybody behind them; never around CONCURRENTLY, which would
    leave an INVALID index behind.
    """
    return ("SET lock_timeout = '2s'", *statements, "RESET lock_timeout")


def by_hand(reason: str, *steps: str) -> Mend:
    """Return comments: why somebody must look first, and the steps to take then."""
    return (f"-- {reason}", *(f"--   {step};" for step in steps))


def alter(table: str, *changes: str) -> str:
    """Return an ALTER TABLE with these changes."""
    return f"ALTER TABLE {table} {', '.join(changes)}"


def in_database(statement: str) -> str:
    """Return a block that runs a statement with the database's name, which is not fixed, as %I."""
    quoted = statement.replace("'", "''")
    return f"DO $$ BEGIN EXECUTE format('{quoted}', current_database()); END $$"


def add_column(table: str, name: str, column: Column) -> Mend:
    """Add a column; rows that were there before need their values back by hand."""
    if column.generated or column.identity:
        return by_hand(
            f"PostgreSQL rewrites {table} under an exclusive lock to add this: choose the hour.",
            alter(table, f"ADD COLUMN {_described(name, column)}"),
        )
    if _CONSTANT.fullmatch(column.default) and (column.default or not column.not_null):
        return brief(alter(table, f"ADD COLUMN {_described(name, column)}"))
    nullable = alter(table, f"ADD COLUMN {name} {_typed(column)}")
    filled = f"-- Rows need their values before the rest: UPDATE {table} SET {name} = …"
    required = set_nullability(table, name, column) if column.not_null else ()
    return (*brief(nullable, *_default(table, name, column)), filled, *required)


def create_table(name: str, table: Table) -> Mend:
    """Create a table with everything on it; foreign keys last."""
    columns = ", ".join(_described(each, column) for each, column in table.columns.items())
    keys_last = sorted(table.constraints.items(), key=lambda item: item[1].sort == "foreign key")
    return (
        f"CREATE {'UNLOGGED ' * table.unlogged}TABLE {name} ({columns})",
        *(alter(name, f"ADD CONSTRAINT {key} {c.definition}") for key, c in keys_last),
        *(create_index(key, index) for key, index in table.indexes.items()),
        *(trigger.definition for trigger in table.triggers.values()),
    )


def set_default(table: str, name: str, column: Column) -> Mend:
    """Return the statements that set a column's default, or drop it."""
    return brief(*_default(table, name, column) or [_altered(table, name, "DROP DEFAULT")])


def set_identity(table: str, name: str, expected: Column, live: Column) -> Mend:
    """Make a column an identity that counts on behind its rows, or no longer one."""
    if not expected.identity:
        return brief(_altered(table, name, "DROP IDENTITY"))
    if live.identity:
        return brief(_altered(table, name, f"SET GENERATED {expected.identity}"))
    change = f"ADD GENERATED {expected.identity} AS IDENTITY"
    dropped = [_altered(table, name, "DROP DEFAULT")] if live.default else []
    added = brief(*dropped, _altered(table, name, change))
    return (*added, _count_on(f"pg_get_serial_sequence('{table}', '{name}')", table, name))


def set_generated(table: str, name: str, column: Column) -> Mend:
    """Make a generated column anew; a plain one keeps what was computed."""
    steps = [_altered(table, name, "DROP EXPRESSION")]
    if column.generated:
        added = f"ADD COLUMN {_described(name, column)}"
        steps = [alter(table, f"DROP COLUMN {name}"), alter(table, added)]
    reason = (
        f"A generated column is made anew, which rewrites {table} under an exclusive lock, and "
    )
    reason += "values written by hand are lost: choose the hour."
    return by_hand(reason, *steps)


def set_nullability(table: str, name: str, column: Column) -> Mend:
    """Allow NULL, or refuse it; the scan happens while others write."""
    if not column.not_null:
        return brief(_altered(table, name, "DROP NOT NULL"))
    check = _temporary(f"{table}.{name}")
    dropped = f"DROP CONSTRAINT IF EXISTS {check}"  # of an attempt that failed
    added = f"ADD CONSTRAINT {check} CHECK ({name} IS NOT NULL) NOT VALID"
    return (
        *brief(alter(table, dropped, added)),
        validate(table, check),
        *brief(_altered(table, name, "SET NOT NULL"), alter(table, f"DROP CONSTRAINT {check}")),
    )


def set_type(table: str, name: str, expected: Column, live: Column) -> Mend:
    """Change a type at once where no row is touched; else by hand."""
    place = f"ALTER COLUMN {name}"
    change = f"{place} TYPE {_typed(expected)}"
    if expected.type == "text" and live.type.startswith("character varying"):
        return brief(alter(table, change))
    before = [f"{place} DROP DEFAULT"] if live.default else []
    after = [f"{place} SET DEFAULT {expected.default}"] if expected.default else []
    return by_hand(
        f"PostgreSQL may rewrite {table} and its indexes under an exclusive lock, and a value that "
        "does not fit stops it: rehearse on a copy and choose the hour. A foreign key or view in "
        "the way must be dropped first; the next check names it.",
        alter(table, *before, f"{change} USING {name}::{expected.type}", *after),
    )


def create_sequence(name: str, sequence: Sequence) -> Mend:
    """Create an owned sequence that counts on behind the rows that are there."""
    table, column = sequence.table, sequence.column
    return (
        f"CREATE SEQUENCE IF NOT EXISTS {name}",
        f"ALTER SEQUENCE {name} {sequence.definition} OWNED BY {table}.{column}",
        _count_on(f"'{name}'", table, column),
    )


def create_index(name: str, index: TableIndex, concurrently: str = "") -> str:
    """Return the statement that builds an index."""
    return f"CREATE {'UNIQUE ' * index.unique}INDEX {concurrently}{name} {index.definition}"


def build_index(name: str, index: TableIndex) -> Mend:
    """Build an index while others write."""
    return (create_index(name, index, "CONCURRENTLY "),)


def drop_index(name: str) -> Mend:
    """Drop an index while others read and write."""
    return (f"DROP INDEX CONCURRENTLY IF EXISTS {name}",)


def replace_index(name: str, index: TableIndex) -> Mend:
    """Build the right index beside the wrong one, so that no query is without, and swap names."""
    beside = _temporary(name)
    rename = brief(f"ALTER INDEX {beside} RENAME TO {name}")
    return (*drop_index(beside), *build_index(beside, index), *drop_index(name), *rename)


def add_constraint(table: str, name: str, constraint: Constraint, instead_of: str = "") -> Mend:
    """Add a constraint, in the same moment dropping the one it replaces."""
    dropped = [f"DROP CONSTRAINT {instead_of}"] if instead_of else []
    if constraint.sort in {"foreign key", "check"}:
        added = alter(table, *dropped, f"ADD CONSTRAINT {name} {constraint.definition} NOT VALID")
        return (*brief(added), validate(table, name))
    if key := _PLAIN_KEY.fullmatch(constraint.definition):
        beside = _temporary(name)
        used = f"ADD CONSTRAINT {name} {key[1]} USING INDEX {beside}"
        build = f"CREATE UNIQUE INDEX CONCURRENTLY {beside} ON {table} {key[2]}"
        return (*drop_index(beside), build, *brief(alter(table, *dropped, used)))
    return by_hand(
        f"PostgreSQL builds this key while nobody can write {table}: choose the hour.",
        alter(table, *dropped, f"ADD CONSTRAINT {name} {constraint.definition}"),
    )


def drop_constraint(table: str, name: str) -> Mend:
    """Drop a constraint; nothing that depends on it is dropped along."""
    return brief(alter(table, f"DROP CONSTRAINT {name}"))


def validate(table: str, name: str) -> str:
    """Return the statement that checks the rows that were there before; others go on writing."""
    return alter(table, f"VALIDATE CONSTRAINT {name}")


def put_trigger(table: str, name: str, trigger: Trigger) -> Mend:
    """Create a trigger, or replace it by the right one."""
    created = trigger.definition.replace("CREATE TRIGGER", "CREATE OR REPLACE TRIGGER", 1)
    if created == trigger.definition:  # a constraint trigger cannot be replaced
        created = f"DROP TRIGGER IF EXISTS {name} ON {table}; {created}"
    firing = [] if trigger.firing == "enabled" else [fire(table, name, trigger)]
    return brief(created, *firing)


def fire(table: str, name: str, trigger: Trigger) -> str:
    """Return the statement that lets a trigger fire when it should."""
    words = {"enabled": "ENABLE", "always": "ENABLE ALWAYS", "disabled": "DISABLE"}
    return alter(table, f"{words.get(trigger.firing, 'ENABLE REPLICA')} TRIGGER {name}")


def _described(name: str, column: Column) -> str:
    parts = (
        f"{name} {_typed(column)}",
        column.default and f"DEFAULT {column.default}",
        column.generated and f"GENERATED ALWAYS AS {column.generated}",
        column.identity and f"GENERATED {column.identity} AS IDENTITY",
        "NOT NULL" * column.not_null,
    )
    return " ".join(filter(None, parts))


def _typed(column: Column) -> str:
    return f"{column.type} COLLATE {column.collation}" if column.collation else column.type


def _default(table: str, name: str, column: Column) -> list[str]:
    return [_altered(table, name, f"SET DEFAULT {column.default}")] if column.default else []


def _altered(table: str, name: str, change: str) -> str:
    return alter(table, f"ALTER COLUMN {name} {change}")


def _count_on(sequence: str, table: str, column: str) -> str:
    return f"SELECT setval({sequence}, coalesce(max({column}), 0) + 1, false) FROM {table}"


def _temporary(name: str) -> str:
    """Return a temporary name, hashed so that PostgreSQL's length limit makes no two equal."""
    return f"mend_{sha256(name.encode()).hexdigest()[:12]}"

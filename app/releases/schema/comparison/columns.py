"""Compares a table's columns: missing, extra, and each thing that a column is."""

from collections.abc import Iterator
from typing import Final

from app.releases.schema import repair_sql
from app.releases.schema.comparison.finding import Finding
from app.releases.schema.snapshot import Column, Table

_NULL: Final = {True: "NOT NULL", False: "NULL"}


def compare_columns(table: str, expected: Table, live: Table) -> Iterator[Finding]:
    """Compare every column of a table, in both directions."""
    for name, column in expected.columns.items():
        if name not in live.columns:
            yield _missing(table, name, column)
        elif column != live.columns[name]:
            yield from _differences(table, name, column, live.columns[name])
    for name in sorted(live.columns.keys() - expected.columns.keys()):
        yield _extra(table, name, live.columns[name])


def _missing(table: str, name: str, column: Column) -> Finding:
    words = f"Column {name} of {table} ({column.type}) is missing: whoever reads {table} fails. "
    words += "Adding it does not bring its values back: they must come from a backup."
    mend = repair_sql.add_column(table, name, column)
    return Finding("column_missing", table, name, column.type, None, words, mend)


def _extra(table: str, name: str, column: Column) -> Finding:
    refuses = column.not_null and not (column.default or column.identity or column.generated)
    harm = ", and no row can be added without it" if refuses else ""
    words = f"Column {name} of {table} ({column.type}) was not built by any revision{harm}."
    reason = "Dropping it loses its values: find out whose it is, and keep a copy."
    mend = repair_sql.by_hand(reason, repair_sql.alter(table, f"DROP COLUMN {name}"))
    return Finding("column_extra", table, name, None, column.type, words, mend)


def _differences(table: str, name: str, should: Column, is_: Column) -> Iterator[Finding]:
    """Compare each thing that the column is, in the order in which it can be mended."""
    retyped = repair_sql.set_type(table, name, should, is_)
    # A default in an identity's place goes with the identity's mend.
    default = should.default if should.identity else is_.default
    for kind, expected, there, harm, mend in (
        ("column_type", should.type, is_.type,
         "values that the code sends may be refused, and those it reads are of another kind",
         retyped),
        ("column_collation", should.collation, is_.collation,
         "its rows are compared and sorted in another order", retyped),
        ("generated", should.generated, is_.generated,
         "its values are not those that the code counts on",
         repair_sql.set_generated(table, name, should)),
        # An identity takes a default's place, so a lost one is mended first.
        ("identity", should.identity, is_.identity,
         "a new row gets no number and is refused" if should.identity
         else "numbers that a writer brings along may be refused",
         repair_sql.set_identity(table, name, should, is_)),
        ("default", should.default, default,
         "a row that is added without it gets another value, or is refused" if should.default
         else "a row that is added without it should get NULL, or be refused",
         repair_sql.set_default(table, name, should)),
        ("nullability", _NULL[should.not_null], _NULL[is_.not_null],
         "rows without a value may be there already, and break whoever reads them"
         if should.not_null else "rows that are allowed to have no value are refused",
         repair_sql.set_nullability(table, name, should)),
    ):  # fmt: skip
        if expected != there:
            what = kind.removeprefix("column_")
            words = f"Column {name} of {table} should have {what} {expected or 'none'} and has "
            words += f"{there or 'none'}: {harm}."
            yield Finding(kind, table, name, expected or None, there or None, words, mend)

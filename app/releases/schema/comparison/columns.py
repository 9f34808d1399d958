"""Compares a table's columns: missing, extra, and each thing that a column is."""

from collections.abc import Iterator
from typing import Final

from app.releases.schema import repair_sql
from app.releases.schema.comparison.finding import Finding
from app.releases.schema.snapshot import Column, Table


def compare_columns(table: str, expected: Table, live: Table) -> Iterator[Finding]:
    """Compare every column of a table, in both directions."""
    for name, column in expected.columns.items():
        if name in live.columns:
            yield from _differences(_Place(table, name), column, live.columns[name])
        else:
            yield _missing(table, name, column)
    for name in sorted(live.columns.keys() - expected.columns.keys()):
        yield _extra(table, name, live.columns[name])


def _missing(table: str, name: str, column: Column) -> Finding:
    return Finding(
        kind="column_missing",
        table=table,
        object=name,
        expected=column.type,
        there=None,
        words=f"Column {name} of {table} ({column.type}) is missing: whoever reads {table} fails. "
        "Adding it does not bring its values back: they must come from a backup.",
        mend=repair_sql.add_column(table, name, column),
    )


def _extra(table: str, name: str, column: Column) -> Finding:
    refuses = column.not_null and not (column.default or column.identity or column.generated)
    harm = ", and no row can be added without it" if refuses else ""
    reason = "Dropping it loses its values: find out whose it is, and keep a copy."
    return Finding(
        kind="column_extra",
        table=table,
        object=name,
        expected=None,
        there=column.type,
        words=f"Column {name} of {table} ({column.type}) was not built by any revision{harm}.",
        mend=repair_sql.by_hand(reason, repair_sql.alter(table, f"DROP COLUMN {name}")),
    )


class _Place:
    """One column, of which differences are told."""

    def __init__(self, table: str, name: str) -> None:
        self.table, self.name = table, name

    def told(
        self, kind: str, expected: str, there: str, harm: str, statements: repair_sql.Mend
    ) -> Finding:
        """Tell one difference."""
        what = kind.removeprefix("column_").replace("_", " ")
        return Finding(
            kind=kind,
            table=self.table,
            object=self.name,
            expected=expected or None,
            there=there or None,
            words=f"Column {self.name} of {self.table} should have {what} {expected or 'none'} and "
            f"has {there or 'none'}: {harm}.",
            mend=statements,
        )


_NULL: Final = {True: "NOT NULL", False: "NULL"}


def _differences(place: _Place, expected: Column, live: Column) -> Iterator[Finding]:
    yield from _type(place, expected, live)
    yield from _generated(place, expected, live)
    # An identity takes a default's place, so a lost one is mended first.
    yield from _identity(place, expected, live)
    yield from _default(place, expected, live)
    yield from _nullability(place, expected, live)


def _type(place: _Place, expected: Column, live: Column) -> Iterator[Finding]:
    statements = repair_sql.set_type(place.table, place.name, expected, live)
    if expected.type != live.type:
        harm = "values that the code sends may be refused, and those it reads are of another kind"
        yield place.told("column_type", expected.type, live.type, harm, statements)
    if expected.collation != live.collation:
        harm = "its rows are compared and sorted in another order"
        yield place.told("column_collation", expected.collation, live.collation, harm, statements)


def _generated(place: _Place, expected: Column, live: Column) -> Iterator[Finding]:
    if expected.generated == live.generated:
        return
    steps = [repair_sql.alter(place.table, f"DROP COLUMN {place.name}")]
    steps += [s for s in repair_sql.add_column(place.table, place.name, expected) if " ADD " in s]
    if not expected.generated:  # what was computed stays as plain values
        steps = [repair_sql.alter(place.table, f"ALTER COLUMN {place.name} DROP EXPRESSION")]
    yield place.told(
        "generated",
        expected.generated,
        live.generated,
        "its values are not those that the code counts on",
        repair_sql.by_hand(
            f"A generated column is made anew, which rewrites {place.table} under an exclusive "
            "lock, and values written by hand are lost: choose the hour.",
            *(step.removeprefix("--").strip(" ;") for step in steps),
        ),
    )


def _identity(place: _Place, expected: Column, live: Column) -> Iterator[Finding]:
    if expected.identity != live.identity:
        harm = (
            "a new row gets no number and is refused"
            if expected.identity
            else "numbers that a writer brings along may be refused"
        )
        statements = repair_sql.set_identity(place.table, place.name, expected, live)
        yield place.told("identity", expected.identity, live.identity, harm, statements)


def _default(place: _Place, expected: Column, live: Column) -> Iterator[Finding]:
    # A default in an identity's place goes with the identity's mend.
    if expected.default != live.default and not expected.identity:
        harm = (
            "a row that is added without it gets another value, or is refused"
            if expected.default
            else "a row that is added without it should get NULL, or be refused"
        )
        statements = repair_sql.set_default(place.table, place.name, expected)
        yield place.told("default", expected.default, live.default, harm, statements)


def _nullability(place: _Place, expected: Column, live: Column) -> Iterator[Finding]:
    if expected.not_null == live.not_null:
        return
    table, name = place.table, place.name
    if expected.not_null:
        harm = "rows without a value may be there already, and break whoever reads them"
        statements = repair_sql.set_not_null(table, name)
    else:
        harm = "rows that are allowed to have no value are refused"
        statements = repair_sql.brief(repair_sql.alter(table, f"ALTER COLUMN {name} DROP NOT NULL"))
    there = _NULL[live.not_null]
    yield place.told("nullability", _NULL[expected.not_null], there, harm, statements)

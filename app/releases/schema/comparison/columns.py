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
        if name in live.columns:
            yield from _ColumnPair(table, name, column, live.columns[name]).differences()
        else:
            yield _missing(table, name, column)
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


class _ColumnPair:
    """One column as it should be and as it is."""

    def __init__(self, table: str, name: str, expected: Column, live: Column) -> None:
        self._table, self._name, self._expected, self._live = table, name, expected, live

    def differences(self) -> Iterator[Finding]:
        """Compare each thing that the column is, in the order in which it can be mended."""
        yield from self._type()
        yield from self._generated()
        # An identity takes a default's place, so a lost one is mended first.
        yield from self._identity()
        yield from self._default()
        yield from self._nullability()

    def _differs(
        self, kind: str, expected: str, there: str, harm: str, mend: repair_sql.Mend
    ) -> Finding:
        what = kind.removeprefix("column_").replace("_", " ")
        words = f"Column {self._name} of {self._table} should have {what} {expected or 'none'} and "
        words += f"has {there or 'none'}: {harm}."
        return Finding(kind, self._table, self._name, expected or None, there or None, words, mend)

    def _alter(self, change: str) -> str:
        return repair_sql.alter(self._table, f"ALTER COLUMN {self._name} {change}")

    def _type(self) -> Iterator[Finding]:
        expected, live = self._expected, self._live
        mend = repair_sql.set_type(self._table, self._name, expected, live)
        if expected.type != live.type:
            harm = "values that the code sends may be refused, and those it reads are of another "
            harm += "kind"
            yield self._differs("column_type", expected.type, live.type, harm, mend)
        if expected.collation != live.collation:
            harm = "its rows are compared and sorted in another order"
            yield self._differs("column_collation", expected.collation, live.collation, harm, mend)

    def _generated(self) -> Iterator[Finding]:
        expected, live = self._expected.generated, self._live.generated
        if expected == live:
            return
        added = repair_sql.add_column(self._table, self._name, self._expected)
        steps = [repair_sql.alter(self._table, f"DROP COLUMN {self._name}")]
        steps += [line.removeprefix("--").strip(" ;") for line in added if " ADD " in line]
        if not expected:  # what was computed stays as plain values
            steps = [self._alter("DROP EXPRESSION")]
        reason = (
            f"A generated column is made anew, which rewrites {self._table} under an exclusive "
        )
        reason += "lock, and values written by hand are lost: choose the hour."
        harm = "its values are not those that the code counts on"
        yield self._differs("generated", expected, live, harm, repair_sql.by_hand(reason, *steps))

    def _identity(self) -> Iterator[Finding]:
        expected, live = self._expected.identity, self._live.identity
        if expected != live:
            harm = "numbers that a writer brings along may be refused"
            if expected:
                harm = "a new row gets no number and is refused"
            mend = repair_sql.set_identity(self._table, self._name, self._expected, self._live)
            yield self._differs("identity", expected, live, harm, mend)

    def _default(self) -> Iterator[Finding]:
        expected, live = self._expected.default, self._live.default
        # A default in an identity's place goes with the identity's mend.
        if expected != live and not self._expected.identity:
            harm = "a row that is added without it should get NULL, or be refused"
            if expected:
                harm = "a row that is added without it gets another value, or is refused"
            mend = repair_sql.set_default(self._table, self._name, self._expected)
            yield self._differs("default", expected, live, harm, mend)

    def _nullability(self) -> Iterator[Finding]:
        expected, live = self._expected.not_null, self._live.not_null
        if expected == live:
            return
        harm = "rows that are allowed to have no value are refused"
        mend = repair_sql.brief(self._alter("DROP NOT NULL"))
        if expected:
            harm = "rows without a value may be there already, and break whoever reads them"
            mend = repair_sql.set_not_null(self._table, self._name)
        yield self._differs("nullability", _NULL[expected], _NULL[live], harm, mend)

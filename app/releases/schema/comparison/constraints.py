"""Compares a table's keys, foreign keys and CHECKs, and whether each is in force.

Keys have names that later revisions go by, so a wrong name is a drift of its own. A
CHECK is its expression, whatever its name.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from app.releases.schema import repair_sql
from app.releases.schema.comparison.finding import Finding
from app.releases.schema.comparison.pairing import pair, pair_primary_keys
from app.releases.schema.snapshot import Constraint, Snapshot, Sort, Table

_MISSING: Final[Mapping[Sort, str]] = {
    "primary key": "rows can repeat, and nothing can refer to them",
    "unique": "rows can repeat",
    "exclusion": "rows can collide",
    "foreign key": "rows can name others that do not exist, and stay behind when those go",
    "check": "rows can hold what the code never expects",
}
_INVALID: Final[Mapping[Sort, tuple[str, str]]] = {
    "foreign key": ("NOT VALID", "older rows were never checked and may name what does not exist"),
    "check": ("NOT VALID", "older rows were never checked and may break it"),
}
_BY_NAME: Final = "later revisions go by its name and would not find it"
_BROKEN: Final = ("INVALID", "a build of its index was interrupted, and no query uses it")


def compare_constraints(
    table: str, expected: Table, live: Snapshot, *sorts: Sort
) -> Iterator[Finding]:
    """Compare a table's constraints of these sorts, in both directions."""
    for sort in sorts:
        constraints = _Constraints(table, sort, expected.constraints_of(sort), live)
        yield from constraints.differences()


class _Constraints:
    """One table's constraints of one sort, as they should be and as they are."""

    def __init__(
        self, table: str, sort: Sort, expected: Mapping[str, Constraint], live: Snapshot
    ) -> None:
        self._table, self._sort, self._snapshot = table, sort, live
        self._expected, self._live = expected, live.tables[table].constraints_of(sort)
        self._noun = {"check": "CHECK", "unique": "unique key"}.get(sort, sort)

    def differences(self) -> Iterator[Finding]:
        """Compare them in both directions."""
        if self._sort == "primary key":
            paired = pair_primary_keys(self._expected, self._live)
        else:
            by_shape = self._sort == "check"
            paired = pair(self._expected, self._live, _same_constraint, by_shape=by_shape)
        for name, there in paired.pairs:
            yield from self._pair(name, there)
        yield from map(self._missing, paired.missing)
        yield from map(self._extra, paired.extra)

    def _pair(self, name: str, there: str) -> Iterator[Finding]:
        expected, live = self._expected[name], self._live[there]
        if not _same_constraint(expected, live):
            yield self._differs(name, there)
        elif name != there and self._sort != "check":
            words = f"The {self._noun} {name} of {self._table} is named {there}: {_BY_NAME}."
            rename = repair_sql.brief(
                repair_sql.alter(self._table, f"RENAME CONSTRAINT {there} TO {name}")
            )
            yield self._finding("renamed", name, name, there, words, rename)
        if _same_constraint(expected, live) and expected.valid and not live.valid:
            yield self._invalid(name, there)

    def _missing(self, name: str) -> Finding:
        expected = self._expected[name]
        words = f"{self._table} lacks its {self._noun} {name}, {expected.definition}: "
        words += f"{_MISSING[self._sort]}. Rows that already break it stop the mend and are named."
        statements = repair_sql.add_constraint(self._table, name, expected)
        return self._finding("missing", name, expected.definition, None, words, statements)

    def _extra(self, name: str) -> Finding:
        there = self._live[name].definition
        words = f"{self._table} has a {self._noun} {name}, {there}, that no revision built: it "
        words += "may refuse what the code writes."
        statements = self._with_foreign_keys(name) or repair_sql.drop_constraint(self._table, name)
        return self._finding("extra", name, None, there, words, statements)

    def _differs(self, name: str, there: str) -> Finding:
        expected, live = self._expected[name], self._live[there]
        words = f"The {self._noun} {name} of {self._table} should be {expected.definition} and is "
        words += f"{live.definition}."
        swap = repair_sql.add_constraint(self._table, name, expected, instead_of=there)
        statements = self._with_foreign_keys(there, swap) or swap
        return self._finding(
            "differs", name, expected.definition, live.definition, words, statements
        )

    def _invalid(self, name: str, there: str) -> Finding:
        state, harm = _INVALID.get(self._sort, _BROKEN)
        words = f"The {self._noun} {name} of {self._table} is {state}: {harm}."
        statement = repair_sql.validate(self._table, there)
        if self._sort not in _INVALID:
            statement = f"REINDEX INDEX CONCURRENTLY {there}"
        kind = state.lower().replace(" ", "_")
        return self._finding(kind, name, "VALID", state, words, (statement,))

    def _with_foreign_keys(self, name: str, swap: repair_sql.Mend = ()) -> repair_sql.Mend:
        """Return the steps for a key that foreign keys refer to, which must go first; else none."""
        columns = self._live[name].definition.partition("(")[2].partition(")")[0]
        leaning = [
            repair_sql.alter(child, f"DROP CONSTRAINT {key}")
            for child, table in self._snapshot.tables.items()
            for key, c in table.constraints_of("foreign key").items()
            if f" REFERENCES {self._table}({columns})" in c.definition
        ]
        if not leaning or self._sort not in {"primary key", "unique"}:
            return ()
        steps = swap or repair_sql.drop_constraint(self._table, name)
        reason = "Foreign keys lean on it. They go first; check again to see them added anew:"
        return repair_sql.by_hand(reason, *leaning, *steps)

    def _finding(
        self, what: str, name: str, expected: str | None, there: str | None, words: str,
        mend: repair_sql.Mend,
    ) -> Finding:  # fmt: skip
        kind = f"{self._sort.replace(' ', '_')}_{what}"
        return Finding(kind, self._table, name, expected, there, words, mend)


def _same_constraint(one: Constraint, other: Constraint) -> bool:
    return one.definition == other.definition

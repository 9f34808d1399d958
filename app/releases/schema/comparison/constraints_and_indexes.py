"""Compares a table's keys, foreign keys, CHECKs and indexes, and whether each is in force.

Keys and indexes have names that later revisions go by, so a wrong name is a drift of its own. A
CHECK is its expression, whatever its name. An index that belongs to a constraint is compared as
that.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from operator import eq
from typing import Final, TypeVar

from app.releases.schema import repair_sql
from app.releases.schema.comparison.finding import Finding, renamed
from app.releases.schema.snapshot import Constraint, Snapshot, Sort, Table, TableIndex

_MISSING: Final[Mapping[Sort, str]] = {
    "primary key": "rows can repeat, and nothing can refer to them",
    "unique": "rows can repeat",
    "exclusion": "rows can collide",
    "foreign key": "rows can name others that do not exist, and stay behind when those go",
    "check": "rows can hold what the code never expects",
}
_UNCHECKED: Final[Mapping[Sort, str]] = {
    "foreign key": "older rows were never checked and may name what does not exist",
    "check": "older rows were never checked and may break it",
}

_Thing = TypeVar("_Thing", Constraint, TableIndex)


def _pairs(
    expected: Mapping[str, _Thing], live: Mapping[str, _Thing], *, by_shape: bool = False
) -> dict[str, str]:
    """Return which of the live is which of the expected: by name, then by shape.

    ``by_shape`` is the other way round. An unusable one is nobody's counterpart by shape: it is the
    leftover of a build.
    """

    def alike(name: str, there: str) -> bool:
        return (by_shape or live[there].valid) and _same(expected[name], live[there])

    pairs: dict[str, str] = {}
    for fits in (alike, eq) if by_shape else (eq, alike):
        for name in [name for name in expected if name not in pairs]:
            free = [n for n in live if n not in pairs.values() and fits(name, n)]
            # Its own name first, where several are alike.
            pairs.update((name, n) for n in sorted(free, key=name.__ne__)[:1])
    return pairs


def _same(one: _Thing, other: _Thing) -> bool:
    return replace(one, valid=other.valid) == other


def compare_constraints(
    table: str, expected: Table, live: Snapshot, *sorts: Sort
) -> Iterator[Finding]:
    """Compare a table's constraints of these sorts, in both directions."""
    for sort in sorts:
        yield from _Constraints(table, sort, expected.constraints_of(sort), live).differences()


class _Constraints:
    """One table's constraints of one sort, as they should be and as they are."""

    def __init__(
        self, table: str, sort: Sort, expected: Mapping[str, Constraint], live: Snapshot
    ) -> None:
        self._table, self._sort, self._snapshot = table, sort, live
        self._expected, self._live = expected, live.tables[table].constraints_of(sort)
        self._noun = {"check": "CHECK", "unique": "unique key"}.get(sort, sort)
        self._kind = sort.replace(" ", "_")

    def differences(self) -> Iterator[Finding]:
        """Compare them in both directions."""
        if self._sort == "primary key":  # of which a table has one at most
            pairs = dict(zip(self._expected, self._live, strict=False))
        else:
            pairs = _pairs(self._expected, self._live, by_shape=self._sort == "check")
        for name, there in pairs.items():
            yield from self._pair(name, there)
        yield from (self._missing(name) for name in self._expected if name not in pairs)
        yield from (self._extra(name) for name in self._live if name not in pairs.values())

    def _pair(self, name: str, there: str) -> Iterator[Finding]:
        expected, live = self._expected[name], self._live[there]
        if not _same(expected, live):
            yield self._differs(name, there)
            return
        if name != there and self._sort != "check":
            change = repair_sql.alter(self._table, f"RENAME CONSTRAINT {there} TO {name}")
            kind, noun = f"{self._kind}_renamed", f"The {self._noun}"
            yield renamed(kind, noun, self._table, name, there, change)
        if expected.valid and not live.valid:
            yield self._invalid(name, there)

    def _missing(self, name: str) -> Finding:
        expected = self._expected[name]
        words = f"{self._table} lacks its {self._noun} {name}, {expected.definition}: "
        words += f"{_MISSING[self._sort]}. Rows that already break it stop the mend and are named."
        mend = repair_sql.add_constraint(self._table, name, expected)
        kind = f"{self._kind}_missing"
        return Finding(kind, self._table, name, expected.definition, None, words, mend)

    def _extra(self, name: str) -> Finding:
        there = self._live[name].definition
        words = f"{self._table} has a {self._noun} {name}, {there}, that no revision built: it "
        words += "may refuse what the code writes."
        mend = self._with_foreign_keys(name, repair_sql.drop_constraint(self._table, name))
        return Finding(f"{self._kind}_extra", self._table, name, None, there, words, mend)

    def _differs(self, name: str, there: str) -> Finding:
        should, is_ = self._expected[name].definition, self._live[there].definition
        words = f"The {self._noun} {name} of {self._table} should be {should} and is {is_}."
        swap = repair_sql.add_constraint(self._table, name, self._expected[name], instead_of=there)
        mend = self._with_foreign_keys(there, swap)
        return Finding(f"{self._kind}_differs", self._table, name, should, is_, words, mend)

    def _invalid(self, name: str, there: str) -> Finding:
        if harm := _UNCHECKED.get(self._sort):
            state, mend = "NOT VALID", repair_sql.validate(self._table, there)
        else:
            state, mend = "INVALID", f"REINDEX INDEX CONCURRENTLY {there}"
            harm = "a build of its index was interrupted, and no query uses it"
        words = f"The {self._noun} {name} of {self._table} is {state}: {harm}."
        kind = f"{self._kind}_{state.lower().replace(' ', '_')}"
        return Finding(kind, self._table, name, "VALID", state, words, (mend,))

    def _with_foreign_keys(self, name: str, steps: repair_sql.Mend) -> repair_sql.Mend:
        """Return the steps for a constraint; where foreign keys refer to it, these go first."""
        columns = self._live[name].definition.partition("(")[2].partition(")")[0]
        leaning = [
            repair_sql.alter(child, f"DROP CONSTRAINT {key}")
            for child, table in self._snapshot.tables.items()
            for key, c in table.constraints_of("foreign key").items()
            if f" REFERENCES {self._table}({columns})" in c.definition
        ]
        if not leaning or self._sort not in {"primary key", "unique"}:
            return steps
        reason = "Foreign keys lean on it. They go first; check again to see them added anew:"
        return repair_sql.by_hand(reason, *leaning, *steps)


def compare_indexes(table: str, expected: Table, live: Table) -> Iterator[Finding]:
    """Compare a table's indexes, in both directions; constraints' own are with these."""
    pairs = _pairs(expected.indexes, live.indexes)
    for name, now in pairs.items():
        yield from _index_pair(table, name, expected.indexes[name], now, live.indexes[now])
    for name, index in expected.indexes.items():
        if name not in pairs:
            harm = "rows can repeat" if index.unique else "what it made quick reads the whole table"
            words = f"{table} lacks its index {name}: {harm}."
            should, mend = repair_sql.create_index(name, index), repair_sql.build_index(name, index)
            yield Finding("index_missing", table, name, should, None, words, mend)
    for name, index in live.indexes.items():
        if name not in pairs.values():
            yield _extra_index(table, name, index)


def _index_pair(
    table: str, name: str, expected: TableIndex, now: str, live: TableIndex
) -> Iterator[Finding]:
    if not _same(expected, live):
        should, is_ = repair_sql.create_index(name, expected), repair_sql.create_index(now, live)
        words = f"Index {name} of {table} should be made by {should}, and was by {is_}."
        mend = repair_sql.replace_index(name, expected)
        yield Finding("index_differs", table, name, should, is_, words, mend)
    elif name != now:
        change = f"ALTER INDEX {now} RENAME TO {name}"
        yield renamed("index_renamed", "Index", table, name, now, change)
    elif not live.valid:
        words = f"Index {name} of {table} is INVALID: its build was interrupted, and no query uses "
        words += "it."
        mend = (*repair_sql.drop_index(name), *repair_sql.build_index(name, expected))
        yield Finding("index_invalid", table, name, "VALID", "INVALID", words, mend)


def _extra_index(table: str, name: str, index: TableIndex) -> Finding:
    kind, state, harm = "index_extra", "an index", "every write pays for it"
    if not index.valid:
        kind, state = "index_invalid", "an INVALID index"
        harm = f"what an interrupted build left behind; {harm}"
    elif index.unique:
        harm = "it may refuse what the code writes"
    words = f"{table} has {state} {name} that no revision built: {harm}."
    there, mend = repair_sql.create_index(name, index), repair_sql.drop_index(name)
    return Finding(kind, table, name, None, there, words, mend)

"""Compares a table's indexes, in both directions, and whether each is usable.

Those that belong to a constraint are compared with it. Later revisions go by an index's name, so a
wrong name is a drift of its own.
"""

from collections.abc import Iterator

from app.releases.schema import repair_sql
from app.releases.schema.comparison.finding import Finding
from app.releases.schema.comparison.pairing import pair
from app.releases.schema.snapshot import Table, TableIndex


def compare_indexes(table: str, expected: Table, live: Table) -> Iterator[Finding]:
    """Compare a table's indexes, in both directions; constraints' own are with these."""
    paired = pair(expected.indexes, live.indexes, _same_index)
    for name, there in paired.pairs:
        yield from _differences(table, name, expected.indexes[name], there, live.indexes[there])
    for name in paired.missing:
        yield _missing(table, name, expected.indexes[name])
    for name in paired.extra:
        yield _extra(table, name, live.indexes[name])


def _differences(
    table: str, name: str, expected: TableIndex, now: str, live: TableIndex
) -> Iterator[Finding]:
    should, is_ = repair_sql.create_index(name, expected), repair_sql.create_index(now, live)
    if not _same_index(expected, live):
        words = f"Index {name} of {table} should be made by {should}, and was by {is_}."
        mend = repair_sql.replace_index(name, expected)
        yield Finding("index_differs", table, name, should, is_, words, mend)
    elif name != now:
        words = f"Index {name} of {table} is named {now}: later revisions go by its name and would "
        words += "not find it."
        mend = repair_sql.brief(f"ALTER INDEX {now} RENAME TO {name}")
        yield Finding("index_renamed", table, name, name, now, words, mend)
    elif not live.valid:
        words = f"Index {name} of {table} is INVALID: its build was interrupted, and no query uses "
        words += "it."
        mend = (*repair_sql.drop_index(name), *repair_sql.build_index(name, expected))
        yield Finding("index_invalid", table, name, "VALID", "INVALID", words, mend)


def _missing(table: str, name: str, index: TableIndex) -> Finding:
    harm = "rows can repeat" if index.unique else "what it made quick reads the whole table"
    words = f"{table} lacks its index {name}: {harm}."
    should, mend = repair_sql.create_index(name, index), repair_sql.build_index(name, index)
    return Finding("index_missing", table, name, should, None, words, mend)


def _extra(table: str, name: str, index: TableIndex) -> Finding:
    there, mend = repair_sql.create_index(name, index), repair_sql.drop_index(name)
    if index.valid:
        harm = "it may refuse what the code writes" if index.unique else "every write pays for it"
        words = f"{table} has an index {name} that no revision built: {harm}."
        return Finding("index_extra", table, name, None, there, words, mend)
    words = (
        f"{table} has an INVALID index {name} that no revision built: what an interrupted build "
    )
    words += "left behind; every write pays for it."
    return Finding("index_invalid", table, name, None, there, words, mend)


def _same_index(one: TableIndex, other: TableIndex) -> bool:
    return (one.unique, one.definition) == (other.unique, other.definition)

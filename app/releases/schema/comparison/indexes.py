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
        yield from _index(table, (name, expected.indexes[name]), (there, live.indexes[there]))
    for name in paired.missing:
        yield _index_missing(table, name, expected.indexes[name])
    for name in paired.extra:
        yield _index_extra(table, name, live.indexes[name])


def _index(
    table: str, wanted: tuple[str, TableIndex], there: tuple[str, TableIndex]
) -> Iterator[Finding]:
    (name, expected), (now, live) = wanted, there
    should, is_ = repair_sql.create_index(name, expected), repair_sql.create_index(now, live)
    if not _same_index(expected, live):
        words = f"Index {name} of {table} should be made by {should}, and was by {is_}."
        statements = repair_sql.replace_index(name, expected)
        yield _told_index("index_differs", table, name, (should, is_), words, statements)
    elif name != now:
        words = f"Index {name} of {table} is named {now}: later revisions go by its name and would "
        words += "not find it."
        statements = repair_sql.brief(f"ALTER INDEX {now} RENAME TO {name}")
        yield _told_index("index_renamed", table, name, (name, now), words, statements)
    elif not live.valid:
        words = (
            f"Index {name} of {table} is INVALID: its build was interrupted, and no query uses it."
        )
        statements = (*repair_sql.drop_index(name), *repair_sql.build_index(name, expected))
        yield _told_index("index_invalid", table, name, ("VALID", "INVALID"), words, statements)


def _index_missing(table: str, name: str, index: TableIndex) -> Finding:
    should = repair_sql.create_index(name, index)
    harm = "rows can repeat" if index.unique else "what it made quick reads the whole table"
    words = f"{table} lacks its index {name}: {harm}."
    statements = repair_sql.build_index(name, index)
    return _told_index("index_missing", table, name, (should, None), words, statements)


def _index_extra(table: str, name: str, index: TableIndex) -> Finding:
    there = repair_sql.create_index(name, index)
    if index.valid:
        harm = "it may refuse what the code writes" if index.unique else "every write pays for it"
        words, kind = f"{table} has an index {name} that no revision built: {harm}.", "index_extra"
    else:
        words = f"{table} has an INVALID index {name} that no revision built: what an interrupted "
        words, kind = words + "build left behind; every write pays for it.", "index_invalid"
    return _told_index(kind, table, name, (None, there), words, repair_sql.drop_index(name))


def _told_index(
    kind: str,
    table: str,
    name: str,
    sides: tuple[str | None, str | None],
    words: str,
    statements: repair_sql.Mend,
) -> Finding:
    return Finding(
        kind=kind,
        table=table,
        object=name,
        expected=sides[0],
        there=sides[1],
        words=words,
        mend=statements,
    )


def _same_index(one: TableIndex, other: TableIndex) -> bool:
    return (one.unique, one.definition) == (other.unique, other.definition)

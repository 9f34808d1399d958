"""Compares which tables there are: lost, moved, renamed, replaced by something else, or stray."""

from collections.abc import Collection, Iterator
from typing import Final

from app.releases.identity import OLDER_SERVICE_TABLE
from app.releases.schema import repair_sql
from app.releases.schema.comparison.finding import Finding
from app.releases.schema.snapshot import Snapshot, Table

_KEEP: Final = (
    "Its rows may still be there: look before anything is made in its place, and stop the service "
    "meanwhile."
)


def renamed_tables(expected: Snapshot, live: Snapshot) -> dict[str, str]:
    """Return the tables that stand under another name: ours, and what it is called now.

    A table is another's if it has all the columns of the lost one, and at most one more.
    """
    lost = [name for name in expected.tables if name not in live.tables]
    strays = {n: t for n, t in live.tables.items() if n not in expected.tables}
    renamed: dict[str, str] = {}
    for name in lost:
        alike = [n for n, t in strays.items() if _alike(expected.tables[name], t)]
        if free := [n for n in alike if n not in renamed.values()]:
            renamed[name] = min(free, key=lambda n: (name.strip('"') not in n, n))
    return renamed


def _alike(expected: Table, other: Table) -> bool:
    if not expected.columns.keys() <= other.columns.keys():
        return False
    keys = {*expected.constraints, *expected.indexes, *expected.triggers}
    same = keys & {*other.constraints, *other.indexes, *other.triggers}
    return bool(same) and len(other.columns) <= len(expected.columns) + 1


def compare_missing(
    expected: Snapshot, live: Snapshot, renamed: dict[str, str]
) -> Iterator[Finding]:
    """Yield a finding for each table that is missing: renamed, moved, replaced or lost."""
    for name, table in expected.tables.items():
        if name in live.tables:
            continue
        standing = [what for what in live.standins.get(name, ()) if "." not in what]
        moved = [what for what in live.standins.get(name, ()) if "." in what]
        if name in renamed:
            yield _renamed(name, renamed[name], standing)
        elif moved:
            yield _moved(name, moved[0].partition(" ")[2], standing)
        elif standing:
            yield _replaced(name, standing[0])
        else:
            yield _lost(expected, name, table)


def _aside(standing: list[str]) -> list[str]:
    """Return the step that makes room for a table under its own name."""
    return [f"ALTER {_kind(what)} RENAME TO {_beside(what)}" for what in standing]


def _kind(what: str) -> str:
    word, _, name = what.rpartition(" ")
    return f"{word.upper()} {name}"


def _beside(what: str) -> str:
    return '"' + what.rpartition(" ")[2].strip('"') + ' (aside)"'


_AGAIN: Final = "Then look again: what else was changed on it shows only then."


def _renamed(name: str, now: str, standing: list[str]) -> Finding:
    instead = f", and a {standing[0]} stands in its place" if standing else ""
    steps = [*_aside(standing), f"ALTER TABLE {now} RENAME TO {name}"]
    words = f"Table {name} is called {now} now, with its rows{instead}: statements find no table "
    words += f"of the name {name}. Give it its name back. {_AGAIN}"
    return _finding("table_renamed", name, f"table {now}", words, repair_sql.by_hand(_KEEP, *steps))


def _moved(name: str, now: str, standing: list[str]) -> Finding:
    instead = f", and a {standing[0]} stands in its place" if standing else ""
    words = f"Table {name} is not in the schema public: {now} bears its name{instead}. If that is "
    words += f"{name} with its rows, move it back. {_AGAIN}"
    steps = [*_aside(standing), f"ALTER TABLE {now} SET SCHEMA public"]
    return _finding("table_moved", name, f"table {now}", words, repair_sql.by_hand(_KEEP, *steps))


def _replaced(name: str, what: str) -> Finding:
    words = f"Table {name} is not there: a {what} stands in its place, and may show its rows from "
    words += "elsewhere. Find the table that it reads, move the other aside, and give the table "
    words += f"its name {name} back; only if there is none, the rows must come from a backup."
    statements = repair_sql.by_hand(_KEEP, *_aside([what]))
    return _finding("table_replaced", name, what, words, statements)


def _lost(expected: Snapshot, name: str, table: Table) -> Finding:
    numbers = [n for n, s in expected.sequences.items() if s.table == name and not s.internal]
    words = f"Table {name} is missing, and its rows with it: bring it back from a backup; the mend "
    words += "makes an empty one."
    sequences = [f"CREATE SEQUENCE IF NOT EXISTS {n}" for n in numbers]
    statements = (*sequences, *repair_sql.create_table(name, table))
    return _finding("table_missing", name, None, words, statements)


def _finding(
    kind: str, name: str, there: str | None, words: str, statements: repair_sql.Mend
) -> Finding:
    return Finding(kind, name, name, "table", there, words, statements)


def at_home(others: Collection[str], acquainted: Collection[str] | None) -> Collection[str]:
    """Return the foreign tables that are expected here.

    They are those stored at adoption. Where none were stored, all are if an older service uses the
    database, else none.
    """
    if acquainted is None:
        return others if OLDER_SERVICE_TABLE in others else ()
    return acquainted


def compare_strays(
    live: Snapshot, acquainted: Collection[str] | None, renamed: dict[str, str]
) -> Iterator[Finding]:
    """Name the tables that are neither ours nor another service's."""
    acquainted = at_home(live.others, acquainted)
    for name in live.others:
        if name not in acquainted and name not in renamed.values():
            reason = "Dropping it loses its rows: find out whose it is; its own schema suits it."
            words = (
                f"Table {name} was not built by any revision, and belongs to no older "
                "service that is known here."
            )
            mend = repair_sql.by_hand(
                reason,
                "CREATE SCHEMA IF NOT EXISTS strays",
                repair_sql.alter(name, "SET SCHEMA strays"),
            )
            yield Finding("table_extra", name, name, None, "table", words, mend)

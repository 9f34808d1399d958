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
_AGAIN: Final = "Then look again: what else was changed on it shows only then."


def renamed_tables(expected: Snapshot, live: Snapshot) -> dict[str, str]:
    """Return the tables that stand under another name: ours, and what it is called now.

    A table is another's if it has all the columns of the lost one, and at most one more.
    """
    strays = {n: t for n, t in live.tables.items() if n not in expected.tables}
    renamed: dict[str, str] = {}
    for name, table in expected.tables.items():
        alike = [n for n, t in strays.items() if name not in live.tables and _alike(table, t)]
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
    for name in expected.tables:
        if name in live.tables:
            continue
        standing = next((what for what in live.standins.get(name, ()) if "." not in what), "")
        moved = next((what for what in live.standins.get(name, ()) if "." in what), "")
        if name in renamed:
            yield _renamed(name, renamed[name], standing)
        elif moved:
            yield _moved(name, moved.partition(" ")[2], standing)
        elif standing:
            yield _replaced(name, standing)
        else:
            yield _lost(expected, name)


def _renamed(name: str, now: str, standing: str) -> Finding:
    words = f"Table {name} is called {now} now, with its rows{_instead(standing)}: statements find "
    words += f"no table of the name {name}. Give it its name back. {_AGAIN}"
    mend = _bring_back(standing, f"ALTER TABLE {now} RENAME TO {name}")
    return Finding("table_renamed", name, name, "table", f"table {now}", words, mend)


def _moved(name: str, now: str, standing: str) -> Finding:
    words = f"Table {name} is not in the schema public: {now} bears its name{_instead(standing)}. "
    words += f"If that is {name} with its rows, move it back. {_AGAIN}"
    mend = _bring_back(standing, f"ALTER TABLE {now} SET SCHEMA public")
    return Finding("table_moved", name, name, "table", f"table {now}", words, mend)


def _instead(standing: str) -> str:
    return f", and a {standing} stands in its place" if standing else ""


def _bring_back(standing: str, *steps: str) -> repair_sql.Mend:
    """Return the steps, behind the one that makes room for a table under its own name."""
    word, _, name = standing.rpartition(" ")
    aside = f"""ALTER {word.upper()} {name} RENAME TO "{name.strip('"')} (aside)\""""
    return repair_sql.by_hand(_KEEP, *([aside] if standing else []), *steps)


def _replaced(name: str, what: str) -> Finding:
    words = f"Table {name} is not there: a {what} stands in its place, and may show its rows from "
    words += "elsewhere. Find the table that it reads, move the other aside, and give the table "
    words += f"its name {name} back; only if there is none, the rows must come from a backup."
    return Finding("table_replaced", name, name, "table", what, words, _bring_back(what))


def _lost(expected: Snapshot, name: str) -> Finding:
    numbers = [n for n, s in expected.sequences.items() if s.table == name and not s.internal]
    words = f"Table {name} is missing, and its rows with it: bring it back from a backup; the mend "
    words += "makes an empty one."
    sequences = [f"CREATE SEQUENCE IF NOT EXISTS {n}" for n in numbers]
    mend = (*sequences, *repair_sql.create_table(name, expected.tables[name]))
    return Finding("table_missing", name, name, "table", None, words, mend)


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
            words = f"Table {name} was not built by any revision, and belongs to no older service "
            words += "that is known here."
            aside = repair_sql.alter(name, "SET SCHEMA strays")
            mend = repair_sql.by_hand(reason, "CREATE SCHEMA IF NOT EXISTS strays", aside)
            yield Finding("table_extra", name, name, None, "table", words, mend)

"""Compares two snapshots of one server's schemas: what should be, and what is there. Pure.

The findings come in the order in which their mends can be run.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import chain
from typing import Final

from app.releases.schema import repair_sql
from app.releases.schema.comparison.columns import compare_columns
from app.releases.schema.comparison.constraints import compare_constraints
from app.releases.schema.comparison.finding import Finding
from app.releases.schema.comparison.indexes import compare_indexes
from app.releases.schema.comparison.rights import compare_owners, compare_privileges
from app.releases.schema.comparison.routines import (
    compare_enums,
    compare_functions,
    compare_rules,
    compare_sequences,
    compare_triggers,
    compare_views,
)
from app.releases.schema.comparison.table_presence import (
    at_home,
    compare_missing,
    compare_strays,
    renamed_tables,
)
from app.releases.schema.comparison.trait_comparison import compare_traits
from app.releases.schema.comparison.trait_words import FIRST, LAST
from app.releases.schema.snapshot import Snapshot, Table

_Aspect = Callable[[str, Table, Table], Iterator[Finding]]


def compare(
    expected: Snapshot, live: Snapshot, acquainted: Collection[str] | None = None
) -> list[Finding]:
    """Return every difference, in both directions.

    Tables that are not ours are listed in ``live.beside(expected).others``. One is a finding only
    when it is stray: not among those the database was ``acquainted`` with; where nobody noted
    these, in a database in which no older service lives.
    """
    renamed = renamed_tables(expected, live)
    strangers = live.beside(expected).others
    shared = any(name in at_home(strangers, acquainted) for name in strangers)
    live = live.beside(expected, shared=shared)
    each_shared = _each(expected, live)
    return _without_followers(renamed, [
        *compare_traits(expected, live, FIRST),
        *compare_owners(expected, live),
        *compare_enums(expected, live),
        *compare_functions(expected, live),
        *compare_missing(expected, live, renamed),
        *compare_strays(live, acquainted, renamed),
        *compare_sequences(expected, live),
        *each_shared(compare_columns),
        *each_shared(lambda n, e, _: compare_constraints(n, e, live, *_KEYS)),
        *each_shared(compare_indexes),
        *each_shared(lambda n, e, _: compare_constraints(n, e, live, "foreign key", "check")),
        *each_shared(compare_triggers),
        *each_shared(_silenced),
        *each_shared(compare_rules),
        *compare_views(expected, live),
        *each_shared(_unlogged),
        *each_shared(_row_security),
        *_replication(expected, live),
        *each_shared(lambda n, e, t: _grants(n, e, t, live.role)),
        *compare_privileges(expected, live),
        *compare_traits(expected, live, LAST),
    ])  # fmt: skip


_KEYS: Final = ("primary key", "unique", "exclusion")


def _without_followers(renamed: Mapping[str, str], findings: list[Finding]) -> list[Finding]:
    """Leave out what differs only because a table that it refers to was renamed."""

    def same(finding: Finding) -> bool:
        there = finding.there or ""
        return any(
            finding.expected == there.replace(f" {now}(", f" {name}(")
            for name, now in renamed.items()
        )

    return [finding for finding in findings if not same(finding)]


def _each(expected: Snapshot, live: Snapshot) -> Callable[[_Aspect], Iterator[Finding]]:
    shared = [(n, t, live.tables[n]) for n, t in expected.tables.items() if n in live.tables]
    return lambda aspect: chain.from_iterable(aspect(*pair) for pair in shared)


def _silenced(name: str, expected: Table, live: Table) -> Iterator[Finding]:
    for key in live.silenced:
        if key not in expected.silenced:
            words = (
                f"The triggers of foreign key {key} are disabled on {name}: rows that name "
                "nothing are accepted now, and those written meanwhile stay unchecked until the "
                "key is dropped and added again."
            )
            mend = repair_sql.brief(repair_sql.alter(name, "ENABLE TRIGGER ALL"))
            yield Finding(
                "foreign_key_triggers_disabled", name, key, "enabled", "disabled", words, mend
            )


def _unlogged(name: str, expected: Table, live: Table) -> Iterator[Finding]:
    if expected.unlogged != live.unlogged:
        words = f"Table {name} is UNLOGGED: a crash of the server empties it."
        if expected.unlogged:
            words = f"Table {name} should be UNLOGGED and is not."
        change = "SET UNLOGGED" if expected.unlogged else "SET LOGGED"
        yield _of_table(
            "unlogged",
            name,
            (expected.unlogged, live.unlogged),
            words,
            repair_sql.by_hand(
                f"PostgreSQL writes {name} anew under an exclusive lock, and refuses while a "
                "logged table refers to it: choose the hour.",
                repair_sql.alter(name, change),
            ),
        )


def _row_security(name: str, expected: Table, live: Table) -> Iterator[Finding]:
    if expected.row_security != live.row_security:
        change = "ENABLE" if expected.row_security else "DISABLE"
        state = "on" if live.row_security else "off"
        yield _of_table(
            "row_security",
            name,
            (expected.row_security, live.row_security),
            f"Row level security of {name} is {state}: the app's role sees other rows than it "
            "should, and no error says so.",
            repair_sql.brief(repair_sql.alter(name, f"{change} ROW LEVEL SECURITY")),
        )


def _of_table(
    kind: str, name: str, sides: tuple[bool, bool], words: str, statements: repair_sql.Mend
) -> Finding:
    expected, there = ("on" if side else "off" for side in sides)
    return Finding(kind, name, name, expected, there, words, statements)


# The database has no fixed name, so a statement that names it is put together where it runs.
_IN_DATABASE: Final = "DO $$ BEGIN EXECUTE format('ALTER {} RESET {}', current_database()); END $$"


def _replication(expected: Snapshot, live: Snapshot) -> Iterator[Finding]:
    setting = "session_replication_role"
    mends = {
        "database": _IN_DATABASE.format("DATABASE %I", setting),
        "role": f"ALTER ROLE {live.role} RESET {setting}",
        "role in database": _IN_DATABASE.format(f"ROLE {live.role} IN DATABASE %I", setting),
        "all roles": f"ALTER ROLE ALL RESET {setting}",
        "server": f"ALTER SYSTEM RESET {setting}; SELECT pg_reload_conf()",
    }
    for where in sorted(live.replication.keys() - expected.replication.keys()):
        value = live.replication[where]
        words = (
            f"{setting} is {value}, set for the {where}: in new sessions no trigger fires, "
            "foreign keys' included, so rows that name nothing are accepted. Sessions that are "
            "open keep it until they end."
        )
        yield Finding("replication_role", None, where, "origin", value, words, (mends[where],))


def _grants(name: str, expected: Table, live: Table, role: str) -> Iterator[Finding]:
    if lost := [p for p in expected.grants if p not in live.grants]:
        privileges = ", ".join(lost)
        words = (
            f"The app's role {role} may not {privileges} on {name}: what needs it answers "
            "with an error."
        )
        mend = (
            f"GRANT USAGE ON SCHEMA public TO {role}",
            f"GRANT {privileges} ON {name} TO {role}",
        )
        yield Finding(
            "grant_missing",
            name,
            role,
            ", ".join(expected.grants),
            ", ".join(live.grants) or None,
            words,
            mend,
        )

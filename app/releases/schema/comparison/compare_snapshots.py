"""Compares two snapshots of one server's schemas: what should be, and what is there. Pure.

The findings come in the order in which their mends can be run.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final

from app.releases.schema import repair_sql
from app.releases.schema.comparison import constraints_and_indexes as keys
from app.releases.schema.comparison import routines, table_presence, traits
from app.releases.schema.comparison.columns import compare_columns
from app.releases.schema.comparison.finding import Finding
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
    renamed = table_presence.renamed_tables(expected, live)
    strangers = live.beside(expected).others
    shared = any(name in table_presence.at_home(strangers, acquainted) for name in strangers)
    live = live.beside(expected, shared=shared)
    tables = [(n, t, live.tables[n]) for n, t in expected.tables.items() if n in live.tables]

    def each(compare_table: _Aspect) -> Iterator[Finding]:
        for table in tables:
            yield from compare_table(*table)

    return _without_followers(renamed, [
        *traits.compare_traits(expected, live, FIRST),
        *traits.compare_owners(expected, live),
        *routines.compare_enums(expected, live),
        *routines.compare_functions(expected, live),
        *table_presence.compare_missing(expected, live, renamed),
        *table_presence.compare_strays(live, acquainted, renamed),
        *routines.compare_sequences(expected, live),
        *each(compare_columns),
        *each(lambda n, e, _: keys.compare_constraints(n, e, live, *_KEYS)),
        *each(keys.compare_indexes),
        *each(lambda n, e, _: keys.compare_constraints(n, e, live, "foreign key", "check")),
        *each(routines.compare_triggers),
        *each(_silenced),
        *each(routines.compare_rules),
        *routines.compare_views(expected, live),
        *each(_unlogged),
        *each(_row_security),
        *_replication(expected, live),
        *each(lambda n, e, t: _grants(n, e, t, live.role)),
        *traits.compare_privileges(expected, live),
        *traits.compare_traits(expected, live, LAST),
    ])  # fmt: skip


_KEYS: Final = ("primary key", "unique", "exclusion")
_STATE: Final = {True: "on", False: "off"}


def _without_followers(renamed: Mapping[str, str], findings: list[Finding]) -> list[Finding]:
    """Leave out what differs only because a table that it refers to was renamed."""

    def same(finding: Finding) -> bool:
        there = finding.there or ""
        return any(
            finding.expected == there.replace(f" {now}(", f" {name}(")
            for name, now in renamed.items()
        )

    return [finding for finding in findings if not same(finding)]


def _silenced(name: str, expected: Table, live: Table) -> Iterator[Finding]:
    kind, mend = "foreign_key_triggers_disabled", repair_sql.alter(name, "ENABLE TRIGGER ALL")
    for key in live.silenced:
        if key not in expected.silenced:
            words = f"The triggers of foreign key {key} are disabled on {name}: rows that name "
            words += "nothing are accepted now, and those written meanwhile stay unchecked until "
            words += "the key is dropped and added again."
            sides = "enabled", "disabled"
            yield Finding(kind, name, key, *sides, words, repair_sql.brief(mend))


def _unlogged(name: str, expected: Table, live: Table) -> Iterator[Finding]:
    if expected.unlogged != live.unlogged:
        words = f"Table {name} is UNLOGGED: a crash of the server empties it."
        if expected.unlogged:
            words = f"Table {name} should be UNLOGGED and is not."
        reason = f"PostgreSQL writes {name} anew under an exclusive lock, and refuses while a "
        reason += "logged table refers to it: choose the hour."
        change = repair_sql.alter(name, "SET UNLOGGED" if expected.unlogged else "SET LOGGED")
        sides = _STATE[expected.unlogged], _STATE[live.unlogged]
        mend = repair_sql.by_hand(reason, change)
        yield Finding("unlogged", name, name, *sides, words, mend)


def _row_security(name: str, expected: Table, live: Table) -> Iterator[Finding]:
    if expected.row_security != live.row_security:
        should, is_ = _STATE[expected.row_security], _STATE[live.row_security]
        words = f"Row level security of {name} is {is_}: the app's role sees other rows than it "
        words += "should, and no error says so."
        change = f"{'ENABLE' if expected.row_security else 'DISABLE'} ROW LEVEL SECURITY"
        mend = repair_sql.brief(repair_sql.alter(name, change))
        yield Finding("row_security", name, name, should, is_, words, mend)


def _replication(expected: Snapshot, live: Snapshot) -> Iterator[Finding]:
    setting = "session_replication_role"
    reset = f"RESET {setting}"
    mends = {
        "database": repair_sql.in_database(f"ALTER DATABASE %I {reset}"),
        "role": f"ALTER ROLE {live.role} {reset}",
        "role in database": repair_sql.in_database(
            f"ALTER ROLE {live.role} IN DATABASE %I {reset}"
        ),
        "all roles": f"ALTER ROLE ALL {reset}",
        "server": f"ALTER SYSTEM {reset}; SELECT pg_reload_conf()",
    }
    for where in sorted(live.replication.keys() - expected.replication.keys()):
        value = live.replication[where]
        words = f"{setting} is {value}, set for the {where}: in new sessions no trigger fires, "
        words += "foreign keys' included, so rows that name nothing are accepted. Sessions that "
        words += "are open keep it until they end."
        yield Finding("replication_role", None, where, "origin", value, words, (mends[where],))


def _grants(name: str, expected: Table, live: Table, role: str) -> Iterator[Finding]:
    if lost := ", ".join(p for p in expected.grants if p not in live.grants):
        words = f"The app's role {role} may not {lost} on {name}: what needs it answers with an "
        words += "error."
        mend = (f"GRANT USAGE ON SCHEMA public TO {role}", f"GRANT {lost} ON {name} TO {role}")
        sides = ", ".join(expected.grants), ", ".join(live.grants) or None
        yield Finding("grant_missing", name, role, *sides, words, mend)

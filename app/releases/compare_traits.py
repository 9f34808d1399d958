"""Compares traits, in both directions: what each is, whom it harms, and how it goes away.

Kinds that one of the two snapshots has not looked at are left out, as those that an older image
stored never have them.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple

from app.releases import mend
from app.releases.finding import Finding
from app.releases.snapshot import Snapshot, Trait


class Kind(NamedTuple):
    """How a kind of trait is put in words: ``noun`` is what it is of, ``harm`` what it does.

    ``by_hand`` is why somebody must look before its mend is run, "" for none; ``briefly`` where
    the mend takes a lock on a table.
    """

    noun: str
    harm: str
    by_hand: str = ""
    briefly: bool = False


_REWRITES: Final = "PostgreSQL writes {table} anew under an exclusive lock: choose the hour."

# What must be mended before columns, keys and triggers can be.
FIRST: Final = {
    "search_path": Kind(
        "The search path of new sessions of {object}",
        "a schema stands before public in it, or public is not in it, so names without a schema "
        "may mean other objects, and new ones land elsewhere",
    ),
    "shadow": Kind(
        "{object}, which bears the name of one of ours and stands before it in the search path,",
        "statements read and write it in place of ours",
        "Setting the search path (above) makes ours visible again; rows that were written to it "
        "meanwhile must be carried over by hand.",
    ),
    "setting": Kind(
        "The setting {object}",
        "statements of new sessions mean or may do something else, for whoever does not set it "
        "himself",
    ),
    "subscription": Kind(
        "The subscription {object} to {table}",
        "rows of another server are written into {table} past the service",
        "It belongs to whoever replicates: ALTER SUBSCRIPTION … DISABLE, and ask him.",
    ),
    "child": Kind(
        "{object}, which inherits from {table},",
        "its rows appear in every read of {table}, and no key of {table} holds for them",
        briefly=True,
    ),
    "parent": Kind(
        "{object}, from which {table} inherits,",
        "the rows of {table} appear there, and changes of its columns come along",
        briefly=True,
    ),
    "relation": Kind(
        "The form of table {object}",
        "revisions that change it will be refused, its keys may not hold, and its rows may still "
        "stand in the table that it replaced",
        "A table cannot become plain again in place: make one beside it, carry the rows over, and "
        "swap their names.",
    ),
}  # fmt: skip

LAST: Final = {
    "access_method": Kind("The access method of {object}", "its rows are stored another way",
                          _REWRITES),
    "tablespace": Kind("The tablespace of {object}", "it may be gone with its disk", _REWRITES),
    "replica_identity": Kind("The replica identity of {object}",
                             "logical replication may refuse its updates", briefly=True),
    "forced_row_security": Kind(
        "Row level security of {object} for its owner",
        "the owner sees other rows than it should, and no error says so", briefly=True),
    "storage_parameter": Kind("The storage parameter {object}",
                              "the table may bloat, or its statistics grow old", briefly=True),
    "clustered": Kind("The order by the index {object}",
                      "a CLUSTER without a name rewrites {table}", briefly=True),
    "policy": Kind("The policy {object} of {table}",
                   "with row level security it hides rows, and no error says so", briefly=True),
    "rule_firing": Kind("The firing of the rule {object} of {table}",
                        "statements on the table do something else than they say", briefly=True),
    "statistics_object": Kind("The statistics {object} of {table}",
                              "plans are made from other numbers, and ANALYZE pays for it",
                              briefly=True),
    "column_storage": Kind("The storage of column {object}",
                           "long values are stored another way", briefly=True),
    "column_compression": Kind("The compression of column {object}",
                               "long values are stored another way", briefly=True),
    "column_statistics": Kind("The statistics target of column {object}",
                              "plans are made from other numbers", briefly=True),
    "column_option": Kind("The option {object} of a column",
                          "plans are made from other numbers", briefly=True),
    "sequence_cache": Kind("The cache of the sequence {object}",
                           "numbers are left out between sessions"),
    "sequence_unlogged": Kind("The sequence {object}",
                              "a crash of the server sets it back to its start"),
    "schema_owner": Kind("The owner of the {object}",
                         "it may drop the schema, and the migrations may not make tables in it"),
    "public_grant": Kind("What everybody may do on {object}",
                         "any role of the server may do it, past the service"),
    "owner_privilege": Kind("What the owner may not do on {object}",
                            "foreign keys are checked as the owner, so writes are refused"),
    "system_privilege": Kind("The use of {object} by the app's role",
                             "defaults and statements that need it answer with an error"),
    "acting": Kind("The {object}",
                   "it acts on all statements that fit it, ours and the migrations' too",
                   "Find out whose it is, and keep its definition."),
    "object": Kind("The {object}",
                   "a revision that makes one of this name will fail, and it may depend on ours",
                   "Find out whose it is, and keep its definition."),
}  # fmt: skip


def compare_traits(expected: Snapshot, live: Snapshot, kinds: dict[str, Kind]) -> Iterator[Finding]:
    """Compare every trait of these kinds, in both directions."""
    for name, kind in kinds.items():
        if name in expected.traits and name in live.traits:
            wanted, there = expected.traits[name], live.traits[name]
            for each in (*there, *(each for each in wanted if each not in there)):
                sides = wanted.get(each), there.get(each)
                if not _same(*sides) and not _compared_elsewhere(name, each, expected, live):
                    yield _finding(name, kind, each, *sides)


def _same(wanted: Trait | None, there: Trait | None) -> bool:
    return (wanted and wanted.value) == (there and there.value)


def _compared_elsewhere(kind: str, name: str, expected: Snapshot, live: Snapshot) -> bool:
    """Tell whether it goes with something that is compared for itself."""
    wanted = expected.traits[kind].get(name)
    if wanted and wanted.table is not None:
        return wanted.table not in live.tables
    if kind not in {"object", "acting"}:
        return False
    bare = name.partition(" ")[2].removeprefix("public.").removeprefix("view public.")
    if name in live.traits[kind]:
        return bare in live.views or bare in expected.tables
    return name.startswith(("function ", "procedure ", "type ")) or bare in expected.views


def _finding(
    name: str, kind: Kind, each: str, wanted: Trait | None, there: Trait | None
) -> Finding:
    trait = there or wanted
    assert trait
    places = {"object": each, "table": trait.table}
    words = f"{kind.noun.format(**places)} {_sides(name, wanted, there)}: "
    steps = [*(there.undo if there else ()), *(wanted.make if wanted else ())]
    return Finding(
        kind=_kind_of(name, trait.value, there),
        table=trait.table,
        object=each,
        expected=wanted.value if wanted else None,
        there=there.value if there else None,
        words=f"{words}{kind.harm.format(**places)}.",
        mend=_mended(kind, steps, places),
    )


def _sides(name: str, wanted: Trait | None, there: Trait | None) -> str:
    if name in {"acting", "object", "shadow", "child", "parent", "subscription"}:
        return "was not built by any revision" if there else "is missing"
    usual = _USUAL.get(name, "the default")
    return f"should be {wanted.value if wanted else usual} and is {there.value if there else usual}"


_USUAL: Final = {
    "relation": "a plain table", "public_grant": "nothing", "owner_privilege": "nothing",
    "policy": "none", "statistics_object": "none", "search_path": "public alone",
    "system_privilege": "allowed", "schema_owner": "the database's owner",
}  # fmt: skip


def _kind_of(name: str, value: str, there: Trait | None) -> str:
    """Return the finding's kind; an object's says what it is."""
    if name in {"acting", "object"}:
        return f"{value.replace(' ', '_')}_{'extra' if there else 'missing'}"
    return name


def _mended(kind: Kind, steps: list[str], places: dict[str, str | None]) -> mend.Mend:
    if kind.by_hand:
        return mend.by_hand(kind.by_hand.format(**places), *filter(None, steps))
    return mend.brief(*steps) if kind.briefly and steps else tuple(steps)


def compare_owners(expected: Snapshot, live: Snapshot) -> Iterator[Finding]:
    """Compare who owns our objects: whoever owns most of the tables, or who migrates.

    So a database may belong to another role than the one that migrates it, and what that one made
    since may be its own.
    """
    wanted, there = expected.traits.get("owner", {}), live.traits.get("owner", {})
    most = Counter(trait.value for trait in there.values() if trait.table is not None)
    for name, trait in there.items():
        own = wanted.get(name)
        owner = max(most, key=lambda each: (most[each], own and each == own.value), default=None)
        if owner and own and trait.value not in {owner, own.value}:
            yield _owned(name, trait, owner)


def _owned(name: str, trait: Trait, owner: str) -> Finding:
    statement = f"ALTER {name} OWNER TO {owner}"
    return Finding(
        kind="owner",
        table=trait.table,
        object=name,
        expected=owner,
        there=trait.value,
        words=f"{name} belongs to {trait.value}, and what is around it to {owner}: the migrations "
        "may not change it, and keys are checked with the rights of another role.",
        mend=mend.brief(statement) if trait.table else (statement,),
    )


def compare_privileges(expected: Snapshot, live: Snapshot) -> Iterator[Finding]:
    """Compare whether the app's role may use our functions and types."""
    if "privilege" not in live.traits:
        return
    there = live.traits["privilege"]
    gone = {name for name in expected.traits.get("privilege", {}) if name not in there}
    for name in sorted(gone & live.traits["owner"].keys()):
        privilege = expected.traits["privilege"][name].value
        yield Finding(
            kind="grant_missing",
            table=None,
            object=name,
            expected=privilege,
            there=None,
            words=f"The app's role {live.role} may not use {name} ({privilege}): triggers, "
            "defaults and statements that need it answer with an error.",
            mend=(f"GRANT {privilege} ON {name} TO {live.role}",),
        )

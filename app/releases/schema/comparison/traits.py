"""Compares traits, in both directions: what each is, whom it harms, and how it goes away.

Kinds that one of the two snapshots has not looked at are left out, as those that an older image
stored never have them. Who owns our objects, and who may use them, is compared in one direction.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from app.releases.schema import repair_sql
from app.releases.schema.comparison.finding import Finding
from app.releases.schema.comparison.trait_words import Kind
from app.releases.schema.snapshot import Snapshot, Trait


def compare_traits(expected: Snapshot, live: Snapshot, kinds: dict[str, Kind]) -> Iterator[Finding]:
    """Compare every trait of these kinds, in both directions."""
    for name, kind in kinds.items():
        if name in expected.traits and name in live.traits:
            should, there = expected.traits[name], live.traits[name]
            for each in (*there, *(each for each in should if each not in there)):
                sides = should.get(each), there.get(each)
                if not _same(*sides) and not _compared_elsewhere(name, each, expected, live):
                    yield _finding(name, kind, each, *sides)


def _same(should: Trait | None, there: Trait | None) -> bool:
    return (should and should.value) == (there and there.value)


def _compared_elsewhere(kind: str, name: str, expected: Snapshot, live: Snapshot) -> bool:
    """Return whether it belongs to an object that another comparison reports."""
    should = expected.traits[kind].get(name)
    if should and should.table is not None:
        return should.table not in live.tables
    if kind not in {"object", "acting"}:
        return False
    bare = name.partition(" ")[2].removeprefix("public.").removeprefix("view public.")
    if name in live.traits[kind]:
        return bare in live.views or bare in expected.tables
    return name.startswith(("function ", "procedure ", "type ")) or bare in expected.views


def _finding(
    name: str, kind: Kind, each: str, should: Trait | None, there: Trait | None
) -> Finding:
    trait = there or should
    assert trait
    places = {"object": each, "table": trait.table}
    words = f"{kind.noun.format(**places)} {_sides(name, should, there)}: "
    words += f"{kind.harm.format(**places)}."
    expected, live = (side.value if side else None for side in (should, there))
    what = name
    if name in {"acting", "object"}:  # the finding says what it is
        what = f"{trait.value.replace(' ', '_')}_{'extra' if there else 'missing'}"
    steps = [*(there.undo if there else ()), *(should.make if should else ())]
    mend = repair_sql.brief(*steps) if kind.briefly and steps else tuple(steps)
    if kind.by_hand:
        mend = repair_sql.by_hand(kind.by_hand.format(**places), *filter(None, steps))
    return Finding(what, trait.table, each, expected, live, words, mend)


def _sides(name: str, should: Trait | None, there: Trait | None) -> str:
    if name in {"acting", "object", "shadow", "child", "parent", "subscription"}:
        return "was not built by any revision" if there else "is missing"
    usual = _USUAL.get(name, "the default")
    return f"should be {should.value if should else usual} and is {there.value if there else usual}"


_USUAL: Final = {
    "relation": "a plain table", "public_grant": "nothing", "owner_privilege": "nothing",
    "policy": "none", "statistics_object": "none", "search_path": "public alone",
    "system_privilege": "allowed", "schema_owner": "the database's owner",
}  # fmt: skip


def compare_owners(expected: Snapshot, live: Snapshot) -> Iterator[Finding]:
    """Compare who owns our objects: whoever owns most of the tables, or who migrates.

    So a database may belong to another role than the one that migrates it, and what that one made
    since may be its own.
    """
    owners, there = expected.traits.get("owner", {}), live.traits.get("owner", {})
    most = Counter(trait.value for trait in there.values() if trait.table is not None)
    for name, trait in there.items():
        own = owners.get(name)
        owner = max(most, key=lambda each: (most[each], own and each == own.value), default=None)
        if owner and own and trait.value not in {owner, own.value}:
            statement = f"ALTER {name} OWNER TO {owner}"
            words = f"{name} belongs to {trait.value}, and what is around it to {owner}: the "
            words += "migrations may not change it, and keys are checked with the rights of "
            words += "another role."
            mend = repair_sql.brief(statement) if trait.table else (statement,)
            yield Finding("owner", trait.table, name, owner, trait.value, words, mend)


def compare_privileges(expected: Snapshot, live: Snapshot) -> Iterator[Finding]:
    """Compare whether the app's role may use our functions and types."""
    if "privilege" not in live.traits:
        return
    privileges = expected.traits.get("privilege", {})
    lost = privileges.keys() - live.traits["privilege"].keys()
    for name in sorted(lost & live.traits["owner"].keys()):
        privilege = privileges[name].value
        words = f"The app's role {live.role} may not use {name} ({privilege}): triggers, defaults "
        words += "and statements that need it answer with an error."
        mend = (f"GRANT {privilege} ON {name} TO {live.role}",)
        yield Finding("grant_missing", None, name, privilege, None, words, mend)

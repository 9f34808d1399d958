"""Compares who owns our objects, and whether the app's role may use them."""

from collections import Counter
from collections.abc import Iterator

from app.releases.schema import repair_sql
from app.releases.schema.comparison.finding import Finding
from app.releases.schema.snapshot import Snapshot, Trait


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
            yield _owned(name, trait, owner)


def _owned(name: str, trait: Trait, owner: str) -> Finding:
    statement = f"ALTER {name} OWNER TO {owner}"
    words = (
        f"{name} belongs to {trait.value}, and what is around it to {owner}: the migrations "
        "may not change it, and keys are checked with the rights of another role."
    )
    mend = repair_sql.brief(statement) if trait.table else (statement,)
    return Finding("owner", trait.table, name, owner, trait.value, words, mend)


def compare_privileges(expected: Snapshot, live: Snapshot) -> Iterator[Finding]:
    """Compare whether the app's role may use our functions and types."""
    if "privilege" not in live.traits:
        return
    there = live.traits["privilege"]
    lost = {name for name in expected.traits.get("privilege", {}) if name not in there}
    for name in sorted(lost & live.traits["owner"].keys()):
        privilege = expected.traits["privilege"][name].value
        words = (
            f"The app's role {live.role} may not use {name} ({privilege}): triggers, "
            "defaults and statements that need it answer with an error."
        )
        mend = (f"GRANT {privilege} ON {name} TO {live.role}",)
        yield Finding("grant_missing", None, name, privilege, None, words, mend)

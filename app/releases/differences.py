"""Tells two databases' schemas apart, object by object, with neither being the right one. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from app.releases.compare import compare
from app.releases.finding import Finding
from app.releases.snapshot import Snapshot


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One object that is otherwise here than there; None where it is not at all."""

    kind: str
    table: str | None
    object: str
    here: str | None
    there: str | None
    words: str


# Of what is only there, comparing in this direction says nothing: the other direction does.
_ONE_SIDED: Final = {
    "table_missing", "enum_missing", "function_missing", "sequence_missing", "replication_role",
}  # fmt: skip


def differences(here: Snapshot, there: Snapshot) -> Iterator[Difference]:
    """Give what differs, by table; what belongs to none comes first."""
    one_way = compare(here, there, acquainted=there.tables)
    back = [f for f in compare(there, here, acquainted=here.tables) if f.kind in _ONE_SIDED]
    found = [_difference(f, f.expected, f.there) for f in one_way]
    found += [_difference(f, f.there, f.expected) for f in back]
    gone = {d.table for d in found if d.kind == "table"}
    told = {
        (d.kind, d.table, d.object): d for d in found if d.kind == "table" or d.table not in gone
    }
    yield from sorted(told.values(), key=lambda d: (d.table or "", d.object, d.kind))


def _difference(finding: Finding, here: str | None, there: str | None) -> Difference:
    kind, template = next(
        (kind, words) for kind, words in _NOUNS.items() if finding.kind.startswith(kind)
    )
    noun = template.format(object=finding.object, table=finding.table)
    if finding.kind == "replication_role":  # where nothing is set, nothing is told
        here, there = (None if side == "origin" else side for side in (here, there))
    return Difference(
        kind=kind,
        table=finding.table,
        object=finding.object,
        here=here,
        there=there,
        words=_told(noun, here, there),
    )


# By the beginning of a finding's kind, the longer before the shorter.
_NOUNS: Final = {
    "table": "Table {object}",
    "column_type": "Type of column {object}",
    "column_collation": "Collation of column {object}",
    "column": "Column {object}",
    "nullability": "Column {object}",
    "default": "Default of column {object}",
    "identity": "Identity of column {object}",
    "generated": "Expression of column {object}",
    "sequence": "Sequence {object}",
    "primary_key": "Primary key {object}",
    "unique": "Unique key {object}",
    "exclusion": "Exclusion {object}",
    "foreign_key_triggers": "Triggers of foreign key {object}",
    "foreign_key": "Foreign key {object}",
    "check": "CHECK {object}",
    "index": "Index {object}",
    "trigger": "Trigger {object}",
    "function": "Function {object}",
    "enum": "Enum {object}",
    "rule": "Rule {object}",
    "view": "View {object}",
    "unlogged": "UNLOGGED",
    "row_security": "Row level security",
    "replication_role": "session_replication_role of the {object}",
    "grant": "What the role may do",
}


def _told(noun: str, here: str | None, there: str | None) -> str:
    if here is not None and there is not None:
        return f"{noun}: here {_shown(here)}; there {_shown(there)}."
    where, its = ("there", there) if here is None else ("here", here)
    shown = "" if not its or "\n" in its or its == "table" else f": {its}"
    return f"{noun} is only {where}{shown}."


def _shown(definition: str) -> str:
    """A function's body is too long to say."""
    if "\n" in definition:
        return f"one body ({sha256(definition.encode()).hexdigest()[:8]})"
    return definition

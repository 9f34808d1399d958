"""Lists how the schemas of two databases differ, neither being the right one. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from app.releases.schema.comparison.compare_snapshots import compare
from app.releases.schema.comparison.finding import Finding
from app.releases.schema.snapshot import Snapshot


@dataclass(frozen=True)
class Difference:
    """One object that differs; ``here`` or ``there`` is None where it does not exist."""

    kind: str
    table: str | None
    object: str
    here: str | None
    there: str | None
    words: str


# Of what is only there, comparing in this direction says nothing: the other direction does.
_ONE_SIDED: Final = {
    "table_missing", "table_renamed", "table_moved", "table_replaced",
    "enum_missing", "function_missing", "sequence_missing", "replication_role",
}  # fmt: skip


def differences(here: Snapshot, there: Snapshot) -> Iterator[Difference]:
    """Return what differs, by table; what belongs to none comes first."""
    one_way = compare(here, there, acquainted=there.tables)
    back = [f for f in compare(there, here, acquainted=here.tables) if f.kind in _ONE_SIDED]
    twice = {_bare(f.object) for f in back if f.kind in {"enum_missing", "function_missing"}}
    every = [
        _difference(f, f.expected, f.there)
        for f in one_way
        if f.kind not in {"function_extra", "procedure_extra", "type_extra"}
        or _bare(f.object) not in twice
    ]
    every += [_difference(f, f.there, f.expected) for f in back]
    lost_tables = {d.table for d in every if d.kind == "table"}
    unique = {
        (d.kind, d.table, d.object): d
        for d in every
        if d.kind == "table" or d.table not in lost_tables
    }
    yield from sorted(unique.values(), key=lambda d: (d.table or "", d.object, d.kind))


def _difference(finding: Finding, here: str | None, there: str | None) -> Difference:
    kind, template = _noun(finding)
    noun = template.format(object=finding.object, table=finding.table)
    if finding.kind == "replication_role":  # where nothing is set, nothing is told
        here, there = (None if side == "origin" else side for side in (here, there))
    words = _describe(noun, here, there)
    return Difference(kind, finding.table, finding.object, here, there, words)


def _bare(name: str) -> str:
    """Return a routine's or type's name without its schema, its kind and its arguments."""
    return name.partition("(")[0].rpartition(" ")[2].rpartition(".")[2]


def _noun(finding: Finding) -> tuple[str, str]:
    """Return the kind of a difference, and what it is called; a trait is called by its kind."""
    for kind in sorted(_NOUNS, key=len, reverse=True):
        if finding.kind == kind or finding.kind.startswith(f"{kind}_"):
            return kind, _NOUNS[kind]
    kind = finding.kind.removesuffix("_extra").removesuffix("_missing")
    word = kind.replace("_", " ")
    return kind, "The {object}" if finding.object.startswith(word) else f"The {word} {{object}}"


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
    "owner_privilege": "What the owner may not do on {object}",
    "owner": "Owner of {object}",
    "column_storage": "Storage of column {object}",
    "column_compression": "Compression of column {object}",
    "column_statistics": "Statistics target of column {object}",
    "column_option": "Option {object}",
    "setting": "Setting {object}",
    "search_path": "Search path of {object}",
}


def _describe(noun: str, here: str | None, there: str | None) -> str:
    if here is not None and there is not None:
        return f"{noun}: here {_shorten(here)}; there {_shorten(there)}."
    where, its = ("there", there) if here is None else ("here", here)
    detail = "" if not its or "\n" in its or its == "table" else f": {its}"
    return f"{noun} is only {where}{detail}."


def _shorten(definition: str) -> str:
    """Return a definition, or the hash of a function's body: that is too long to print."""
    if "\n" in definition:
        return f"one body ({sha256(definition.encode()).hexdigest()[:8]})"
    return definition

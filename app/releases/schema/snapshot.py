"""A schema as the catalogue tells it: pure data, comparable, and the same text on every reading.

Names come quoted where PostgreSQL would quote them, ready to stand in a statement. Definitions are
PostgreSQL's own words (``pg_get_constraintdef`` and its kin): they differ between versions, so two
snapshots are compared only when they come from one server. The order of columns means nothing.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Final, Literal

from pydantic import TypeAdapter

Firing = Literal["always", "disabled", "enabled", "replica only"]
Sort = Literal["primary key", "unique", "exclusion", "foreign key", "check"]

# What the gate may keep for itself, outside the revisions.
_KEEPING: Final = "release_"


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column. ``default`` and ``generated`` are expressions, "" for none.

    ``not_null`` holds only when every row was checked; ``collation`` is "" for the type's own.
    """

    type: str
    not_null: bool
    default: str
    identity: Literal["", "ALWAYS", "BY DEFAULT"]
    generated: str
    collation: str


@dataclass(frozen=True, kw_only=True)
class Constraint:
    """A key, foreign key or CHECK; ``valid`` when every row was checked, or its index is usable."""

    sort: Sort
    definition: str
    valid: bool


@dataclass(frozen=True, kw_only=True)
class TableIndex:
    """An index that belongs to no constraint; ``definition`` begins with ON."""

    unique: bool
    definition: str
    valid: bool


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """A trigger; ``definition`` is the statement that creates it."""

    definition: str
    firing: Firing


@dataclass(frozen=True, kw_only=True)
class Sequence:
    """A sequence owned by a column; ``internal`` when it is an identity column's own.

    ``usable`` when the app's role may take numbers from it.
    """

    table: str
    column: str
    definition: str
    internal: bool
    usable: bool


@dataclass(frozen=True, kw_only=True)
class Trait:
    """Something about an object that differs from PostgreSQL's default, or an object of its own.

    ``make`` are the statements that bring it about, ``undo`` those that take it away.
    """

    table: str | None
    value: str
    make: tuple[str, ...] = ()
    undo: tuple[str, ...] = ()


Traits = Mapping[str, Trait]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table; ``silenced`` are foreign keys whose triggers on it do not fire.

    ``grants`` are what the app's role may do with its rows.
    """

    unlogged: bool = False
    row_security: bool = False
    columns: Mapping[str, Column] = field(default_factory=dict)
    constraints: Mapping[str, Constraint] = field(default_factory=dict)
    indexes: Mapping[str, TableIndex] = field(default_factory=dict)
    triggers: Mapping[str, Trigger] = field(default_factory=dict)
    rules: Mapping[str, str] = field(default_factory=dict)
    silenced: tuple[str, ...] = ()
    grants: tuple[str, ...] = ()

    def constraints_of(self, *sorts: Sort) -> dict[str, Constraint]:
        """Return the constraints of these sorts."""
        return {name: c for name, c in self.constraints.items() if c.sort in sorts}


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """All of the schema ``public``.

    ``views`` names the tables each reads, ``functions`` are keyed with their arguments,
    ``replication`` says where a ``session_replication_role`` is set that silences triggers,
    ``others`` are tables that the revisions did not build, ``role`` is the app's.
    ``traits`` are by kind and then by object; a kind that is not there was not looked at, as in
    snapshots that older images stored. ``standins`` are what bears a name without being a table
    here: a view, or a table of another schema.
    """

    tables: Mapping[str, Table]
    sequences: Mapping[str, Sequence]
    enums: Mapping[str, tuple[str, ...]]
    functions: Mapping[str, str]
    views: Mapping[str, tuple[str, ...]]
    replication: Mapping[str, str]
    role: str
    others: tuple[str, ...] = ()
    traits: Mapping[str, Traits] = field(default_factory=dict)
    standins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def beside(self, expected: "Snapshot", *, shared: bool = True) -> "Snapshot":
        """Return only what is ours: other tables are listed in ``others``, the rest left out.

        Where there are others, what stands in the schema beside tables is theirs too, unless it is
        not ``shared`` with them.
        """
        ours = expected.tables.keys()
        strange = {n for n in self.tables if n not in ours and not n.startswith(_KEEPING)}
        others = tuple(sorted({*self.others, *strange}))
        shared = shared and bool(others)
        return replace(
            self,
            tables={name: table for name, table in self.tables.items() if name in ours},
            sequences={n: s for n, s in self.sequences.items() if s.table in ours},
            enums={n: e for n, e in self.enums.items() if n in expected.enums},
            functions={n: f for n, f in self.functions.items() if n in expected.functions},
            views={n: read for n, read in self.views.items() if not ours.isdisjoint(read)},
            others=others,
            traits={kind: self._ours(kind, expected, shared=shared) for kind in self.traits},
            standins={n: s for n, s in self.standins.items() if n in ours - self.tables.keys()},
        )

    def _ours(self, kind: str, expected: "Snapshot", *, shared: bool) -> Traits:
        """Leave out the traits of others, who live in the schema where it is ``shared``."""
        ours = expected.traits.get(kind, {})
        routines = {name.partition("(")[0] for name in expected.functions}

        def is_ours(name: str, trait: Trait) -> bool:
            if trait.table is not None:
                return trait.table in expected.tables
            if kind in {"owner", "privilege"}:  # of others' objects these say nothing of ours
                return name in ours
            if kind == "materialized":
                return not expected.tables.keys().isdisjoint(self.views.get(name, ()))
            if kind == "shadow":
                return name.rpartition(".")[2] in {*routines, *expected.enums}
            if kind == "object" and shared:
                return name in ours or name.partition(".")[2].partition("(")[0] in routines
            return True

        return {name: trait for name, trait in self.traits[kind].items() if is_ours(name, trait)}

    def without(self, *kinds: str) -> "Snapshot":
        """Return it as if these kinds of traits had not been looked at."""
        return replace(self, traits={k: t for k, t in self.traits.items() if k not in kinds})

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return dict(json.loads(json.dumps(self, default=vars)))


def from_json(stored: Mapping[str, Any]) -> Snapshot:
    """Read what ``as_json`` gave. Raises pydantic's ValidationError for anything else."""
    return TypeAdapter(Snapshot).validate_json(json.dumps(stored))


def fingerprint(snapshot: Snapshot) -> str:
    """Return the SHA-256 of its canonical form; the app's role may have any name."""
    traits = {
        kind: {name: (trait.table, trait.value) for name, trait in of_kind.items()}
        for kind, of_kind in snapshot.traits.items()
    }
    content = {name: part for name, part in vars(snapshot).items() if name != "role"}
    canonical = json.dumps(
        content | {"traits": traits},
        default=vars, sort_keys=True, separators=(",", ":"), ensure_ascii=False,
    )  # fmt: skip
    return sha256(canonical.encode()).hexdigest()

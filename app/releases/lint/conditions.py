"""Conditions of our own lint rules: what makes a statement dangerous, read from its tree.

A condition is a function of a statement and of what stands before it in its plan. A table that the
same plan creates has no users yet, so most conditions ask whether an existing one is touched.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from app.releases.migrations.migration_session import (
    BRIEF_STATEMENT_TIMEOUT,
    LOCK_TIMEOUT,
    shorter,
)
from app.releases.migrations.revisions import Phase
from app.releases.plan.plan import Statement
from app.releases.sql.effects import WRITES, is_concurrent, stronger, table_changes
from app.releases.sql.parser import (
    Node,
    called_functions,
    constant,
    options,
    parse_or_unread,
    texts,
)
from app.releases.sql.text import normalise

# Without a trigger, of which another rule speaks; an index is only slower to be without.
_HARMLESS_DROPS: Final = {"OBJECT_INDEX", "OBJECT_TRIGGER", "OBJECT_STATISTIC_EXT"}
_NAMED_IN_CODE: Final = {f"OBJECT_{kind}" for kind in (
    "TYPE", "ATTRIBUTE", "DOMAIN", "DOMCONSTRAINT", "FUNCTION", "PROCEDURE", "ROUTINE", "SEQUENCE",
    "SCHEMA", "VIEW", "MATVIEW",
)}  # fmt: skip
_LONGEST: Final = {"lock_timeout": LOCK_TIMEOUT, "statement_timeout": BRIEF_STATEMENT_TIMEOUT}
_TIMEOUT: Final = re.compile(r"0*([1-9]\d*) ?(ms|s|)", re.IGNORECASE)

# Of PostgreSQL's own functions, those that only read.
_READING: Final = """count min max sum avg every bool_and bool_or string_agg array_agg
  json_agg jsonb_agg jsonb_object_agg row_number rank lag lead first_value lower upper btrim length
  substring left right replace concat format to_char to_date to_timestamp to_jsonb
  jsonb_build_object jsonb_build_array jsonb_typeof now age date_trunc date_part extract
  clock_timestamp gen_random_uuid random abs round floor ceil generate_series unnest version
  current_setting set_config pg_backend_pid to_regclass md5"""
_ADVISORY: Final = re.compile(r"pg_(?:try_)?advisory_(?:xact_)?lock(?:_shared)?")


class LintedStatement(NamedTuple):
    """One statement's tree with what stands before it in its plan.

    A text that holds several statements is linted once for each.
    """

    statement: Statement
    tree: Node
    phase: Phase
    before: Sequence["LintedStatement"]

    @property
    def existing(self) -> bool:
        """Whether it touches a table that is there already."""
        return bool(self.statement.tables)

    @property
    def kind(self) -> str:
        """The tree's kind, as in "AlterTableStmt"."""
        return self.tree.kind

    def changes(self, *subtypes: str) -> list[Node]:
        """Return the changes of these sorts that an ALTER TABLE makes."""
        return [c for c in table_changes(self.tree) if c["subtype"].removeprefix("AT_") in subtypes]

    def added_constraints(self) -> list[Node]:
        """Return the constraints that an ALTER TABLE adds to its table."""
        return [change["def"] for change in self.changes("AddConstraint")]

    def is_drop_of(self, kind: str) -> bool:
        """Return whether it drops this kind of object."""
        return self.kind == "DropStmt" and self.tree["remove_type"] == f"OBJECT_{kind}"

    def same_step(self) -> Iterator["LintedStatement"]:
        """Yield the earlier statements of the same step."""
        return (e for e in self.before if e.statement.step == self.statement.step)


Condition = Callable[[LintedStatement], bool]


def statements_to_lint(
    plan: Sequence[Statement], phases: dict[str, Phase]
) -> list[LintedStatement]:
    """Prepare a plan's statements for the rules; a revision without a phase is an expand."""
    prepared: list[LintedStatement] = []
    for statement in plan:
        phase = phases.get(statement.revision, "expand")
        for tree in parse_or_unread(statement.sql):
            prepared.append(LintedStatement(statement, tree, phase, tuple(prepared)))
    return prepared


def is_a(*kinds: str) -> Condition:
    """Make a condition: the statement is of one of these kinds."""
    return lambda s: s.kind in kinds


def alters(*subtypes: str, existing: bool = True) -> Condition:
    """Make a condition: an ALTER TABLE makes one of these changes."""
    return lambda s: (s.existing or not existing) and bool(s.changes(*subtypes))


def outside_contract(condition: Condition) -> Condition:
    """Make a condition that holds in every phase but a contract."""
    return lambda s: s.phase != "contract" and condition(s)


def either(*conditions: Condition) -> Condition:
    """Make a condition that holds where one of these does."""
    return lambda s: any(condition(s) for condition in conditions)


def is_several(s: LintedStatement) -> bool:
    """Return whether one text holds several statements, be the first an empty one."""
    sql = s.statement.sql
    return len(parse_or_unread(sql)) > 1 or normalise(sql).startswith(";")


def writes_unbatched(s: LintedStatement) -> bool:
    """Return whether it, or a part of it, changes rows of an existing table all at once."""
    changing = s.tree.all(*(kind for kind in WRITES if kind != "InsertStmt"))
    return s.existing and s.statement.way != "backfill" and any(changing)


def copies_rows(s: LintedStatement) -> bool:
    """Return whether it inserts what it reads."""
    sources = (insert["select_stmt"] for insert in s.tree.all("InsertStmt"))
    return s.existing and any(source and not source["values_lists"] for source in sources)


def cascades(s: LintedStatement) -> bool:
    """Return whether it drops, with CASCADE, what it does not name."""
    dropping = [*s.tree.all("DropStmt", "TruncateStmt", "DropOwnedStmt")]
    return any(node["behavior"] == "DROP_CASCADE" for node in [*dropping, *table_changes(s.tree)])


def takes_rights(s: LintedStatement) -> bool:
    """Return whether somebody may do less afterwards, or owns other objects."""
    grants = s.tree.all("GrantStmt", "GrantRoleStmt")
    owners = s.kind in {"ReassignOwnedStmt", "AlterOwnerStmt"} or any(
        change["subtype"] == "AT_ChangeOwner" for change in s.tree.all("AlterTableCmd")
    )
    return owners or any(not grant["is_grant"] for grant in grants)


def blocks_writers(s: LintedStatement) -> bool:
    """Return whether an index is built, rebuilt or dropped while nobody can write."""
    wholes = {"REINDEX_OBJECT_TABLE", "REINDEX_OBJECT_INDEX"}
    rebuilds = s.kind == "ReindexStmt" and s.tree["kind"] in wholes
    of_index = s.kind == "IndexStmt" or s.is_drop_of("INDEX") or rebuilds
    return s.existing and of_index and not is_concurrent(s.tree)


def rewrites_storage(s: LintedStatement) -> bool:
    """Return whether all rows, or an index, are written anew in another place or form."""
    if s.kind != "AlterTableStmt" or s.tree["objtype"] not in {"OBJECT_INDEX", "OBJECT_MATVIEW"}:
        return s.kind == "AlterTableMoveAllStmt"
    moved = {change["subtype"] for change in s.tree.all("AlterTableCmd")}
    return not moved.isdisjoint({"AT_SetTableSpace", "AT_SetAccessMethod"})


def renames(s: LintedStatement) -> bool:
    """Return whether something gets a name, or a schema, that the code does not know."""
    if s.kind == "AlterEnumStmt":
        return bool(s.tree["old_val"])
    if s.kind == "RenameStmt":
        kind = s.tree["rename_type"]
        if kind == "OBJECT_COLUMN":
            kind = s.tree["relation_type"]
    elif s.kind == "AlterObjectSchemaStmt":
        kind = s.tree["object_type"]
    else:
        return False
    return kind in _NAMED_IN_CODE or (s.existing and kind == "OBJECT_TABLE")


def blocks_itself(s: LintedStatement) -> bool:
    """Return whether Alembic's own transaction holds a table that this step needs."""
    locked = {
        table
        for e in s.before
        if e.statement.way == "direct" and e.statement.revision == s.statement.revision
        for table in e.statement.tables
        if stronger(e.statement.lock, "ROW SHARE")
    }
    return s.statement.way != "direct" and bool(locked & {*s.statement.tables})


def drops_in_use(s: LintedStatement) -> bool:
    """Return whether something is dropped that others may use."""
    if s.kind == "DropStmt":
        return s.tree["remove_type"] not in _HARMLESS_DROPS
    return s.kind.startswith("Drop") or s.kind == "TruncateStmt" or bool(s.changes("DropColumn"))


def restarts_sequence(s: LintedStatement) -> bool:
    """Return whether a sequence is set to another number."""
    identities = (change["def"]["items"] for change in s.changes("SetIdentity") if s.existing)
    altered = [s.tree["options"]] if s.kind == "AlterSeqStmt" else [*identities]
    return "setval" in called_functions(s.tree) or any("restart" in options(o) for o in altered)


def loosens_timeout(s: LintedStatement) -> bool:
    """Return whether it takes a timeout away, or sets one that is longer or stays longer than ours.

    What is allowed is a shorter one for the transaction alone.
    """
    if s.kind == "DiscardStmt":
        return bool(s.tree["target"] == "DISCARD_ALL")
    resets = (node["kind"] == "VAR_RESET_ALL" for node in s.tree.all("VariableSetStmt"))
    return any(resets) or (not _LONGEST.keys().isdisjoint(_settings(s)) and not _is_short(s.tree))


def silences_triggers(s: LintedStatement) -> bool:
    """Return whether a session, or every later one, writes without triggers and foreign keys."""
    return "session_replication_role" in _settings(s)


def calls_unread(s: LintedStatement) -> bool:
    """Return whether it calls what is no function of PostgreSQL's own that only reads."""
    queries = {"SelectStmt", "ExplainStmt"}
    reads = s.kind in queries or any(node.kind == "WithClause" for node in s.tree.children())
    harmless = {*_READING.split(), "setval"}  # of which another rule speaks
    unknown = called_functions(s.tree) - harmless
    return s.kind == "CallStmt" or (reads and not all(map(_ADVISORY.fullmatch, unknown)))


def locks_by_number(s: LintedStatement) -> bool:
    """Return whether it takes an advisory lock."""
    return any(map(_ADVISORY.fullmatch, called_functions(s.tree)))


def _settings(s: LintedStatement) -> set[str]:
    """Return the settings that a statement changes, by SET or by ``set_config``."""
    calls = (
        constant(call["args"][0]).lower()
        for call in s.tree.all("FuncCall")
        if texts(call["funcname"])[-1] == "set_config" and call["args"]
    )
    return {*calls, *(node["name"].lower() for node in s.tree.all("VariableSetStmt"))}


def _is_short(tree: Node) -> bool:
    """Return whether the statement is a SET LOCAL of a timeout that is no longer than ours."""
    if tree.kind != "VariableSetStmt" or not tree["is_local"] or len(tree["args"]) != 1:
        return False
    timeout = _TIMEOUT.fullmatch(constant(tree["args"][0]))
    if timeout is None:
        return False
    value = f"{timeout[1]}{timeout[2].lower() or 'ms'}"
    return shorter(value, _LONGEST[tree["name"].lower()]) == value

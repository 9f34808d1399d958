"""What a statement does to existing tables: those it names, its strongest lock, what it destroys.

It is read from the statement's tree, so it is a prediction; the rehearsal measures. A table that is
locked without being named (the other end of a foreign key that is dropped) shows there and not
here. What is not known to take a weaker lock counts as ACCESS EXCLUSIVE.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from app.releases.sql.parser import (
    Node,
    is_switched_on,
    options,
    parse,
    parse_or_unread,
    quoted,
    texts,
)
from app.releases.sql.text import normalise

# From the weakest to the strongest, in PostgreSQL's words, and by PostgreSQL's own numbers.
STRENGTH: Final = (
    "", "ACCESS SHARE", "ROW SHARE", "ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE", "SHARE",
    "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE",
)  # fmt: skip
_EVERYTHING: Final = STRENGTH[-1]

WRITES: Final = ("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt")
# Their bodies are stored, and not run.
_STORING: Final = ("CreateFunctionStmt", "RuleStmt")

# Of a dotted name the last part is the object's; of these the one before it is the table's.
_ON_A_TABLE: Final = {
    f"OBJECT_{kind}" for kind in ("COLUMN", "TABCONSTRAINT", "TRIGGER", "RULE", "POLICY")
}
_LOSES_DATA: Final = {f"OBJECT_{kind}" for kind in (
    "TABLE", "TYPE", "SCHEMA", "DOMAIN", "MATVIEW", "SEQUENCE", "EXTENSION",
)}  # fmt: skip
# What names no table and may touch any.
_TOUCHES_ANY: Final = ("DropOwnedStmt", "ReassignOwnedStmt", "AlterTableMoveAllStmt")


class Effect(NamedTuple):
    """What a statement does to the tables that are there already."""

    tables: tuple[str, ...]
    lock: str
    destroys: bool


def describe(
    sql: str, existing: Collection[str], indexes: Mapping[str, str] | None = None
) -> Effect:
    """Return which of the existing tables a text names, its strongest lock, what it destroys.

    ``indexes`` maps each index to its table; for an index that is not in it, its name tells.
    """
    effects = [_describe(node, sql, existing, indexes or {}) for node in parse_or_unread(sql)]
    tables = {table for effect in effects for table in effect.tables}
    lock = _strongest(effect.lock for effect in effects)
    return Effect(tuple(sorted(tables)), lock, any(effect.destroys for effect in effects))


def stronger(lock: str, other: str) -> bool:
    """Return whether the first lock is stronger than the other."""
    return STRENGTH.index(lock) > STRENGTH.index(other)


def named_tables(sql: str) -> tuple[str, ...]:
    """Return the relations that a text names, in order, quoted where they must be."""
    names = (name for node in parse_or_unread(sql) for name in _relations(node, frozenset()))
    return tuple(dict.fromkeys(".".join(map(quoted, name)) for name in names))


def foreign_key(definition: str) -> tuple[list[str], str, list[str]]:
    """Return a foreign key's own columns, its parent, and the parent's columns, quoted.

    ``definition`` is the text that PostgreSQL gives of the constraint.
    """
    (node,) = parse(f"ALTER TABLE any_table ADD {definition}")
    key = node["cmds"][0]["def"]
    columns = ([quoted(name) for name in texts(key[side])] for side in ("fk_attrs", "pk_attrs"))
    return next(columns), qualified(key["pktable"]), next(columns)


def qualified(relation: Node) -> str:
    """Return a relation's name with its schema where it has one, ready to stand in a statement."""
    return ".".join(map(quoted, _parts(relation)))


def _parts(relation: Node) -> list[str]:
    return [relation[part] for part in ("schemaname", "relname") if relation[part]]


def table_changes(node: Node) -> list[Node]:
    """Return the changes of an ALTER TABLE; none for another statement."""
    is_change = node.kind == "AlterTableStmt" and node["objtype"] == "OBJECT_TABLE"
    return node["cmds"] if is_change else []


def is_concurrent(node: Node) -> bool:
    """Return whether an index is built, rebuilt or dropped CONCURRENTLY."""
    if node.kind == "ReindexStmt":
        return is_switched_on(node["params"], "concurrently")
    return node.kind in {"IndexStmt", "DropStmt"} and bool(node["concurrent"])


def _describe(
    node: Node, sql: str, existing: Collection[str], indexes: Mapping[str, str]
) -> Effect:
    if (words := _unread_words(node, sql)) is not None:
        tables = {name for name in existing if re.search(rf"\b{re.escape(name)}\b", words)}
        destroys = bool(re.search(r"\b(DROP|TRUNCATE|DELETE)\b", words, re.IGNORECASE))
        return Effect(tuple(tables), _EVERYTHING if tables else "", destroys)
    drops_schema = node.kind == "DropStmt" and node["remove_type"] == "OBJECT_SCHEMA"
    if drops_schema or node.kind in _TOUCHES_ANY:
        tables = {*existing}
    else:
        tables = {name[-1] for name in _relations(node, frozenset())}
        tables |= {indexes.get(name) or _by_name(name, existing) for name in _indexes(node)}
        tables &= {*existing}
    return Effect(tuple(tables), _lock(node) if tables else "", _destroys(node))


def _unread_words(node: Node, sql: str) -> str | None:
    """Return the text in which names must be looked for, where no tree holds them; else None."""
    if node.kind == "DoStmt":
        return normalise(" ".join(texts([node for node in options(node["args"]).values() if node])))
    return normalise(sql) if node.kind == "ParseResult" else None


def _relations(node: Node, hidden: frozenset[str]) -> Iterator[list[str]]:
    """Yield the names of relations below a node, each as its parts.

    ``hidden`` names stand for a query of a WITH.
    """
    if node.kind == "RangeVar":
        if node["schemaname"] or node["relname"] not in hidden:
            yield _parts(node)
        return
    yield from _listed_relations(node)
    clauses = [child for child in node.children() if child.kind == "WithClause"]
    for clause in clauses:
        names = [query["ctename"] for query in clause["ctes"]]
        for place, query in enumerate(clause["ctes"]):
            visible = names if clause["recursive"] else names[:place]
            yield from _relations(query, hidden | {*visible})
        hidden |= {*names}
    for child in node.children():
        if child.kind != "WithClause":
            yield from _relations(child, hidden)


def _listed_relations(node: Node) -> Iterator[list[str]]:
    """Yield the tables that DROP and COMMENT name, which the tree holds as lists of words."""
    if node.kind == "DropStmt":
        kind, names = node["remove_type"], node["objects"]
    elif node.kind in {"CommentStmt", "SecLabelStmt"}:
        kind, names = node["objtype"], [node["object"]]
    else:
        return
    for name in names:
        parts = texts(name["items"]) if name.kind == "List" else []
        if table := parts[:-1] if kind in _ON_A_TABLE else parts:
            yield table


def _indexes(node: Node) -> list[str]:
    """Return the indexes that a statement changes, which have names and no tables in it."""
    if node.kind == "DropStmt" and node["remove_type"] == "OBJECT_INDEX":
        return [texts(name["items"])[-1] for name in node["objects"]]
    field = {"ReindexStmt": "kind", "AlterTableStmt": "objtype", "RenameStmt": "rename_type"}
    if node.kind in field and node[field[node.kind]] in {"REINDEX_OBJECT_INDEX", "OBJECT_INDEX"}:
        return [node["relation"]["relname"]]
    return []


def _by_name(index: str, existing: Collection[str]) -> str:
    """Guess an index's table by PostgreSQL's way to name it."""
    return max((name for name in existing if index.startswith(f"{name}_")), key=len, default="")


def _destroys(node: Node) -> bool:
    if node.kind in {"TruncateStmt", "DropOwnedStmt", "DropdbStmt"}:
        return True
    if node.kind == "DropStmt":
        return node["remove_type"] in _LOSES_DATA
    if node.kind in _STORING:
        return False
    return any(change["subtype"] == "AT_DropColumn" for change in table_changes(node)) or any(
        each.kind == "DeleteStmt" or each["command_type"] == "CMD_DELETE"
        for each in node.all("DeleteStmt", "MergeWhenClause")
    )


def _lock(node: Node) -> str:
    lock = _LOCKS.get(node.kind, _EVERYTHING)
    lock = lock if isinstance(lock, str) else lock(node)
    writes = node.kind not in _STORING and any(node.all(*WRITES))
    return _strongest((lock, "ROW EXCLUSIVE" if writes else ""))


def _strongest(locks: Iterable[str], default: str = "") -> str:
    return max(locks, key=STRENGTH.index, default=default)


def _of_change(change: Node) -> str:
    kind, what = change["subtype"], change["def"]
    if kind == "AT_AddConstraint" and what["contype"] == "CONSTR_FOREIGN":
        return "SHARE ROW EXCLUSIVE"
    if kind == "AT_DetachPartition" and what["concurrent"]:
        return "SHARE UPDATE EXCLUSIVE"
    return _CHANGES.get(kind, _EVERYTHING)


def _of_drop(node: Node) -> str:
    if node["remove_type"] in {"OBJECT_FUNCTION", "OBJECT_PROCEDURE", "OBJECT_AGGREGATE"}:
        return ""
    return "SHARE UPDATE EXCLUSIVE" if is_concurrent(node) else _EVERYTHING


def is_full_vacuum(node: Node) -> bool:
    """Return whether a VACUUM writes its table anew."""
    return node.kind == "VacuumStmt" and is_switched_on(node["options"], "full")


def _of_query(node: Node) -> str:
    return "ROW SHARE" if any(node.all("LockingClause")) else "ACCESS SHARE"


def _of_create_table(node: Node) -> str:
    if node["partbound"]:
        return _EVERYTHING
    if any(constraint["pktable"] for constraint in node.all("Constraint")):
        return "SHARE ROW EXCLUSIVE"
    return "SHARE UPDATE EXCLUSIVE" if node["inh_relations"] else "ACCESS SHARE"


_LOCKS: Final[Mapping[str, str | Callable[[Node], str]]] = {
    "AlterTableStmt": lambda n: _strongest(map(_of_change, table_changes(n)), _EVERYTHING),
    "IndexStmt": lambda n: "SHARE UPDATE EXCLUSIVE" if is_concurrent(n) else "SHARE",
    "ReindexStmt": lambda n: "SHARE UPDATE EXCLUSIVE" if is_concurrent(n) else "SHARE",
    "DropStmt": _of_drop,
    "CreateTrigStmt": "SHARE ROW EXCLUSIVE",
    "VacuumStmt": lambda n: _EVERYTHING if is_full_vacuum(n) else "SHARE UPDATE EXCLUSIVE",
    "CommentStmt": "SHARE UPDATE EXCLUSIVE",
    "CreateStatsStmt": "SHARE UPDATE EXCLUSIVE",
    **dict.fromkeys(WRITES, "ROW EXCLUSIVE"),
    "CopyStmt": lambda n: "ROW EXCLUSIVE" if n["is_from"] else _of_query(n),
    "SelectStmt": _of_query,
    "CreateTableAsStmt": _of_query,
    "ViewStmt": "ACCESS SHARE",
    "CreateStmt": _of_create_table,
    "LockStmt": lambda n: STRENGTH[n["mode"]],
    "RefreshMatViewStmt": lambda n: "EXCLUSIVE" if n["concurrent"] else _EVERYTHING,
    "ExplainStmt": lambda n: _lock(n["query"]),
    "GrantStmt": "ACCESS SHARE",
    **dict.fromkeys(
        ("CreateFunctionStmt", "DefineStmt", "CreateEnumStmt", "CreateRangeStmt",
         "CompositeTypeStmt", "CreateDomainStmt", "CreateSchemaStmt", "CreateSeqStmt",
         "AlterFunctionStmt", "VariableSetStmt"), ""
    ),
}  # fmt: skip
_CHANGES: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("AT_ValidateConstraint", "AT_SetStatistics", "AT_SetOptions", "AT_ResetOptions",
         "AT_SetRelOptions", "AT_ResetRelOptions", "AT_ClusterOn", "AT_DropCluster",
         "AT_AttachPartition", "AT_DetachPartitionFinalize"), "SHARE UPDATE EXCLUSIVE"
    ),
    **dict.fromkeys(
        ("AT_EnableTrig", "AT_EnableAlwaysTrig", "AT_EnableReplicaTrig", "AT_EnableTrigAll",
         "AT_EnableTrigUser", "AT_DisableTrig", "AT_DisableTrigAll", "AT_DisableTrigUser"),
        "SHARE ROW EXCLUSIVE"
    ),
}  # fmt: skip

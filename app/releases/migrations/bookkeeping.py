"""Which statements are Alembic's own, and no part of a revision: those that keep the version."""

from typing import Final

from app.releases.sql.parser import Node, parse_or_unread

_VERSION_TABLE: Final = "alembic_version"
# Alembic reads from these whether its table is there.
_CATALOGUE: Final = frozenset({"pg_class", "pg_namespace"})
_WRITING: Final = frozenset({"CreateStmt", "InsertStmt", "UpdateStmt", "DeleteStmt"})


def is_printed_by_alembic(sql: str) -> bool:
    """Return whether the text is one statement that Alembic prints around a revision's."""
    node = _single(sql)
    return node is not None and (node.kind == "TransactionStmt" or _writes_version(node))


def is_run_by_alembic(sql: str) -> bool:
    """Return whether the text is one statement that runs around a revision's in its transaction.

    The lock timeout is set by ``steps``, to let go of Alembic's snapshot.
    """
    node = _single(sql)
    if node is None:
        return False
    sets_timeout = node.kind == "VariableSetStmt" and node["name"] == "lock_timeout"
    return (sets_timeout and node["is_local"]) or _writes_version(node) or _reads_version(node)


def _single(sql: str) -> Node | None:
    nodes = parse_or_unread(sql)
    return nodes[0] if len(nodes) == 1 else None


def _writes_version(node: Node) -> bool:
    return node.kind in _WRITING and node["relation"]["relname"] == _VERSION_TABLE


def _reads_version(node: Node) -> bool:
    tables = {table["relname"] for table in node.all("RangeVar")}
    return node.kind == "SelectStmt" and bool(tables) and tables <= {_VERSION_TABLE, *_CATALOGUE}

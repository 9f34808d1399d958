"""SQL as PostgreSQL itself reads it: libpg_query, which is PostgreSQL's parser as a library.

The only module that knows the binding (docs/decisions/0023-sql-parser.md). Kinds of nodes, names of
fields and words of enumerations are those of PostgreSQL's own source (``parsenodes.h``).
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from postgast import PgQueryError, pg_query_pb2, scan
from postgast import parse as parse_tree

_PLAIN_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*")
_PLAIN_WORDS: Final = {pg_query_pb2.NO_KEYWORD, pg_query_pb2.UNRESERVED_KEYWORD}


class InvalidSql(ValueError):
    """PostgreSQL's parser does not accept the text; the message says where."""


class Node:
    """A node of the tree that a statement is parsed into."""

    def __init__(self, message: Message) -> None:
        self._message = message

    @property
    def kind(self) -> str:
        """The node's type, as in "AlterTableStmt"."""
        return str(self._message.DESCRIPTOR.name)

    def __getitem__(self, name: str) -> Any:
        """Return a field: a Node or None, a list, a number, a text, or an enumeration's word.

        Raises KeyError where nodes of this kind have no such field.
        """
        field = self._message.DESCRIPTOR.fields_by_name[name]
        value = getattr(self._message, name)
        if field.is_repeated:
            return [_plain(field, item) for item in value]
        if field.type == FieldDescriptor.TYPE_MESSAGE and not self._message.HasField(name):
            return None
        return _plain(field, value)

    def children(self) -> Iterator["Node"]:
        """Yield the nodes directly below this one."""
        for field, value in self._message.ListFields():
            if field.type == FieldDescriptor.TYPE_MESSAGE:
                for item in value if field.is_repeated else [value]:
                    yield _node(item)

    def walk(self) -> Iterator["Node"]:
        """Yield this node and all below it."""
        yield self
        for child in self.children():
            yield from child.walk()

    def all(self, *kinds: str) -> Iterator["Node"]:
        """Yield the nodes of these kinds, this one included."""
        return (node for node in self.walk() if node.kind in kinds)


# Stands for a statement that the parser does not accept: of a kind that nobody asks for.
UNREAD: Final = Node(pg_query_pb2.ParseResult())


def _node(message: Message) -> Node:
    """Unwrap the union in which most fields hold their node."""
    if message.DESCRIPTOR.name == "Node" and (member := message.WhichOneof("node")):
        return Node(getattr(message, member))
    return Node(message)


def _plain(field: FieldDescriptor, value: Any) -> Any:
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        return _node(value)
    if field.type == FieldDescriptor.TYPE_ENUM:
        return field.enum_type.values_by_number[value].name
    return value


@lru_cache(maxsize=1024)
def parse(sql: str) -> tuple[Node, ...]:
    """Return the statements of a text; none for an empty one. Raises InvalidSql."""
    try:
        return tuple(_node(raw.stmt) for raw in parse_tree(sql).stmts)
    except PgQueryError as error:
        raise InvalidSql(str(error)) from error


def parse_or_unread(sql: str) -> tuple[Node, ...]:
    """Return the statements of a text, or ``UNREAD`` alone for one that cannot be parsed."""
    try:
        return parse(sql)
    except InvalidSql:
        return (UNREAD,)


def texts(nodes: list[Node]) -> list[str]:
    """Return the parts of a dotted name, which the tree holds as String nodes."""
    return [str(node["sval"]) for node in nodes if node.kind == "String"]


def options(nodes: list[Node]) -> dict[str, Node | None]:
    """Return the options of a statement, such as "concurrently", by name."""
    return {node["defname"]: node["arg"] for node in nodes if node.kind == "DefElem"}


def is_switched_on(nodes: list[Node], name: str) -> bool:
    """Return whether an option of a statement is there, and not switched off."""
    named = options(nodes)
    if (value := named.get(name)) is None:
        return name in named
    word = value["sval"] if value.kind == "String" else str(value["ival"])
    return word.lower() not in {"off", "false", "0"}


def constant(node: Node) -> str:
    """Return a constant as text, "" for what is none."""
    if node.kind != "A_Const":
        return ""
    for name in ("sval", "ival", "fval"):
        if value := node[name]:
            return str(value[name])
    return ""


def called_functions(node: Node) -> set[str]:
    """Return the functions called in a statement; with its schema one that is not PostgreSQL's.

    What only SQL's grammar turns into a call, such as AT TIME ZONE, is none.
    """
    names = (
        texts(call["funcname"])
        for call in node.all("FuncCall")
        if call["funcformat"] != "COERCE_SQL_SYNTAX"
    )
    return {".".join(name[1:] if name[0] == "pg_catalog" else name) for name in names}


def quoted(name: str) -> str:
    """Return a name as it stands in a statement, quoted where it must be."""
    if _PLAIN_NAME.fullmatch(name) and scan(name).tokens[0].keyword_kind in _PLAIN_WORDS:
        return name
    return '"' + name.replace('"', '""') + '"'

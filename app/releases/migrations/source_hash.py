"""A hash of what a revision's source says, whatever it looks like.

Comments, docstrings and layout do not count, nor white space and comments inside SQL. Every name,
argument and literal does. Python's own ``ast.dump`` and tokens change from version to version (so
do f-strings' since 3.12); what is walked here is the tree's stable part, and empty fields, such as
a newer Python adds, are passed over.
"""

import ast
import re
from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256
from typing import Final

from app.releases.sql.text import normalise, tokens

_SQL: Final = re.compile(
    r"\s*(?:--[^\n]*\n\s*|/\*.*?\*/\s*)*(?:ALTER|ANALYZE|COMMENT ON|CREATE|DELETE FROM|DO|DROP"
    r"|GRANT|INSERT INTO|MERGE INTO|REFRESH|REVOKE|SELECT|SET|TRUNCATE|UPDATE|WITH)\s",
    re.IGNORECASE | re.DOTALL,
)
# Where a helper of the revisions lives is not what a revision says. Those that were sealed while it
# lived elsewhere keep their hash: it is read under the name that it bore then.
_FORMER_HOMES: Final = {
    "app.releases.migrations.catalogue": "app.releases.catalogue",
    "app.releases.migrations.ddl": "app.releases.ddl",
    "app.releases.migrations.phased_change": "app.releases.recipe",
    "app.releases.migrations.migration_session": "app.releases.session",
    "app.releases.migrations.steps": "app.releases.steps",
    "app.releases.migrations.column_sync": "app.releases.sync",
}
# Stands in an f-string's text for a value; no source can hold it.
_HOLE: Final = "\0"
_DOCUMENTED: Final = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@lru_cache
def source_hash(source: str) -> str:
    """Return the SHA-256 of what this Python source says. Raises SyntaxError."""
    tree = ast.parse(source)
    _name_former_homes(tree)
    return sha256("\n".join(_lines(tree)).encode()).hexdigest()


def _name_former_homes(tree: ast.Module) -> None:
    """Replace the names of moved modules by those they had when revisions were sealed."""
    ours: dict[int, ast.ImportFrom] = {}
    for place, node in enumerate(tree.body):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("app."):
            node.module = _FORMER_HOMES.get(node.module or "", node.module)
            ours[place] = node
    for place, node in zip(ours, sorted(ours.values(), key=lambda n: n.module or ""), strict=True):
        tree.body[place] = node


def _lines(node: object) -> Iterator[str]:
    """Walk the tree; each node, field and value is a line."""
    if isinstance(node, ast.JoinedStr):
        yield from _template(node)
    elif isinstance(node, ast.Constant):
        yield _value(node.value)
    elif isinstance(node, ast.AST):
        yield f"({type(node).__name__}"
        for name, field in ast.iter_fields(_undocumented(node)):
            if name not in {"ctx", "kind", "type_comment"} and field is not None and field != []:
                yield f".{name}"
                yield from _lines(field)
        yield ")"
    elif isinstance(node, list):
        for item in node:
            yield from _lines(item)
    else:
        yield repr(node)


def _template(node: ast.JoinedStr) -> Iterator[str]:
    """Return an f-string as one text with holes, then what fills them."""
    texts = [v.value if isinstance(v, ast.Constant) else _HOLE for v in node.values]
    yield f"f{_value(''.join(map(str, texts)))}"
    for value in node.values:
        if not isinstance(value, ast.Constant):
            yield from _lines(value)


def _value(value: object) -> str:
    """Return a literal; text that is a whole SQL statement without its layout."""
    return repr(normalise(value) if isinstance(value, str) and _is_sql(value) else value)


def _is_sql(text: str) -> bool:
    """Return whether it is SQL whose quotes are closed: a piece of some is kept as it is."""
    return bool(_SQL.match(text)) and all(
        kind not in {"text", "name", "body"} or _is_closed(piece) for kind, piece in tokens(text)
    )


def _is_closed(literal: str) -> bool:
    mark = re.match(r"[eE]?('|\"|\$\w*\$)", literal)
    return mark is not None and len(literal) > len(mark[0]) and literal.endswith(mark[1])


def _undocumented(node: ast.AST) -> ast.AST:
    """Return the node without its docstring."""
    if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
        node.body = node.body[1:]
    return node

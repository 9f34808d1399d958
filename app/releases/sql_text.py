"""Reads SQL just far enough to compare and to classify it: gaps, comments, literals, words.

It is no parser. What it does know is where text begins and ends, so that nothing inside a literal
or a function's body is ever taken for SQL, or changed.
"""

import re
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple, cast

Kind = Literal["gap", "text", "body", "name", "word", "other"]

_TOKEN: Final = re.compile(
    r"""(?P<gap>\s+|--[^\n]*)
    |(?P<text>[eE]'(?:[^'\\]|''|\\.)*(?:'|\Z)|'(?:[^']|'')*(?:'|\Z))
    |(?P<name>"(?:[^"]|"")*(?:"|\Z))
    |(?P<body>\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z))
    |(?P<word>[^\W\d][\w$]*|\$?\d[\w.]*)
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_COMMENT: Final = re.compile(r"/\*|\*/")


class Token(NamedTuple):
    """A piece of SQL; all pieces together are the SQL again.

    "gap" is white space or a comment, "text" a literal, "body" a dollar-quoted one, "name" a
    quoted identifier.
    """

    kind: Kind
    text: str


def tokens(sql: str) -> Iterator[Token]:
    """Take SQL apart. What is left open ends with the SQL."""
    at = 0
    while at < len(sql):
        if sql.startswith("/*", at):
            end = _end_of_comment(sql, at)
            yield Token("gap", sql[at:end])
        else:
            found = cast("re.Match[str]", _TOKEN.match(sql, at))
            end = found.end()
            yield Token(_kind(found), found.group())
        at = end


def normalised(sql: str) -> str:
    """Give the statement without comments, needless white space and closing semicolons.

    Literals and bodies keep every character. Two statements that are equal so do the same.
    """
    return _joined(tokens(sql))


def masked(sql: str) -> str:
    """Give the statement normalised, its literals and bodies emptied: only SQL is left."""
    empty = {"text": "''", "body": "$$$$"}
    return _joined(Token(kind, empty.get(kind, text)) for kind, text in tokens(sql))


def bodies(sql: str) -> str:
    """Give what stands between dollar quotes, normalised as SQL."""
    inner = (re.sub(r"^\$\w*\$|\$\w*\$$", "", t.text) for t in tokens(sql) if t.kind == "body")
    return " ".join(normalised(body) for body in inner)


def parts(text: str) -> list[str]:
    """Split masked SQL at the commas that stand in no brackets."""
    found, depth = [""], 0
    for character in text:
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(character, 0)
        if character == "," and depth == 0:
            found.append("")
        else:
            found[-1] += character
    return [part.strip() for part in found]


def unquoted(name: str) -> str:
    """Give a name as the catalogue holds it, without its schema."""
    found: list[str] = re.findall(r'"(?:[^"]|"")*"|[^."]+', name)
    last = found[-1] if found else ""
    return last[1:-1].replace('""', '"') if last.startswith('"') else last.lower()


def _joined(pieces: Iterator[Token]) -> str:
    whole = "".join(" " if kind == "gap" else text for kind, text in _merged(pieces))
    return whole.rstrip(" ;").lstrip(" ")


def _merged(pieces: Iterator[Token]) -> Iterator[Token]:
    """Make one gap of several."""
    before = False
    for piece in pieces:
        gap = piece.kind == "gap"
        if not (gap and before):
            yield piece
        before = gap


def _kind(found: re.Match[str]) -> Kind:
    name = next(name for name, text in found.groupdict().items() if text is not None)
    return cast("Kind", name)


def _end_of_comment(sql: str, at: int) -> int:
    """Find the end; PostgreSQL's comments nest."""
    depth = 0
    for mark in _COMMENT.finditer(sql, at):
        depth += 1 if mark.group() == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(sql)

"""SQL text made comparable: without comments and layout, or with its literals emptied.

It is split into gaps, literals, names and words. Where a literal or a function's body begins and
ends is found as PostgreSQL does, so that nothing inside is ever taken for SQL, or changed.

The text of ``normalise`` is hashed into the seals of revisions and stored in the ledgers of
databases, so its every byte must stay. What a statement does is read by ``parser``, not here.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final, Literal, NamedTuple, cast

Kind = Literal["gap", "break", "text", "body", "name", "word", "other"]

_TOKEN: Final = re.compile(
    r"""(?P<gap>\s+|--[^\n\r]*)
    |(?P<text>[eE]'(?:[^'\\]|''|\\.)*(?:'|\Z)|'(?:[^']|'')*(?:'|\Z))
    |(?P<name>"(?:[^"]|"")*(?:"|\Z))
    |(?P<body>\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z))
    |(?P<word>[^\W\d][\w$]*|\$?\d[\w.]*)
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
# Two literals with no more than this between them are one, which ends as its beginning would.
_BREAK: Final = re.compile(r"(?:[ \t\f\v]|--[^\n\r]*+)*+[\n\r](?:\s|--[^\n\r]*+[\n\r])*+(?=')")
_REST: Final = re.compile(r"'(?:[^']|'')*(?:'|\Z)", re.DOTALL)
_ESCAPED_REST: Final = re.compile(r"'(?:[^'\\]|''|\\.)*(?:'|\Z)", re.DOTALL)
_DOTTED: Final = re.compile(r"""(?<=[\w$"]) ?\. ?(?=[^\W\d]|")""")
_EMPTY: Final[Mapping[Kind, str]] = {"text": "''", "body": "$$$$"}
_GAPS: Final[Mapping[Kind, str]] = {"gap": " ", "break": "\n"}
_COMMENT: Final = re.compile(r"/\*|\*/")


class Token(NamedTuple):
    """A piece of SQL; all pieces together are the SQL again.

    "gap" is white space or a comment, "text" a literal, "body" a dollar-quoted one, "name" a
    quoted identifier; "break" is a gap after which a literal goes on.
    """

    kind: Kind
    text: str


def tokens(sql: str) -> Iterator[Token]:
    """Yield the tokens of SQL. A literal or comment that is left open ends with the text."""
    at = 0
    while at < len(sql):
        if sql.startswith("/*", at):
            end = _end_of_comment(sql, at)
            yield Token("gap", sql[at:end])
        else:
            match = cast("re.Match[str]", _TOKEN.match(sql, at))
            end = match.end()
            kind = cast("Kind", match.lastgroup)
            yield Token(kind, match.group())
            if kind == "text":
                more = list(_rest(sql, end, _ESCAPED_REST if match[0][0] in "eE" else _REST))
                yield from more
                end += sum(len(token.text) for token in more)
        at = end


def _rest(sql: str, at: int, piece: re.Pattern[str]) -> Iterator[Token]:
    """Return what a literal goes on with, on lines of its own."""
    while gap := _BREAK.match(sql, at):
        text = cast("re.Match[str]", piece.match(sql, gap.end()))
        yield Token("break", gap.group())
        yield Token("text", text.group())
        at = text.end()


def _end_of_comment(sql: str, at: int) -> int:
    """Find the end; PostgreSQL's comments nest."""
    depth = 0
    for mark in _COMMENT.finditer(sql, at):
        depth += 1 if mark.group() == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(sql)


@lru_cache(maxsize=4096)  # a release asks for the same statements again and again
def normalise(sql: str) -> str:
    """Return the statement without comments, needless white space and closing semicolons.

    Literals and bodies keep every character. Two statements that are equal so do the same.
    """
    return _joined(tokens(sql))


def masked(sql: str) -> str:
    """Return the statement normalised, its literals and bodies emptied: one line, only SQL.

    Between a schema and what is in it stands no gap.
    """
    return _DOTTED.sub(".", _joined(_emptied(token) for token in tokens(sql)))


def _emptied(token: Token) -> Token:
    """Empty a literal or a body, and put all else on one line."""
    kind, text = token
    if kind == "break":
        return Token("gap", text)
    return Token(kind, _EMPTY.get(kind) or re.sub(r"[\n\r]", " ", text))


def _joined(pieces: Iterator[Token]) -> str:
    whole = "".join(_GAPS.get(kind, text) for kind, text in _merged(pieces))
    return whole.rstrip(" ;").lstrip(" ")


def _merged(pieces: Iterator[Token]) -> Iterator[Token]:
    """Make one gap of several that follow each other."""
    before = False
    for piece in pieces:
        gap = piece.kind == "gap"
        if not (gap and before):
            yield piece
        before = gap

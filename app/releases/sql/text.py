"""SQL text made comparable: without comments and layout, or with its literals emptied.

The text of ``normalise`` is hashed into the seals of revisions and stored in the ledgers of
databases, so its every byte must stay. What a statement does is read by ``parser``, not here.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from app.releases.sql.tokens import Token, tokens

_DOTTED: Final = re.compile(r"""(?<=[\w$"]) ?\. ?(?=[^\W\d]|")""")


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
    empty = {"text": "''", "body": "$$$$"}
    if kind == "break":
        return Token("gap", text)
    return Token(kind, empty.get(kind) or re.sub(r"[\n\r]", " ", text))


def _joined(pieces: Iterator[Token]) -> str:
    gaps = {"gap": " ", "break": "\n"}
    whole = "".join(gaps.get(kind, text) for kind, text in _merged(pieces))
    return whole.rstrip(" ;").lstrip(" ")


def _merged(pieces: Iterator[Token]) -> Iterator[Token]:
    """Make one gap of several that follow each other."""
    before = False
    for piece in pieces:
        gap = piece.kind == "gap"
        if not (gap and before):
            yield piece
        before = gap

"""Reads SQL just far enough to compare and to classify it: gaps, comments, literals, words.

It is no parser: what it knows of SQL is where its pieces begin and end.
"""

import re
from collections.abc import Iterator
from typing import Final

from app.releases.sql.tokens import Token, tokens

_DOTTED: Final = re.compile(r"""(?<=[\w$"]) ?\. ?(?=[^\W\d]|")""")


def normalise(sql: str) -> str:
    """Give the statement without comments, needless white space and closing semicolons.

    Literals and bodies keep every character. Two statements that are equal so do the same.
    """
    return _joined(tokens(sql))


def masked(sql: str) -> str:
    """Give the statement normalised, its literals and bodies emptied: one line, only SQL.

    Between a schema and what is in it stands no gap.
    """
    return _DOTTED.sub(".", _joined(_emptied(token) for token in tokens(sql)))


def _emptied(token: Token) -> Token:
    """Empty a literal or a body, and give all else on one line."""
    kind, text = token
    empty = {"text": "''", "body": "$$$$"}
    if kind == "break":
        return Token("gap", text)
    return Token(kind, empty.get(kind) or re.sub(r"[\n\r]", " ", text))


def statements(sql: str) -> list[str]:
    """Split at the semicolons between statements; what is between two of them may be empty."""
    found = [""]
    for kind, text in tokens(sql):
        if (kind, text) == ("other", ";"):
            found.append("")
        else:
            found[-1] += text
    return found


def bodies(sql: str) -> str:
    """Give what stands between dollar quotes, normalised as SQL."""
    inner = (re.sub(r"^\$\w*\$|\$\w*\$$", "", t.text) for t in tokens(sql) if t.kind == "body")
    return " ".join(normalise(body) for body in inner)


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
    gaps = {"gap": " ", "break": "\n"}
    whole = "".join(gaps.get(kind, text) for kind, text in _merged(pieces))
    return whole.rstrip(" ;").lstrip(" ")


def _merged(pieces: Iterator[Token]) -> Iterator[Token]:
    """Make one gap of several."""
    before = False
    for piece in pieces:
        gap = piece.kind == "gap"
        if not (gap and before):
            yield piece
        before = gap

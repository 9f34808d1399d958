"""Texts that people typed, as they can stand on a drawing: one line, cut, and how wide it is."""

import re
import unicodedata
from typing import Final

LONGEST: Final = 60
"""Characters of a text that are drawn. Its whole is in the row that it stands in."""
_CUT_BEFORE: Final = 500
_SPACES: Final = re.compile(r"\s+")
# Widths of Helvetica and Arial in thousandths of the font's size, rounded up.
_NARROW: Final = frozenset("fijlrtI.,:;'|!()[]{}/ -")
_BROAD: Final = frozenset("mwMW@%")


def one_line(text: object, longest: int = LONGEST) -> str:
    """Return a text without what breaks lines, is invisible or turns the writing round, and cut."""
    whole = str(text if text is not None else "")[:_CUT_BEFORE]
    visible = "".join(" " if _is_break(sign) else sign for sign in whole if not _is_hidden(sign))
    line = _SPACES.sub(" ", visible).strip()
    return line if len(line) <= longest else f"{line[: longest - 1].rstrip()}\u2026"


def _is_break(sign: str) -> bool:
    return sign in "\t\n\r\x0b\x0c\x85\u2028\u2029"


def _is_hidden(sign: str) -> bool:
    """Return whether a sign is a control, a format, a surrogate, or no character."""
    if _is_break(sign) or sign == "\u200d":
        return False
    return unicodedata.category(sign) in {"Cc", "Cf", "Cs", "Cn"}


def width(text: str, size: float) -> float:
    """Return how wide a text is about, in the unit of the size; rather more than less."""
    return size * sum(map(_width_of, text))


def _width_of(sign: str) -> float:
    if sign in _NARROW:
        return 0.34
    if sign in _BROAD:
        return 0.94
    if unicodedata.combining(sign):
        return 0
    if unicodedata.east_asian_width(sign) in "WF":
        return 1.05
    return 0.7 if sign.isupper() else 0.58


def fitting(text: str, size: float, widest: float) -> str:
    """Return a line that is no wider than that, cut where it is."""
    if width(text, size) <= widest:
        return text
    used = width("\u2026", size)
    for place, sign in enumerate(text):
        used += size * _width_of(sign)
        if used > widest:
            return f"{text[:place].rstrip()}\u2026"
    return text

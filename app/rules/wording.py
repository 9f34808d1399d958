"""Members and values in the words of people, for messages that pages show as they are. Pure."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_MOMENT: Final = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d):\d\d\.\d{3}Z")
_LONGEST: Final = 60
"""Characters of a text that are quoted."""


def member_words(member: str) -> str:
    """Return a member's name as people read it: ``loadIn`` is "load in", ``id`` is "label"."""
    words = _HUMP.sub(" ", member).split()
    if len(words) > 1 and words[-1] in {"Id", "Uuid"}:
        words.pop()
    return " ".join(words).lower() if words != ["id"] else "label"


def value_words(value: Any) -> str:
    """Return a value as people read it, short enough for a sentence."""
    if value is None or value in ("", [], {}):
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return "other content"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = _MOMENT.sub(r"\1 \2 UTC", str(value))
    if not isinstance(value, str):
        return text
    return f"“{text if len(text) <= _LONGEST else f'{text[:_LONGEST]}…'}”"


def moment_words(moment: datetime) -> str:
    """Return an instant in UTC to the minute."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def sentence(parts: Sequence[str], most: int = 5) -> str:
    """Return the first parts, joined, and how many more there are."""
    rest = len(parts) - most
    return "; ".join(parts[:most]) + (f"; and {rest} more" if rest > 0 else "")

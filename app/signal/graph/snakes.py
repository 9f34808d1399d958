"""What a snake's own words say: how many channels it has, how long it is, and of what."""

import re
from typing import Final

from app.signal.graph.elements import GraphDevice, Row

METRES_A_FOOT: Final = 0.3048
_CHANNELS: Final = re.compile(r"(?:([0-9]{1,4})\s*)?[x\u00d7]\s*([0-9]{1,4})\b", re.IGNORECASE)
_LENGTH: Final = re.compile(
    r"([0-9]{1,5}(?:\.[0-9]{1,3})?)\s*(?:(?P<feet>['\u2019]|[fF][tT]\b|[fF]eet\b)|m\b)"
)
"""A capital M is of a name: "SMPTE 311M"."""
_OPTICAL: Final = re.compile(r"\b(?:LC|SC|ST|FIBER|FIBRE|OPTICALCON|311M)\b", re.IGNORECASE)


def channel_count(snake: GraphDevice, listed: int) -> int | None:
    """Return how many channels a snake has; ``listed`` is the highest one that a row names.

    Its row says it, else crews write it into the model: "75' SDI 16 x 16", "LC x 12". None where
    nobody says.
    """
    stated = snake.row.get("channelCount")
    if isinstance(stated, int):
        return stated
    match = _CHANNELS.search(_words(snake))
    return int(match[2]) if match else listed or None


def length_in_metres(snake: GraphDevice) -> float | None:
    """Return the length of a snake: its row's, else what stands in its model; None of neither."""
    stated = metres_of(snake.row)
    if stated is not None:
        return stated
    match = _LENGTH.search(_words(snake))
    if match is None:
        return None
    return float(match[1]) * (METRES_A_FOOT if match["feet"] else 1)


def metres_of(row: Row) -> float | None:
    """Return the length that a row states in its unit, which is feet where it says none."""
    length = row.get("length")
    if not isinstance(length, int | float):
        return None
    return length * (1 if row.get("lengthUnit") == "m" else METRES_A_FOOT)


def is_optical(snake: GraphDevice) -> bool:
    """Return whether a snake is of fibre, so that converters stand at its ends."""
    return bool(_OPTICAL.search(f"{_words(snake)} {snake.row.get('name') or ''}"))


def _words(snake: GraphDevice) -> str:
    return f"{snake.row.get('connector') or ''} {snake.row.get('model') or ''}".strip()

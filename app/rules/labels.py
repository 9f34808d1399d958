"""Labels, which are what people call things ("CAM 10"): parsed, and counted on. Pure."""

import re
from collections.abc import Iterable
from itertools import count
from typing import Final

# Numbers from here on are not counted on: they are names of their own.
BEYOND: Final = 10**9
# A prefix, then the number that ends the label: "CAM 10", "SRC7", "FIBER SNAKE 01".
_NUMBERED: Final = re.compile(r"(?P<prefix>.*?)\s*(?P<number>[0-9]{1,64})", re.ASCII | re.DOTALL)


def parse(label: str) -> tuple[str, int | None]:
    """Split "CAM 10" into ("CAM", 10); a label that ends in no number is (label, None)."""
    if match := _NUMBERED.fullmatch(label):
        return match["prefix"], int(match["number"])
    return label, None


def next_free(prefix: str, labels: Iterable[str]) -> str:
    """Return the label after the highest one of that prefix; gaps are not refilled.

    >>> next_free("CAM", ["CAM 1", "CAM 3", "ROBO 9"])
    'CAM 4'
    """
    used = set(labels)
    numbers = (number for name, number in map(parse, used) if name == prefix and number)
    highest = max((number for number in numbers if number < BEYOND), default=0)
    candidates = (f"{prefix} {number}".strip() for number in count(highest + 1))
    return next(label for label in candidates if label not in used)


def suggestion(label: str, labels: Iterable[str], *, longest: int = 64) -> str:
    """Return a free label of the same prefix: "ROBO 1" leads to "ROBO 5"."""
    prefix = parse(label)[0]
    free = next_free(prefix, [*labels, label])
    return free if len(free) <= longest else next_free(prefix[: longest - 20].rstrip(), labels)

"""Labels, which are what people call things ("CAM 10"): tidied, compared, and counted on. Pure.

Two labels that look the same are the same: blanks, invisible characters and case do not count.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count, product
from typing import Final

# Numbers from here on are not counted on: they are names of their own.
BEYOND: Final = 10**9
# A prefix, then the number that ends the label: "CAM 10", "SRC7", "FIBER SNAKE 01".
_NUMBERED: Final = re.compile(r"(?P<prefix>.*?)\s*(?P<number>[0-9]{1,64})", re.ASCII | re.DOTALL)
# The last number, wherever it stands: "SCREEN 1A", "E2 IN 1.2", "DSM-1".
_SHAPE: Final = re.compile(
    r"(?P<before>.*?)(?P<digits>[0-9]{1,64})(?P<after>[^0-9]*)", re.ASCII | re.DOTALL
)
# Blanks of all widths; a line break or a tab is a control character, which no label has.
_BLANKS: Final = re.compile(r"[ \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
# Zero-width joiners: between other scripts' letters, and within emoji, they are part of the text.
_JOINERS: Final = "\u200c\u200d"
_JOINER_RUNS: Final = re.compile(f"([{_JOINERS}])[{_JOINERS}]+")
# They have a place and no shape: of Hangul and Braille, and the invisible joiner of graphemes.
_FILLERS: Final = "\u034f\u115f\u1160\u2800\u3164\uffa0"
# What one pass takes out may bring together what the next one joins.
_PASSES: Final = 4
# To bring marks of several classes into one order takes Python the square of their number.
_MOST_MARKS: Final = 100
# A joiner with an ASCII character, or nothing, at either side joins nothing.
_IDLE_JOINERS: Final = re.compile(rf"(?<![^\x00-\x7f])[{_JOINERS}]+|[{_JOINERS}]+(?![^\x00-\x7f])")
_MOST_SPELLINGS: Final = 256


def tidy(text: str) -> str:
    """Return a text that people typed as it is kept: NFC, without blanks at its ends.

    What nobody sees is taken out: zero-width blanks, marks of direction, soft hyphens, fillers.
    Joiners stay where they join.
    """
    if text.isascii():
        return text.strip()
    for _ in range(_PASSES):
        before, text = text, _pass_over(text)
        if text == before:
            break
    return text


def _pass_over(text: str) -> str:
    characters = set(text)
    hidden = {ord(c): None for c in characters if c not in _JOINERS and _is_hidden(c)}
    visible = text.translate(hidden) if hidden else text
    if not characters.isdisjoint(_JOINERS):
        visible = _IDLE_JOINERS.sub("", _JOINER_RUNS.sub(r"\1", visible))
    marks = "".join(c for c in characters if unicodedata.combining(c))
    if marks and re.search(f"[{marks}]{{{_MOST_MARKS},}}", visible):
        return visible.strip()
    return unicodedata.normalize("NFC", visible).strip()


def _is_hidden(char: str) -> bool:
    return char in _FILLERS or unicodedata.category(char) == "Cf"


def tidy_label(label: str) -> str:
    """Return a label as it is kept: a tidy text with single, ordinary blanks; "" for no letter."""
    label = _BLANKS.sub(" ", tidy(_BLANKS.sub(" ", label).strip(" ")))
    return label if any(unicodedata.category(char)[0] in "LNPSC" for char in label) else ""


def folded(label: str) -> str:
    """Return what two labels have in common that count as the same."""
    return tidy_label(label).lower()


def spellings(label: str) -> list[str]:
    """Return the ways to write a label that an index can be asked for: each case of each letter.

    Of a long label only those that people write: as it is, all capitals, none, and capitalised.
    """
    label = tidy_label(label)
    ways = {label, label.upper(), label.lower(), label.title(), label.capitalize()}
    cases = [dict.fromkeys((char.lower(), char.upper())) for char in label]
    if 2 ** sum(len(case) > 1 for case in cases) <= _MOST_SPELLINGS:
        ways |= set(map("".join, product(*cases)))
    return sorted(ways)


def parse(label: str) -> tuple[str, int | None]:
    """Split "CAM 10" into ("CAM", 10); a label that ends in no number is (label, None)."""
    if match := _NUMBERED.fullmatch(label):
        return match["prefix"], int(match["number"])
    return label, None


@dataclass(frozen=True)
class Shape:
    """A label around its last number: what stands before and after, and the least digits."""

    before: str
    number: int
    after: str = ""
    width: int = 0

    @classmethod
    def of(cls, label: str) -> "Shape | None":
        """Read a label; None where it has no number that is counted on."""
        match = _SHAPE.fullmatch(label)
        if match is None or int(match["digits"]) >= BEYOND:
            return None
        digits = match["digits"]
        return cls(match["before"], int(digits), match["after"], _width(digits))

    def __str__(self) -> str:
        return f"{self.before}{self.number:0{self.width}}{self.after}"

    def is_like(self, other: "Shape") -> bool:
        """Return whether only the number tells the two apart."""
        return (self.before.lower(), self.after.lower()) == (
            other.before.lower(), other.after.lower(),
        )  # fmt: skip


def next_free(prefix: str, labels: Iterable[str]) -> str:
    """Return the first of ``free_labels``.

    >>> next_free("CAM", ["CAM 1", "CAM 3", "ROBO 9"])
    'CAM 4'
    >>> next_free("CAM", ["CAM 01", "CAM 02"])
    'CAM 03'
    """
    return next(free_labels(prefix, labels))


def free_labels(prefix: str, labels: Iterable[str]) -> Iterator[str]:
    """Yield the labels after the highest one of that prefix; gaps are not refilled."""
    used, (number, width) = list(labels), (0, 0)
    is_numbered = _numbered(prefix).fullmatch
    for label in used:
        if (match := is_numbered(label)) and (counted := int(match[1])) < BEYOND:
            number, width = max((number, width), (counted, _width(match[1])))
    yield from _after(Shape(f"{prefix} ".lstrip(), number, width=width), used)


@lru_cache(maxsize=64)
def _numbered(prefix: str) -> re.Pattern[str]:
    """Return the pattern of a prefix with a number: reading each label takes thrice as long."""
    blanks = r"\s+" if prefix[-1:].isdigit() else r"\s*"
    return re.compile(f"{re.escape(prefix)}{blanks}([0-9]{{1,64}})", re.IGNORECASE)


def _width(digits: str) -> int:
    return len(digits) if digits.startswith("0") and len(digits) > 1 else 0


def suggestion(label: str, labels: Iterable[str], *, longest: int = 64) -> str:
    """Return a free label of the same shape, as many digits as its neighbours have.

    >>> suggestion("SCREEN 1A", ["SCREEN 1A", "SCREEN 2A"])
    'SCREEN 3A'
    >>> suggestion("FIBER SNAKE 01", ["FIBER SNAKE 01"])
    'FIBER SNAKE 02'
    """
    used = [*labels, label]
    shape = Shape.of(label)
    if shape is None:
        free = next_free(parse(label)[0], used)
    else:
        others = (other for one in used if (other := Shape.of(one)) and other.is_like(shape))
        highest = max(others, key=lambda other: (other.number, other.width))
        width = max(shape.width, highest.width)
        free = next(_after(replace(shape, number=highest.number, width=width), used))
    short = parse(label)[0][: longest - 20].strip()
    return free if len(free) <= longest else next_free(short, used)


def _after(shape: Shape, used: Collection[str]) -> Iterator[str]:
    """Yield the labels after this one that nobody has."""
    in_use = {one.lower() for one in used}
    candidates = (str(replace(shape, number=number)) for number in count(shape.number + 1))
    return (label for label in candidates if label.lower() not in in_use)

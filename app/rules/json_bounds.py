"""How much JSON from outside may hold. It is checked before anything validates it.

docs/limits.md lists the numbers. Two checks share the work: one counts in the text, so that a text
of millions of values is never parsed, and one looks at each value of what was parsed.
"""

from collections.abc import Iterable
from itertools import accumulate
from typing import Any, Final

from app.errors import BodyTooLarge, Invalid

MOST_VALUES: Final = 60_000
"""Values of one body: members of objects and items of lists."""
MOST_VALUES_OF_ONE: Final = 40_000
"""Values of one operation of a bulk edit, and of one mutation of offline work."""
MOST_CONTAINERS: Final = 50_000
"""Objects and lists of one body."""
MOST_ITEMS: Final = 5_000
"""Items of one list."""
MOST_MEMBERS: Final = 5_000
"""Members of one object."""
LONGEST_NAME: Final = 1_000
"""Characters of a member's name."""
LONGEST_TEXT: Final = 1_000_000
"""Characters of one text. A field's own limit is lower."""
LARGEST_NUMBER: Final = 1e40
"""PostgreSQL writes a number out, and 1e308 has 309 digits. So a number beyond is refused."""
SMALLEST_NUMBER: Final = 1e-40
"""Nearer to zero than this is refused for the same reason, but for zero itself."""
MOST_DIGITS: Final = 300
"""Digits in a row. The parser's time grows with the square of a whole number's length."""

# The parser ends at this depth, so what is nested deeper costs nothing and is answered by it.
_PARSED_DEPTH: Final = 200
_MOST_BRACKETS: Final = 1_000_000
_ALL: Final = bytes(range(256))
_NO_BRACKETS: Final = _ALL.translate(None, b"[]{}")
_ZEROS: Final = _ALL.translate(bytes.maketrans(b"123456789", b"000000000"))
_DOWN_AND_UP: Final = bytes(1 if char in b"[{" else 0 for char in _ALL)


def refuse_many_values(body: bytes) -> None:
    """Raise BodyTooLarge for a JSON text of more values than may be parsed.

    Raises Invalid for numbers that take long to parse.
    """
    if len(body) <= MOST_CONTAINERS:
        return  # each value has at least one character
    if _has_long_number(body) and _has_long_number(_without_texts(body)):
        raise Invalid.at("body", f"a number has at most {MOST_DIGITS:,} digits")
    values, containers = _counts(body)
    if values <= MOST_VALUES and containers <= MOST_CONTAINERS:
        return
    outside = _without_texts(body)
    values, containers = _counts(outside)
    if values > MOST_VALUES:
        raise _too_many(MOST_VALUES, "values")
    if containers > MOST_CONTAINERS and (
        containers > _MOST_BRACKETS or not _is_nested_too_deep(outside)
    ):
        raise _too_many(MOST_CONTAINERS, "objects and lists")


def _has_long_number(text: bytes) -> bool:
    # Between the digits of UTF-16 stand zero bytes.
    return b"0" * (MOST_DIGITS + 1) in text.translate(_ZEROS, b"\0")


def _too_many(limit: int, what: str) -> BodyTooLarge:
    return BodyTooLarge(
        f"The body holds more than {limit:,} {what}: send it in several requests.", limit=limit
    )


def _counts(text: bytes) -> tuple[int, int]:
    """Return the values, which stand behind a comma or a bracket, and the objects and lists."""
    containers = text.count(b"[") + text.count(b"{")
    return text.count(b","), containers


def _without_texts(body: bytes) -> bytes:
    """Return what stands outside of texts. Raises BodyTooLarge for too many of them."""
    plain = body.replace(rb"\\", b"").replace(rb"\"", b"")
    # An object's member has two texts.
    if plain.count(b'"') > 4 * (MOST_VALUES + MOST_CONTAINERS):
        raise _too_many(MOST_VALUES, "values")
    return b"".join(plain.split(b'"')[::2])


def _is_nested_too_deep(outside: bytes) -> bool:
    """Return whether the parser stops early, so that the values behind are never made."""
    brackets = outside.translate(_DOWN_AND_UP, _NO_BRACKETS)[: 2 * MOST_CONTAINERS]
    steps: Iterable[int] = (2 * bracket - 1 for bracket in brackets)
    return any(depth > _PARSED_DEPTH for depth in accumulate(steps))


def refuse_beyond_bounds(value: Any, *, but: str = "", most: int = MOST_VALUES) -> None:
    """Raise Invalid, with the path, where a parsed value holds more than it may.

    The items of the list named ``but`` are left out: a batch looks at each for itself, and lets it
    hold at most ``most`` values.
    """
    if most < MOST_VALUES and count_values(value, most) > most:
        raise Invalid.at("body", f"holds at most {most:,} values; this is more")
    if but and isinstance(value, dict) and isinstance(value.get(but), list):
        value = {name: inner for name, inner in value.items() if name != but}
    try:
        _check(value)
    except _BeyondBoundsError as beyond:
        raise Invalid.at(
            ".".join(filter(None, reversed(beyond.path))) or "body", beyond.words
        ) from None


class _BeyondBoundsError(Exception):
    """What is too much, and the names and numbers on the way to it, from within."""

    def __init__(self, words: str, *path: object) -> None:
        self.words = words
        self.path = [str(name)[:100] for name in path]


_TEXT: Final = f"a text has at most {LONGEST_TEXT:,} characters"
_NAME: Final = f"a name has at most {LONGEST_NAME:,} characters"
_NUMBER: Final = f"a number lies between {SMALLEST_NUMBER:.0e} and {LARGEST_NUMBER:.0e}, or is 0"


def _check(value: Any) -> None:  # noqa: C901, PLR0912  # calls take thrice as long
    """Look at each value within. Numbers and texts are looked at here: most values are such."""
    pairs: Iterable[tuple[Any, Any]]
    if type(value) is dict:
        if len(value) > MOST_MEMBERS:
            raise _BeyondBoundsError(f"an object has at most {MOST_MEMBERS:,} members")
        pairs = value.items()
    elif type(value) is list:
        if len(value) > MOST_ITEMS:
            raise _BeyondBoundsError(f"a list has at most {MOST_ITEMS:,} items")
        pairs = enumerate(value)
    else:
        pairs = [("", value)]
    for name, inner in pairs:
        kind = type(inner)
        if kind is str:
            if len(inner) > LONGEST_TEXT:
                raise _BeyondBoundsError(_TEXT, name)
        elif kind is int or kind is float:
            if inner and not SMALLEST_NUMBER <= abs(inner) <= LARGEST_NUMBER:
                raise _BeyondBoundsError(_NUMBER, name)
        elif kind is dict or kind is list:
            try:
                _check(inner)
            except _BeyondBoundsError as beyond:
                beyond.path.append(str(name)[:100])
                raise
        if type(name) is str and len(name) > LONGEST_NAME:
            raise _BeyondBoundsError(_NAME, name)


def count_values(value: Any, most: int) -> int:
    """Return how many values a parsed value holds, itself included; beyond ``most`` any number."""
    count, rest = 1, [value]
    while rest and count <= most:
        inner = rest.pop()
        if type(inner) is dict:
            inner = [*inner.values()]
        if type(inner) is list:
            count += len(inner)
            rest += [each for each in inner if type(each) is dict or type(each) is list]
    return count

"""Reads a JSON object whose list of items may hold some that no parser takes. Pure.

A parser stops at half a surrogate pair, at endless nesting or at a number of thousands of digits,
and then nothing of the whole text is known. Here each item is parsed for itself.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic_core import from_json

# It only finds where a value ends, so it may take what is not strictly JSON.
_SCANNER: Final = json.JSONDecoder(strict=False, parse_int=str, parse_float=str, parse_constant=str)
_BLANK: Final = re.compile(r"[ \t\n\r]*")
_BRACKETS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]+|[\]}]+', re.DOTALL)
_MOST_BRACKETS: Final = 200_000
_EVERYTHING: Final = 2**31
Part = tuple[str, int, int]
"""A member's name, "" in a list, and where its value begins and ends."""


@dataclass(frozen=True)
class Unreadable:
    """An item that is not JSON: why, and those of its members that are."""

    reason: str
    members: dict[str, Any] = field(default_factory=dict)


def read_items(body: bytes, name: str, most: int) -> Any:
    """Parse a JSON object, and of its list ``name`` each item for itself, at most one too many.

    Raises ValueError where anything else than an item is not JSON.
    """
    text = body.decode("utf-8", "surrogateescape")
    start = _skip(text, 0)
    if text[start : start + 1] != "{":
        raise ValueError("expected an object")
    parts, end = _parts(text, start)
    if _skip(text, end) != len(text):
        raise ValueError("something follows the object")
    members: dict[str, Any] = {}
    for key, first, after in parts:
        if key == name and text[first] == "[":
            items, _ = _parts(text, first, most + 1)
            members[key] = [_item(text, *where) for _, *where in items]
        else:
            members[key] = _strict(text[first:after])
    return members


def _strict(text: str) -> Any:
    return from_json(text.encode("utf-8", "surrogateescape"), allow_inf_nan=False)


def _item(text: str, first: int, end: int) -> Any:
    try:
        return _strict(text[first:end])
    except ValueError as error:
        members: dict[str, Any] = {}
        for key, start, after in _parts(text, first)[0] if text[first] == "{" else ():
            try:
                members[key] = _strict(text[start:after])
            except ValueError:
                members.pop(key, None)
        return Unreadable(str(error), members)


def _parts(text: str, start: int, most: int = _EVERYTHING) -> tuple[list[Part], int]:
    """Return the first parts of the object or list at ``start``, and where the last one ends."""
    closing = "}" if text[start] == "{" else "]"
    parts: list[Part] = []
    at = _skip(text, start + 1)
    if text[at : at + 1] == closing:
        return parts, at + 1
    while True:
        key = ""
        if closing == "}":
            key, at = _key(text, at)
        end = _end(text, at)
        parts.append((key, at, end))
        at = _skip(text, end)
        mark = text[at : at + 1]
        if mark == closing or len(parts) == most:
            return parts, at + 1
        if mark != ",":
            raise ValueError(f"expected a comma or {closing} at character {at}")
        at = _skip(text, at + 1)


def _key(text: str, at: int) -> tuple[str, int]:
    """Return the name of the member at ``at``, and where its value begins."""
    if text[at : at + 1] != '"':
        raise ValueError(f"expected a name in quotes at character {at}")
    end = _end(text, at)
    key: str = json.loads(text[at:end], strict=False)
    colon = _skip(text, end)
    if text[colon : colon + 1] != ":":
        raise ValueError(f"expected a colon at character {colon}")
    return key, _skip(text, colon + 1)


def _skip(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match else at


def _end(text: str, at: int) -> int:
    """Return where the value at ``at`` ends."""
    try:
        end: int = _SCANNER.scan_once(text, at)[1]  # type: ignore[attr-defined]  # it has no stub
    except StopIteration:
        raise ValueError(f"expected a value at character {at}") from None
    except RecursionError:
        return _end_of_nesting(text, at)
    return end


def _end_of_nesting(text: str, at: int) -> int:
    """Return where a value ends that is nested too deep to be parsed."""
    depth = 0
    for number, match in enumerate(_BRACKETS.finditer(text, at)):
        mark, size = match[0][0], len(match[0])
        if mark in "[{":
            depth += size
        elif mark != '"' and size >= depth:
            return match.start() + depth
        elif mark != '"':
            depth -= size
        if number == _MOST_BRACKETS:
            break
    raise ValueError("nested too deep")

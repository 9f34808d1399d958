"""How large a row may be, and from which size on it is announced without its content."""

import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic_core import to_json

from app.errors import Invalid
from app.model.entity import Row

LARGEST_ROW: Final = 1_000_000
"""Bytes of a row as JSON. One that an older service made larger may be kept and made smaller."""
LARGEST_PUSH: Final = 256 * 1024
"""Characters of one pushed message. A row beyond is announced, and whoever wants it fetches it."""

# PostgreSQL writes 1e40 with all its digits. An exponent within a text counts as well: that errs
# only near the limit.
_EXPONENT: Final = re.compile(rb"[0-9]e[+-]?([0-9]{1,2})(?![0-9])")
# So little may be written to any row: what is large in it was there before.
_SMALL: Final = 20_000
# As many times as a number may grow by that.
_GROWTH: Final = 12


def refuse_large_row(
    entity: type[Row], values: Mapping[str, Any], encoded: bytes,
    stored: Mapping[str, Any] | None = None, stored_size: int = 0,
) -> None:  # fmt: skip
    """Raise Invalid where a write makes a row too large, and larger than it is.

    ``encoded`` is what is written, as JSON; ``values`` are what the row then holds, ``stored`` what
    it holds now, in ``stored_size`` bytes. Sizes are looked into only where they may matter.
    """
    if len(encoded) <= _SMALL or _GROWTH * (len(encoded) + stored_size) <= LARGEST_ROW:
        return
    size = _size(values)
    if size <= LARGEST_ROW or (stored is not None and size <= _size(stored)):
        return
    largest = max(values, key=lambda name: len(to_json(values[name])))
    raise Invalid.at(
        entity.wire(largest),
        f"with this the row has {size:,} bytes, and a row has at most {LARGEST_ROW:,}: keep less "
        "in it",
    )


def _size(values: Mapping[str, Any]) -> int:
    text = to_json(values)
    return len(text) + sum(map(int, _EXPONENT.findall(text)))

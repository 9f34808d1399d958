"""The one reader of JSON that comes from outside: strict, and UTF-8 with or without its mark."""

import json
from codecs import BOM_UTF8
from typing import Any

from pydantic_core import from_json


def read_json(text: bytes) -> Any:
    """Return what a JSON text says. Raises ValueError for NaN, lone surrogates, endless nesting.

    Some editors begin a file with a byte order mark, which RFC 8259 lets a reader ignore.
    """
    try:
        return from_json(text.removeprefix(BOM_UTF8), allow_inf_nan=False)
    except ValueError:
        encoding = json.detect_encoding(text)
        if encoding.startswith("utf-8"):
            raise
        raise ValueError(f"it is {encoding[:6].upper()}, send UTF-8") from None

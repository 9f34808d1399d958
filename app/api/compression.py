"""gzip for long answers: whether a client takes it, and the bytes.

docs/decisions/0010-compression.md has the measurements behind the numbers.
"""

import asyncio
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from isal import isal_zlib

# A shorter answer fits into a packet or two as it is.
_WORTH_IT: Final = 1_400
# A longer answer would block the event loop, and with it every other request, for some 5 ms.
_IN_A_THREAD: Final = 2_000_000
_LEVEL: Final = 1
_GZIP: Final = 16 + 15  # zlib's window bits: gzip's header, the largest window
_NAME: Final = r"\s*([\w!#$%&'*+.^`|~-]+)\s*"
_WEIGHT: Final = r"(?:;\s*[qQ]\s*=\s*([01](?:\.\d{0,3})?)\s*)?"
_CODING: Final = re.compile(_NAME + _WEIGHT, re.ASCII)


def is_worth_it(pieces: Sequence[bytes]) -> bool:
    """Whether an answer is long enough to be compressed."""
    return sum(map(len, pieces)) >= _WORTH_IT


@lru_cache(maxsize=64)
def accepts_gzip(accept_encoding: bytes) -> bool:
    """Whether a well-formed part of ``Accept-Encoding`` gives gzip, or ``*``, a weight above 0."""
    weights: dict[str, float] = {}
    for part in accept_encoding.decode("latin-1").split(","):
        if coding := _CODING.fullmatch(part):
            weights[coding[1].lower()] = float(coding[2] or 1)
    for name in ("gzip", "x-gzip", "*"):
        if name in weights:
            return weights[name] > 0
    return False


async def gzipped(pieces: Sequence[bytes]) -> bytes:
    """Compress pieces into one stream."""
    if sum(map(len, pieces)) < _IN_A_THREAD:
        return _gzipped(pieces)
    return await asyncio.to_thread(_gzipped, pieces)


def _gzipped(pieces: Sequence[bytes]) -> bytes:
    compressor = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _GZIP)
    return b"".join([*map(compressor.compress, pieces), compressor.flush()])

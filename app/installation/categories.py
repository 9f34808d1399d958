"""The categories of devices, and how they stand in a table whose enum lacks some of them.

The older service's pages show a device under the category of its enum. So ``category`` holds one
that the enum has, and ``kind`` the device's own where that is another.
"""

from collections.abc import Mapping
from typing import Final

from app.installation.tables import OLDER_CATEGORIES

NEAREST: Final[Mapping[str, str]] = {
    "PTZ": "CAMERA",  # it is one, with a head below
    "LENS": "CAMERA",  # nothing but a camera takes one, and most pages that look for it are its
    "COMPUTER": "RECORDER",  # the only other machine that plays pictures out
    "STREAM_ENCODER": "RECORDER",  # a path ends in it, and it takes the program
    "DISTRIBUTION_AMPLIFIER": "CONVERTER",  # a box in a path, which nobody operates
    "FRAME_SYNC": "CONVERTER",  # as above
    "SYNC_GENERATOR": "CONVERTER",  # a box in a rack, which nobody operates
}
"""The nearest category of the older service for each of ours that it lacks, and why."""
OTHER: Final = "CONVERTER"
"""The nearest to a category that nobody has thought of: a box with inputs and outputs."""


def tidy_category(text: str) -> str:
    """Return a category as it is stored: "Led tile" and "led-tile" are LED_TILE."""
    return "_".join(text.upper().replace("-", " ").replace("_", " ").split())


def columns_of(category: str) -> dict[str, str | None]:
    """Return the columns ``category`` and ``kind`` of a device."""
    if category in OLDER_CATEGORIES:
        return {"category": category, "kind": None}
    return {"category": NEAREST.get(category, OTHER), "kind": category}

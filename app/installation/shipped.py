"""What ships with the service and is loaded into each installation: the one place that says what.

The release gate calls it once the database is as this image needs it, and so do ``serve --prepare``
and the first reader of an installation that has nothing. To do it again changes nothing.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from app.database.database import DatabaseConnection
from app.installation.shipped_devices import OURS, load_devices
from app.installation.system_formats import load_system_formats

Loader = Callable[[DatabaseConnection], Awaitable[str | None]]
"""Adds what is missing, in an open transaction; returns what it did, in words, if anything."""

LOADERS: Final[tuple[Loader, ...]] = (load_devices, load_system_formats)
"""Each is safe beside another process that does the same."""

PROTECTED: Final[Mapping[str, str]] = {
    "equipment_specs": f"last_modified_by IS DISTINCT FROM '{OURS}'",
    # These rows live with a device.
    "equipment_io_ports": "false",
    "equipment_cards": "false",
    "equipment_card_io": "false",
    "formats": "NOT is_system",
}
"""Which rows of these tables somebody would miss, as SQL: those that do not ship.

The columns are those that the older service's tables have.
"""


async def load_shipped(connection: DatabaseConnection) -> str:
    """Load all that ships, in an open transaction; return what was done, in words.

    What people have edited or archived is never overwritten.
    """
    words = [await load(connection) for load in LOADERS]
    return "; ".join(each for each in words if each) or "all that ships is there"

"""Announces what concerns everybody: PostgreSQL carries the news to all processes.

A notification is sent by the transaction that wrote, so nothing is announced that was not
committed. It names the event and the key of what it is about. What the event's sockets are sent,
each process reads by the event's renderer.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from app.database.database import DatabaseConnection
from app.sql.registry import INSTALLATION, statement

Renderer = Callable[[DatabaseConnection, str], Awaitable[Any]]
"""Reads what an event's sockets are sent, by the key of what it is about."""

CHANNEL: Final = "signalbook_installation"
RENDERERS: Final[dict[str, Renderer]] = {}
"""The renderer of each event, registered by the module that announces it."""
# Announce the text $1: an event, a blank, and a key.
ANNOUNCE: Final = statement(f"SELECT pg_notify('{CHANNEL}', $1)", INSTALLATION)


async def announce(connection: DatabaseConnection, event: str, key: str = "") -> None:
    """Announce an event when the open transaction commits."""
    await connection.execute(ANNOUNCE, f"{event} {key}")

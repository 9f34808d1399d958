"""How much one process accepts from sockets and holds for them, and how fast a client may send."""

from dataclasses import dataclass
from typing import Final

LARGEST_BROADCAST: Final = 256 * 1024
"""Bytes of what one socket may send to the others of its room."""


@dataclass(frozen=True)
class SocketLimits:
    """Times are in seconds, sizes in bytes, except where another unit is named."""

    sockets: int = 5_000
    handshakes_per_address: int = 100
    """Connections of one address that have not sent CONNECT yet; 0 for any number."""
    rooms: int = 50
    """Productions that one socket may watch."""
    message: int = LARGEST_BROADCAST + 16_000
    """The size of one message from a client, and of one polling request."""
    per_second: float = 100.0
    at_once: float = 300.0
    """Events of one socket; each begun 8,000 characters count as one more."""
    packets: int = 2_000
    """Packets that may wait to be sent to one socket."""
    waiting: int = 4_000_000
    """Characters that may wait to be sent to one socket."""
    hello: float = 10.0
    """Until a new connection has sent CONNECT, or a WebSocket has taken over from polling."""
    goodbye: float = 2.0
    """For a closed connection to take what is still sent to it."""
    patience: float = 30.0
    """For a socket that is behind to take what it is sent."""
    linger: float = 10.0
    """How long an empty room stays open."""
    retry: float = 1.0
    """Between two tries while the database does not answer."""
    recheck: float = 10.0
    """Between two looks at what the holders of sockets may do."""
    sweep: float = 5.0
    """Between two searches for the presence rows of dead processes."""
    ping_interval: float = 25.0
    ping_timeout: float = 20.0

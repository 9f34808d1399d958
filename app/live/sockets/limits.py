"""How much one process takes from sockets, and keeps for them; and how fast one may speak."""

from dataclasses import dataclass

from app.live.sockets.broadcast import LARGEST


@dataclass(frozen=True)
class SocketLimits:
    """Times in seconds, sizes in bytes (of what waits to be sent: characters)."""

    sockets: int = 5_000
    rooms: int = 50
    """Productions that one socket may watch."""
    message: int = LARGEST + 16_000
    """Of one message from a client, and of one polling request."""
    per_second: float = 100.0
    at_once: float = 300.0
    """Events of one socket; each begun 8,000 characters count as one more."""
    packets: int = 2_000
    waiting: int = 4_000_000
    """What may wait to be sent to one socket."""
    hello: float = 10.0
    """Until a new connection has said CONNECT, or a WebSocket has taken over from polling."""
    goodbye: float = 2.0
    """For a closed connection to take what it is still sent."""
    patience: float = 30.0
    """For a socket that is behind to take what it is sent."""
    linger: float = 10.0
    """In which a room that nobody watches is kept."""
    retry: float = 1.0
    """Until what the database did not answer is asked again."""
    sweep: float = 5.0
    """Between two looks for the rows of processes that died."""
    ping_interval: float = 25.0
    ping_timeout: float = 20.0


class EventRate:
    """What one socket may still say now: it fills up again while nothing is said."""

    __slots__ = ("_at", "_left")

    def __init__(self, limits: SocketLimits, now: float) -> None:
        self._left, self._at = limits.at_once, now

    def allows(self, size: int, now: float, limits: SocketLimits) -> bool:
        """Count a message; tell whether it may be said."""
        gained = (now - self._at) * limits.per_second
        self._left = min(limits.at_once, self._left + gained) - 1 - size // 8_000
        self._at = now
        return self._left >= 0

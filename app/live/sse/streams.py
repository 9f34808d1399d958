"""How many live streams a process has, and when they end."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from app.errors import Busy, Unavailable
from app.live.shutdown import Shutdown


class Streams:
    """The streams of one process, at most ``most`` at a time. Times in seconds.

    ``heartbeat`` is the pause between two signs of life, ``patience`` how long a client may take
    nothing before it is left.
    """

    def __init__(
        self,
        stopping: Shutdown,
        *,
        most: int = 1_000,
        heartbeat: float = 15.0,
        patience: float = 30.0,
    ) -> None:
        self.open = 0
        self.most, self.heartbeat, self.patience = most, heartbeat, patience
        self._stopping = stopping

    @contextmanager
    def place(self, end: Callable[[], None]) -> Iterator[None]:
        """Count a stream while the block runs; ``end`` is called when the service stops.

        Raises Busy where there are enough, and Unavailable while the service stops.
        """
        if self._stopping.begun:
            raise Unavailable("The service is stopping: try again in a moment.")
        if self.open >= self.most:
            raise Busy(
                f"This process serves {self.open} streams and takes no more: try again in a "
                "moment, or ask for the changes without a stream."
            )
        self.open += 1
        try:
            with self._stopping.told(end):
                yield
        finally:
            self.open -= 1
